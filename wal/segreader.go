package wal

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const readBufferBytes = 256 << 10

// SegmentReader reads one segment as a stream, in bounded memory, and verifies
// all of it: checksums, positions, times, the footer, and the SHA-256 of what
// was read. An error is final.
type SegmentReader struct {
	name   string
	src    *bufio.Reader
	closer io.Closer
	known  func(Type) bool

	preamble Preamble
	started  bool
	sealer   sealer
	sum      hash.Hash
	seg      Segment // what was read so far
	footer   Footer

	frame  frameHeader
	body   []byte // of the current frame, padded; reused
	rest   []byte // records of body that Next has not returned
	at     int64  // offset of the next frame
	frameT int64  // offset of the current frame

	err error
	// torn is set with err when a crash while writing the frame may have caused
	// it; damage that no crash causes leaves it unset.
	torn bool
}

// NewSegmentReader reads a segment from r. The name is for errors; when its last
// path element is a segment's file name, the preamble must agree with it. Bytes
// after the footer are not part of the segment and not looked at.
func NewSegmentReader(r io.Reader, name string) *SegmentReader {
	return &SegmentReader{
		name: name, src: bufio.NewReaderSize(r, readBufferBytes), sum: sha256.New(),
		seg: Segment{Path: name, First: firstOfPath(name)},
	}
}

// OpenSegment opens a segment file for reading; Close releases it.
func OpenSegment(fs vfs.FS, path string) (*SegmentReader, error) {
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	r := NewSegmentReader(f, path)
	r.closer = f
	return r, nil
}

// SetKnownType makes Next stop with an *UnknownTypeError at a record whose type
// is required and for which known is false.
func (r *SegmentReader) SetKnownType(known func(Type) bool) { r.known = known }

// Preamble returns the head, which it reads when Next has not been called yet.
func (r *SegmentReader) Preamble() (Preamble, error) {
	if !r.started && r.err == nil {
		r.err = r.readPreamble()
	}
	if !r.started {
		return Preamble{}, r.err
	}
	return r.preamble, nil
}

// Next returns the next record. Its slices are valid until the next call. After
// the last record of a sealed segment it returns io.EOF; a segment that ends
// without a footer is a *CorruptError, like all damage.
func (r *SegmentReader) Next() (Record, error) {
	for len(r.rest) == 0 {
		if err := r.nextFrame(); err != nil {
			return Record{}, err
		}
	}
	rec, n, _ := decodeRecord(r.rest) // was verified with its frame
	if r.known != nil && rec.Type.Required() && !r.known(rec.Type) {
		r.err = &UnknownTypeError{Path: r.name, Offset: r.frameT, LSN: rec.LSN, Type: rec.Type}
		return Record{}, r.err
	}
	r.rest = r.rest[n:]
	return rec, nil
}

// Footer returns the footer once Next has returned io.EOF.
func (r *SegmentReader) Footer() (Footer, bool) { return r.footer, r.seg.Sealed }

// Segment describes what was read so far; it is complete when Next has returned
// io.EOF.
func (r *SegmentReader) Segment() Segment { return r.seg }

// Close releases the file that OpenSegment opened.
func (r *SegmentReader) Close() error {
	if r.closer == nil {
		return nil
	}
	err := r.closer.Close()
	r.closer = nil
	return err
}

// nextFrame reads and verifies one frame; the records of a batch are in rest.
func (r *SegmentReader) nextFrame() error {
	if r.err == nil && !r.started {
		r.err = r.readPreamble()
	}
	if r.err == nil {
		r.err = r.readFrame()
	}
	return r.err
}

// drain reads and verifies all of a sealed segment.
func (r *SegmentReader) drain() error {
	for {
		if err := r.nextFrame(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (r *SegmentReader) readPreamble() error {
	var b [PreambleLen]byte
	n, err := io.ReadFull(r.src, b[:])
	if err != nil && !ended(err) {
		return fmt.Errorf("read segment %s: %w", r.name, err)
	}
	p, err := DecodePreamble(b[:n], r.name)
	if err != nil {
		return err
	}
	r.started, r.preamble, r.sealer = true, p, newSealer(p.Salt, p.First)
	r.sum.Write(b[:])
	r.at = PreambleLen
	r.seg = Segment{
		Path: r.name, First: p.First, Last: p.First - 1, Bytes: PreambleLen,
		Timeline: p.Timeline, Epoch: p.Epoch, NodeID: p.NodeID, LastTime: p.TimeFloor, Gap: p.Gap,
	}
	return nil
}

// corrupt returns damage at the current frame. Its last LSN is known only when
// the frame's header can be trusted.
func (r *SegmentReader) corrupt(torn bool, last LSN, reason string) error {
	r.torn = torn
	return &CorruptError{Path: r.name, Offset: r.at, FirstLSN: r.seg.Last + 1, LastLSN: last, Reason: reason}
}

func (r *SegmentReader) readFrame() error {
	var head [frameHeaderLen]byte
	n, err := io.ReadFull(r.src, head[:])
	switch {
	case n == 0 && ended(err):
		return r.corrupt(true, 0, "segment ends without a footer")
	case ended(err):
		return r.corrupt(true, 0, "frame header cut off")
	case err != nil:
		return fmt.Errorf("read segment %s at offset %d: %w", r.name, r.at, err)
	}
	h, verdict, reason := r.sealer.openHeader(head[:], r.at)
	switch {
	case verdict == headerNewer:
		return &VersionError{Path: r.name, Offset: r.at, FirstLSN: r.seg.Last + 1, What: reason}
	case verdict == headerDamaged:
		return r.corrupt(true, 0, reason)
	case h.first != r.seg.Last+1:
		return r.corrupt(false, 0, fmt.Sprintf("frame begins at LSN %d", h.first))
	}
	last := LSN(0)
	if h.kind == kindBatch {
		last = h.last()
	}
	if err := r.readBody(paddedLen(h.bodyLen)); err != nil {
		if ended(err) {
			return r.corrupt(true, last, "frame cut off")
		}
		return fmt.Errorf("read segment %s at offset %d: %w", r.name, r.at, err)
	}
	if r.sealer.body(r.body) != h.bodyCRC {
		return r.corrupt(true, last, "frame checksum differs")
	}
	if h.kind == kindSeal {
		return r.acceptFooter(h, head[:])
	}
	return r.acceptBatch(h, head[:])
}

// ended tells the end of the source, as io.ReadFull does, from a source that
// failed: a connection that broke in the middle is no damage, although its error
// may wrap io.ErrUnexpectedEOF.
func ended(err error) bool {
	return err == io.EOF || err == io.ErrUnexpectedEOF //nolint:errorlint // only the bare values mean the end
}

// readBody fills body with n bytes. Memory grows with what has arrived, not
// with what a header claims.
func (r *SegmentReader) readBody(n int) error {
	const step = 1 << 20
	r.body = r.body[:0]
	for len(r.body) < n {
		from := len(r.body)
		to := min(n, max(from+step, min(n, cap(r.body))))
		if cap(r.body) < to {
			grown := make([]byte, from, max(to, min(2*cap(r.body), n)))
			copy(grown, r.body)
			r.body = grown
		}
		r.body = r.body[:to]
		if _, err := io.ReadFull(r.src, r.body[from:]); err != nil {
			return err
		}
	}
	return nil
}

func (r *SegmentReader) acceptBatch(h frameHeader, head []byte) error {
	seg := &r.seg
	records, lsn, at := r.body[:h.bodyLen], h.first, seg.LastTime
	firstTime := seg.FirstTime
	for len(records) > 0 {
		rec, n, reason := decodeRecord(records)
		switch {
		case reason != "":
			return r.corrupt(false, h.last(), reason)
		case rec.LSN != lsn:
			return r.corrupt(false, h.last(), fmt.Sprintf("record has LSN %d in the place of %d", rec.LSN, lsn))
		case rec.Time < at:
			return r.corrupt(false, h.last(), fmt.Sprintf("time of LSN %d goes back", lsn))
		}
		if lsn == seg.First {
			firstTime = rec.Time
		}
		if rec.Type == TypeRestorePoint {
			if p, err := DecodeRestorePoint(rec.Payload); err == nil {
				seg.Points = append(seg.Points, Point{Name: p.Name, LSN: lsn, Time: rec.Time})
			}
		}
		records, lsn, at = records[n:], lsn+1, rec.Time
	}
	if lsn != h.last()+1 {
		return r.corrupt(false, h.last(), fmt.Sprintf("frame holds %d records, its header says %d", lsn-h.first, h.count))
	}
	for _, b := range r.body[h.bodyLen:] {
		if b != 0 {
			return r.corrupt(false, h.last(), "padding not zero")
		}
	}
	seg.Last, seg.Records, seg.FirstTime, seg.LastTime = h.last(), seg.Records+uint64(h.count), firstTime, at
	r.frame, r.rest = h, r.body[:h.bodyLen]
	r.advance(h, head)
	return nil
}

// acceptFooter holds the footer against everything that was read.
func (r *SegmentReader) acceptFooter(h frameHeader, head []byte) error {
	f, reason := decodeFooter(r.preamble.First, h, r.body)
	if reason != "" {
		return r.corrupt(false, 0, reason)
	}
	seg := &r.seg
	last := seg.LastTime
	if seg.Records == 0 {
		last = seg.FirstTime
	}
	switch {
	case f.Last != seg.Last || f.Records != seg.Records:
		return r.corrupt(false, f.Last, "footer's LSNs differ from the records")
	case f.FirstTime != seg.FirstTime || f.LastTime != last:
		return r.corrupt(false, f.Last, "footer's times differ from the records")
	case [32]byte(r.sum.Sum(nil)) != f.Sum:
		return r.corrupt(false, f.Last, "footer's SHA-256 differs from the segment")
	case !equalPoints(f.Points, seg.Points):
		return r.corrupt(false, f.Last, "footer's restore points differ from the records")
	}
	r.frame, r.footer = h, f
	r.advance(h, head)
	seg.Sealed = true
	seg.SHA256 = [32]byte(r.sum.Sum(nil))
	return io.EOF
}

func (r *SegmentReader) advance(h frameHeader, head []byte) {
	r.sum.Write(head)
	r.sum.Write(r.body)
	r.frameT = r.at
	r.at += h.size()
	r.seg.Bytes = r.at
}

func equalPoints(a, b []Point) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
