package archive

import (
	"context"
	"errors"
	"io"
)

// OpenSegmentAt opens a segment for ranged reads of what it is before
// compression: its own object, or its part of a pack. It takes the requests of
// OpenSealed, each read that no earlier one answers one more; ctx covers them.
// Errors have the classes of OpenSegment's.
func (a *Archive) OpenSegmentAt(ctx context.Context, s SegmentEntry) (io.ReaderAt, int64, error) {
	key := s.Object.Key
	if s.PackedOnly {
		key = s.Packed.Pack.Object.Key
	}
	r, n, err := a.sealedSegment(ctx, s)
	if err != nil {
		return nil, 0, a.segmentErr(key, err)
	}
	return &errReaderAt{r: r, err: func(err error) error { return a.segmentErr(key, err) }}, n, nil
}

// errReaderAt gives the errors of a reader their place.
type errReaderAt struct {
	r   io.ReaderAt
	err func(error) error
}

func (e *errReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := e.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = e.err(err)
	}
	return n, err
}
