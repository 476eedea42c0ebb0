package wal

// group collects the batches of one group commit as they will stand in the
// segment: contiguous frames whose headers are filled in when the place is known.
type group struct {
	buf        []byte
	frames     []span
	first      LSN // of the first record; 0 while empty
	last       LSN
	firstTime  int64
	lastTime   int64
	records    uint64
	points     []Point
	pointBytes int
	appenders  []*Appender
	waiters    int           // in AppendSync and Wait
	done       chan struct{} // made by the first waiter, closed when durable or poisoned

	// next, when set, is the prepared segment that the group begins, because it
	// does not fit into the active one. The group owns it.
	next *preparedSegment
}

// span is one frame of a group; the last span of a group grows.
type span struct {
	at    int // offset of the frame in buf
	len   int // of the body, without padding
	count uint32
	first LSN
}

// groupBufferKept is the largest buffer that a group keeps for its next use.
const groupBufferKept = 4 << 20

func (g *group) empty() bool { return g.records == 0 }

func (g *group) reset() {
	buf := g.buf[:0]
	if cap(buf) > groupBufferKept {
		buf = nil
	}
	clear(g.appenders)
	clear(g.points)
	*g = group{buf: buf, frames: g.frames[:0], points: g.points[:0], appenders: g.appenders[:0]}
}

// grown bounds the size of the group after adding b.
func (g *group) grown(b *Batch) int64 {
	return int64(len(g.buf)) + frameHeaderLen + int64(b.Size()) + 2*frameAlignment
}

// add copies b, whose positions are filled in, into the group. A batch is never
// split over frames, so it is all-or-nothing.
func (g *group) add(b *Batch, first LSN, timeMicros int64) {
	if n := len(g.frames); n == 0 || g.frames[n-1].len+b.Size() > frameBodyTarget {
		g.pad()
		g.frames = append(g.frames, span{at: len(g.buf), first: first})
		var header [frameHeaderLen]byte
		g.buf = append(g.buf, header[:]...)
	}
	g.buf = append(g.buf, b.buf...)
	s := &g.frames[len(g.frames)-1]
	s.len += b.Size()
	s.count += uint32(b.Len())
	if g.records == 0 {
		g.first, g.firstTime = first, timeMicros
	}
	g.last, g.lastTime = first+LSN(b.Len())-1, timeMicros
	g.records += uint64(b.Len())
	for _, i := range b.points {
		if p, err := DecodeRestorePoint(b.Record(i).Payload); err == nil {
			g.points = append(g.points, Point{Name: p.Name, LSN: first + LSN(i), Time: timeMicros})
			g.pointBytes += len(p.Name)
		}
	}
}

// pad fills the last frame up to its alignment; no batch goes into it after that.
func (g *group) pad() {
	if n := len(g.frames); n > 0 {
		var zero [frameAlignment]byte
		g.buf = append(g.buf, zero[:paddedLen(g.frames[n-1].len)-g.frames[n-1].len]...)
	}
}

// seal completes all frames, the last one padded, for a place that begins at
// offset.
func (g *group) seal(s sealer, durable LSN, offset int64) {
	for _, f := range g.frames {
		s.sealFrame(g.buf[f.at:], frameHeader{
			kind: kindBatch, bodyLen: f.len, count: f.count, first: f.first, durable: durable,
		}, offset+int64(f.at))
	}
}
