package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// sealedSegment opens a segment for ranged reads: its own object, or its part
// of a pack.
func (a *Archive) sealedSegment(ctx context.Context, s SegmentEntry) (io.ReaderAt, int64, error) {
	if !s.PackedOnly {
		sealed, err := a.OpenSealed(ctx, s.SegmentKey, s.Size)
		if err == nil {
			return sealed, sealed.Size(), nil
		}
		if s.Packed == nil || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCold) {
			return nil, 0, err
		}
	}
	r := &rangeReader{ctx: ctx, s: a.store, key: s.Packed.Pack.Object.Key}
	if err := a.prefetchPack(r, s.Packed); err != nil {
		return nil, 0, err
	}
	part, err := a.packPart(r, s.Packed)
	return part, s.Packed.Bytes, err
}

// prefetchPack fetches what is needed of a pack before any of its frames.
func (a *Archive) prefetchPack(r *rangeReader, p *Packed) error {
	size, ends := p.Pack.Size, [][2]int64{{max(0, p.Pack.Size-sealedTailReadBytes), p.Pack.Size}}
	if p.Pack.Age.Encrypted() {
		if a.ids == nil {
			return a.keyMissing(r.ctx, r.key, p.Pack.Age.Recipients)
		}
		ends = sealedEnds(size - p.tail)
	}
	for _, w := range ends {
		if err := r.prefetch(w[0], w[1]); err != nil {
			return fmt.Errorf("open sealed: %w", err)
		}
	}
	return nil
}

// packPart is the segment in the content of the pack that r reads.
func (a *Archive) packPart(r *rangeReader, p *Packed) (*io.SectionReader, error) {
	from, size := io.ReaderAt(r), p.Pack.Size
	if p.Pack.Age.Encrypted() {
		var err error
		if from, size, err = a.decryptAt(r.key, p.Pack.Age.Recipients, r, size-p.tail); err != nil {
			return nil, err
		}
	}
	sealed, err := OpenSealed(from, size, r.key)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(sealed, p.Offset, p.Bytes), nil
}

// OpenPacked streams a segment out of a pack whose whole object is in memory.
// Errors have the classes of OpenSegment's.
func (a *Archive) OpenPacked(ctx context.Context, p *Packed, pack []byte) (io.Reader, error) {
	key := p.Pack.Object.Key
	r := &rangeReader{ctx: ctx, s: a.store, key: key, windows: []window{{0, pack}}}
	part, err := a.packPart(r, p)
	if err != nil {
		return nil, a.segmentErr(key, err)
	}
	return &errReader{r: part, err: func(err error) error { return a.segmentErr(key, err) }}, nil
}

// openPacked streams a segment out of a pack, fetching only its frames.
func (a *Archive) openPacked(ctx context.Context, s SegmentEntry) (io.ReadCloser, error) {
	s.PackedOnly = true
	key := s.Packed.Pack.Object.Key
	r, n, err := a.sealedSegment(ctx, s)
	if err != nil {
		return nil, a.segmentErr(key, err)
	}
	body := &errReader{r: io.NewSectionReader(r, 0, n), err: func(err error) error { return a.segmentErr(key, err) }}
	return io.NopCloser(body), nil
}

// errReader gives the errors of a reader their place.
type errReader struct {
	r   io.Reader
	err func(error) error
}

func (e *errReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = e.err(err)
	}
	return n, err
}
