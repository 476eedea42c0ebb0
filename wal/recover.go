package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
)

// recover reads what is there and brings the log into the state after a clean
// seal. Doing it twice is the same as doing it once.
func (l *Log) recover() error {
	if err := l.makeDir(); err != nil {
		return err
	}
	chain, err := readChain(l.opts.FS, l.dir, l.opts.NodeID)
	if err != nil {
		return err
	}
	if chain.tail != nil && chain.last().Records > 0 {
		if err := l.settle(chain); err != nil {
			return err
		}
	}
	if err := l.takeInventory(); err != nil {
		return err
	}
	l.adopt(chain)
	return nil
}

// makeDir creates the directory and makes sure that what it shows now is
// durable: a name that an earlier process failed to sync must not vanish later.
func (l *Log) makeDir() error {
	fs := l.opts.FS
	if err := fs.MkdirAll(l.dir, 0o755); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	firsts, err := segmentNames(fs, l.dir)
	if err != nil {
		return err
	}
	if len(firsts) == 0 { // it may be new; no segment is begun before this succeeds
		if err := durable.SyncDir(fs, fs.PathDir(l.dir)); err != nil {
			return err
		}
	}
	return durable.SyncDir(fs, l.dir)
}

// takeInventory removes half-prepared files and counts the spare ones.
func (l *Log) takeInventory() error {
	fs := l.opts.FS
	names, err := fs.List(l.dir)
	if err != nil {
		return fmt.Errorf("list directory: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		path := fs.PathJoin(l.dir, name)
		stem, spare := strings.CutSuffix(name, spareSuffix)
		if !spare {
			if strings.HasSuffix(name, newSuffix) {
				if err := fs.Remove(path); err != nil {
					return fmt.Errorf("remove half-prepared segment: %w", err)
				}
			}
			continue
		}
		n, err := strconv.ParseUint(stem, 10, 64)
		if err != nil {
			continue
		}
		info, err := fs.Stat(path)
		if err != nil {
			return fmt.Errorf("stat spare segment: %w", err)
		}
		l.mu.serial = max(l.mu.serial, n)
		l.addSpare(spareFile{path: path, size: info.Size()})
	}
	for len(l.mu.spares) > l.opts.SpareSegments+1 {
		if err := fs.Remove(l.mu.spares[0].path); err != nil {
			return fmt.Errorf("remove spare segment: %w", err)
		}
		l.mu.spares = l.mu.spares[1:]
	}
	return nil
}

// adopt makes the recovered chain the log's state.
func (l *Log) adopt(c *chain) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.next = l.opts.FirstLSN
	for _, s := range c.segments {
		l.mu.next, l.mu.lastTime = s.Last+1, s.LastTime
		if s.Records == 0 {
			l.mu.successor = true
			l.gap = s.Gap
			continue
		}
		l.mu.sealed = append(l.mu.sealed, s)
		l.mu.target = max(l.mu.target, s.Bytes)
	}
	l.prev = c.sum
	l.mu.target = min(max(l.mu.target, prepareBytes), l.opts.SegmentBytes)
	l.appended.Store(uint64(l.mu.next - 1))
	l.durable.Store(uint64(l.mu.next - 1))
}

// chain is what a log's directory holds.
type chain struct {
	segments []Segment // by LSN; only the last may be empty or unsealed
	sum      [32]byte  // SHA-256 of the last sealed segment, from wherever it is known
	tail     *tailEnd  // of the last segment, unless its preamble never reached the disk
}

func (c *chain) last() *Segment { return &c.segments[len(c.segments)-1] }

// tailEnd is the end of the last segment, sealed or torn.
type tailEnd struct {
	offset  int64          // behind the last valid frame
	vouched int64          // behind the last frame that a later frame states to be durable
	size    int64          // of the file
	reader  *SegmentReader // stands at offset; its hash is resumed by settle
}

// readChain reads the heads and footers of all segments but the last, and all of
// the last one, and checks that they form a row: names, LSNs, hashes.
func readChain(fs vfs.FS, dir, nodeID string) (*chain, error) {
	firsts, err := segmentNames(fs, dir)
	if err != nil {
		return nil, err
	}
	c := &chain{}
	for i, first := range firsts {
		path := fs.PathJoin(dir, SegmentName(first))
		var p Preamble
		var seg Segment
		if i < len(firsts)-1 {
			p, seg, err = readSealed(fs, path, firsts[i+1])
		} else {
			p, seg, err = c.readNewest(fs, path, first)
		}
		if err != nil {
			return nil, err
		}
		if err := c.link(fs, p, seg, nodeID); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// follows checks that the segment that begins at first comes right after prev,
// or after the gap that it declares.
func follows(prev *Segment, path string, first, gap LSN) error {
	switch {
	case first == prev.Last+1 || gap == prev.Last+1:
		return nil
	case first > prev.Last+1:
		return &CorruptError{Path: path, FirstLSN: prev.Last + 1, LastLSN: first - 1, Reason: "segment before it is missing"}
	}
	return &CorruptError{Path: path, FirstLSN: first, LastLSN: prev.Last, Reason: "segment overlaps the one before it"}
}

// link appends a segment to the chain. p is zero when the segment's preamble
// never reached the disk.
func (c *chain) link(fs vfs.FS, p Preamble, seg Segment, nodeID string) error {
	if p.First != 0 && nodeID != "" && p.NodeID != "" && p.NodeID != nodeID {
		return &NodeIDError{Path: seg.Path, Got: p.NodeID, Want: nodeID}
	}
	if len(c.segments) > 0 {
		prev := c.last()
		if err := follows(prev, seg.Path, seg.First, p.Gap); err != nil {
			return err
		}
		if p.First != 0 {
			prev.SHA256 = p.Prev
		} else if _, whole, err := readWhole(fs, prev.Path); err != nil {
			return err
		} else {
			prev.SHA256 = whole.SHA256
		}
		c.sum = prev.SHA256
	} else {
		c.sum = p.Prev
	}
	if seg.Sealed {
		c.sum = seg.SHA256
	}
	if p.First == 0 && len(c.segments) > 0 {
		prev := c.last()
		seg.LastTime = prev.LastTime
	}
	c.segments = append(c.segments, seg)
	return nil
}

// readSealed describes a segment that has a successor, and so must be sealed. It
// reads the head and the footer when the file ends with one, else all of it.
func readSealed(fs vfs.FS, path string, next LSN) (Preamble, Segment, error) {
	p, f, size, err := readEnds(fs, path)
	if err != nil {
		return p, Segment{}, knownUpTo(err, next-1)
	}
	if size == 0 {
		p, seg, err := readWhole(fs, path)
		return p, seg, knownUpTo(err, next-1)
	}
	return p, Segment{
		Path: path, First: p.First, Last: f.Last, Records: f.Records, Bytes: size, Sealed: true,
		FirstTime: f.FirstTime, LastTime: f.LastTime, Timeline: p.Timeline, Epoch: p.Epoch,
		NodeID: p.NodeID, Points: f.Points, Gap: p.Gap,
	}, nil
}

// knownUpTo adds what the successor's name tells to an error that does not know
// how far the damaged segment went.
func knownUpTo(err error, last LSN) error {
	var c *CorruptError
	if errors.As(err, &c) && c.LastLSN < last {
		c.LastLSN = last
	}
	return err
}

// readEnds reads the preamble and, when the file ends with a footer, the footer;
// size is zero when it does not.
func readEnds(fs vfs.FS, path string) (p Preamble, f Footer, size int64, err error) {
	file, err := fs.Open(path)
	if err != nil {
		return p, f, 0, fmt.Errorf("open segment: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return p, f, 0, fmt.Errorf("stat segment %s: %w", path, err)
	}
	head := make([]byte, min(info.Size(), PreambleLen))
	if err := readFullAt(file, path, head, 0); err != nil {
		return p, f, 0, err
	}
	if p, err = DecodePreamble(head, path); err != nil {
		return p, f, 0, err
	}
	var trailer [FooterTrailerLen]byte
	if info.Size() < PreambleLen+FooterTrailerLen {
		return p, f, 0, nil
	}
	if err := readFullAt(file, path, trailer[:], info.Size()-FooterTrailerLen); err != nil {
		return p, f, 0, err
	}
	n, err := FooterLen(trailer[:])
	if err != nil || int64(n) > info.Size()-PreambleLen {
		return p, f, 0, nil
	}
	tail := make([]byte, n)
	if err := readFullAt(file, path, tail, info.Size()-int64(n)); err != nil {
		return p, f, 0, err
	}
	if f, err = DecodeFooter(p, tail, info.Size(), path); err != nil {
		return p, f, 0, nil // reading all of it will say what is wrong
	}
	return p, f, info.Size(), nil
}

func readFullAt(f vfs.File, path string, b []byte, offset int64) error {
	n, err := f.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read segment %s at offset %d: %w", path, offset, err)
}

// readNewest reads the last segment, the only one that may end in a torn tail.
func (c *chain) readNewest(fs vfs.FS, path string, first LSN) (Preamble, Segment, error) {
	r, err := OpenSegment(fs, path)
	if err != nil {
		return Preamble{}, Segment{}, err
	}
	defer r.Close()
	t := &tailEnd{reader: r, vouched: PreambleLen}
	type frameEnd struct {
		last LSN
		end  int64
	}
	var doubtful []frameEnd // frames that no later frame states to be durable
	for err == nil {
		if err = r.nextFrame(); err == nil || errors.Is(err, io.EOF) {
			i := 0
			for i < len(doubtful) && doubtful[i].last <= r.frame.durable {
				t.vouched = doubtful[i].end
				i++
			}
			doubtful = append(doubtful[i:], frameEnd{r.seg.Last, r.at})
		}
	}
	if errors.Is(err, io.EOF) {
		t.offset = r.at
		c.tail = t
		return r.preamble, r.Segment(), nil
	}
	file, ferr := fs.Open(path)
	if ferr != nil {
		return Preamble{}, Segment{}, fmt.Errorf("open segment: %w", ferr)
	}
	defer file.Close()
	if !r.started {
		if errors.Is(err, ErrMagic) && allZero(file) {
			// The name was durable before the content: a crash at rotation.
			return Preamble{}, Segment{Path: path, First: first, Last: first - 1}, nil
		}
		return Preamble{}, Segment{}, err
	}
	if !r.torn {
		return Preamble{}, Segment{}, err
	}
	if info, serr := file.Stat(); serr != nil {
		return Preamble{}, Segment{}, fmt.Errorf("stat segment %s: %w", path, serr)
	} else {
		t.size = info.Size()
	}
	witness, serr := findWitness(file, r.sealer, r.at, t.size, r.seg.Last+1)
	if serr != nil {
		return Preamble{}, Segment{}, fmt.Errorf("read segment %s: %w", path, serr)
	}
	if witness != 0 {
		return Preamble{}, Segment{}, knownUpTo(err, witness)
	}
	t.offset = r.at
	c.tail = t
	return r.preamble, r.Segment(), nil
}

// findWitness looks behind a damaged place for a valid frame that states that
// the LSN lost there was durable: then it is damage and no torn tail. It returns
// the durable LSN of the last such frame, or zero.
func findWitness(f io.ReaderAt, s sealer, from, size int64, lost LSN) (witness LSN, err error) {
	const step = 1 << 20
	buf := make([]byte, step+frameHeaderLen)
	for at := from; at < size; at += step {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := 0; i < step && i+frameHeaderLen <= n; i += frameAlignment {
			if binary.LittleEndian.Uint32(buf[i:]) != frameMagic {
				continue
			}
			if h, verdict, _ := s.openHeader(buf[i:i+frameHeaderLen], at+int64(i)); verdict == headerValid && h.durable >= lost {
				witness = max(witness, h.durable)
			}
		}
	}
	return witness, nil
}

func allZero(f io.ReaderAt) bool {
	buf := make([]byte, 1<<20)
	for at := int64(0); ; at += int64(len(buf)) {
		n, err := f.ReadAt(buf, at)
		if slices.ContainsFunc(buf[:n], func(b byte) bool { return b != 0 }) {
			return false
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// settle makes the last segment, which holds records, durable and sealed. Frames
// that no later frame vouches for are written again first, the footer of a sealed
// segment too: the process before may have been killed in front of its fsync, or
// it failed, and then they may be in memory only, with the kernel believing that
// they are on disk.
func (l *Log) settle(c *chain) error {
	seg, t := c.last(), c.tail
	f, err := l.opts.FS.OpenReadWrite(seg.Path, writeCategory)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	var frame []byte
	if !seg.Sealed {
		footer := footerOf(seg, t.reader.sum)
		frame = encodeFooter(t.reader.sealer, &footer, seg.Last, seg.Bytes)
	}
	err = rewrite(f, seg.Path, t, frame)
	if err == nil {
		// Crash here: sealed, with what was torn behind the footer. Nobody looks
		// there.
		truncateFile(f, seg.Bytes+int64(len(frame)))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !seg.Sealed {
		t.reader.sum.Write(frame)
		seg.Bytes += int64(len(frame))
		seg.Sealed, seg.SHA256 = true, [32]byte(t.reader.sum.Sum(nil))
		c.sum = seg.SHA256
		l.opts.Logger.Info("wal: recovered", "path", seg.Path, "records", seg.Records,
			"last_lsn", uint64(seg.Last), "cut_at", t.offset, "file_bytes", t.size)
	}
	return nil
}

// rewrite writes the doubtful frames over themselves and the footer behind them,
// and syncs.
func rewrite(f vfs.File, path string, t *tailEnd, footer []byte) error {
	buf := make([]byte, min(t.offset-t.vouched, 1<<20))
	for at := t.vouched; at < t.offset; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), t.offset-at)]
		if err := readFullAt(f, path, b, at); err != nil {
			return err
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("write recovered frames: %w", err)
		}
	}
	if _, err := f.WriteAt(footer, t.offset); err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	// Crash here: as before, or sealed.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync recovered segment: %w", err)
	}
	return nil
}
