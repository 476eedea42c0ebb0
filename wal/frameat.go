package wal

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
)

// FrameOffset is where in the segment the frame begins that holds the record
// that Next returned last: [ReadFrame] reads it again.
func (r *SegmentReader) FrameOffset() int64 { return r.frameT }

// ReadFrame reads and verifies one batch frame: src begins at its first byte,
// which is at offset in the segment that begins with p. It reads no more than the
// frame and what a buffer takes. The frame's own checksums are all that is
// compared, not its place in the whole. The records are the caller's.
func ReadFrame(src io.Reader, p Preamble, offset int64, name string) ([]Record, error) {
	const bufferBytes = 32 << 10
	r := &SegmentReader{
		name: name, src: bufio.NewReaderSize(src, bufferBytes), sum: sha256.New(),
		preamble: p, started: true, sealer: newSealer(p.Salt, p.First), at: offset,
		seg: Segment{Path: name, First: p.First, Last: p.First - 1, LastTime: p.TimeFloor},
	}
	head, err := r.src.Peek(frameHeaderLen)
	switch {
	case ended(err):
		return nil, r.corrupt(false, 0, "no frame at this offset")
	case err != nil:
		return nil, fmt.Errorf("read segment %s at offset %d: %w", name, offset, err)
	}
	h, verdict, reason := r.sealer.openHeader(head, offset)
	switch {
	case verdict == headerDamaged:
		return nil, r.corrupt(false, 0, reason)
	case verdict == headerValid && (h.kind != kindBatch || h.first < p.First):
		return nil, r.corrupt(false, 0, "the frame at this offset holds no records of the segment")
	}
	r.seg.Last = h.first - 1
	if err := r.nextFrame(); err != nil {
		return nil, err
	}
	records := make([]Record, 0, h.count)
	for rest := r.rest; len(rest) > 0; {
		rec, n, _ := decodeRecord(rest) // was verified with its frame
		records, rest = append(records, rec), rest[n:]
	}
	return records, nil
}
