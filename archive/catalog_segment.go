package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nodedb-go/nodedb/wal"
)

// SegmentInfo is what the two ends of a segment tell.
type SegmentInfo struct {
	Preamble wal.Preamble
	Footer   wal.Footer
	Bytes    int64 // of the segment before compression
}

// SegmentInfo reads a segment's preamble and footer, with two requests of a
// few KiB (of about 70 KiB where it is encrypted). What it tells is checked by checksums of its own and against the
// name, but the records in between are not read. Errors are the store's, or
// match ErrCorrupt or ErrVersion.
func (a *Archive) SegmentInfo(ctx context.Context, s SegmentEntry) (SegmentInfo, error) {
	info, err := a.segmentInfo(ctx, s)
	if err != nil {
		return SegmentInfo{}, a.segmentErr(s.Object.Key, err)
	}
	return info, nil
}

func (a *Archive) segmentInfo(ctx context.Context, s SegmentEntry) (SegmentInfo, error) {
	key := s.Object.Key
	sealed, size, err := a.sealedSegment(ctx, s)
	if err != nil {
		return SegmentInfo{}, err
	}
	info := SegmentInfo{Bytes: size}
	if info.Bytes < wal.PreambleLen+wal.FooterTrailerLen {
		return SegmentInfo{}, fmt.Errorf("%w: %d bytes are no segment", ErrCorrupt, info.Bytes)
	}
	head := make([]byte, wal.PreambleLen)
	if err := readFullAt(sealed, head, 0); err != nil {
		return SegmentInfo{}, err
	}
	if info.Preamble, err = wal.DecodePreamble(head, key); err != nil {
		return SegmentInfo{}, err
	}
	trailer := make([]byte, wal.FooterTrailerLen)
	if err := readFullAt(sealed, trailer, info.Bytes-wal.FooterTrailerLen); err != nil {
		return SegmentInfo{}, err
	}
	n, err := wal.FooterLen(trailer)
	if err != nil {
		return SegmentInfo{}, err
	}
	if int64(n) > info.Bytes {
		return SegmentInfo{}, fmt.Errorf("%w: footer longer than the segment", ErrCorrupt)
	}
	tail := make([]byte, n)
	if err := readFullAt(sealed, tail, info.Bytes-int64(n)); err != nil {
		return SegmentInfo{}, err
	}
	if info.Footer, err = wal.DecodeFooter(info.Preamble, tail, info.Bytes, key); err != nil {
		return SegmentInfo{}, err
	}
	return info, matchName(info, a.nodeID, s.SegmentKey)
}

// matchName finds an object that was put under another's name.
func matchName(i SegmentInfo, nodeID string, k SegmentKey) error {
	p, f := i.Preamble, i.Footer
	if p.NodeID != nodeID || p.Timeline != k.Timeline || p.Epoch != k.Epoch || p.First != k.First || f.Last != k.Last {
		return fmt.Errorf("%w: it holds LSNs %d to %d of node %q, timeline %d, epoch %d, which is not what its name says",
			ErrCorrupt, p.First, f.Last, p.NodeID, p.Timeline, p.Epoch)
	}
	return nil
}

func readFullAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: it ends early", ErrCorrupt)
	}
	return err
}

// segmentErr gives errors of the segment format the archive's classes, and
// damage its place.
func (a *Archive) segmentErr(key string, err error) error {
	var oe *ObjectError
	switch {
	case errors.Is(err, wal.ErrVersion):
		return fmt.Errorf("read %s in %s: %w: %w", key, a.store.URL(), ErrVersion, err)
	case errors.As(err, &oe):
		damaged := *oe
		damaged.Store, damaged.Key = a.store.URL(), key
		return &damaged
	case errors.Is(err, ErrCorrupt), errors.Is(err, wal.ErrCorrupt), errors.Is(err, wal.ErrMagic):
		return &ObjectError{Store: a.store.URL(), Key: key, Offset: -1, Reason: "its segment cannot be read", Err: err}
	}
	return err
}

// OpenSegment streams a whole segment, decrypted and decompressed; what reads
// it verifies its checksums. The caller closes it.
func (a *Archive) OpenSegment(ctx context.Context, s SegmentEntry) (io.ReadCloser, error) {
	if s.PackedOnly {
		return a.openPacked(ctx, s)
	}
	body, err := a.OpenContent(ctx, s.SegmentKey)
	if s.Packed != nil && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrCold)) {
		return a.openPacked(ctx, s) // expired since the listing, or not to be read now
	}
	if err != nil {
		return nil, a.segmentErr(s.Object.Key, err)
	}
	return &segmentBody{ReadCloser: body, err: func(err error) error { return a.segmentErr(s.Object.Key, err) }}, nil
}

// segmentBody gives errors their classes.
type segmentBody struct {
	io.ReadCloser
	err func(error) error
}

func (b *segmentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.err(err)
	}
	return n, err
}
