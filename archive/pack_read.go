package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// PackEntry is a pack's object.
type PackEntry struct {
	PackKey
	Object
}

func (e PackEntry) String() string { return e.PackKey.String() }

// Packed says where in a pack a segment is.
type Packed struct {
	Pack   PackEntry
	Offset int64 // in the pack's content
	Bytes  int64 // of the segment
	SHA256 [32]byte

	ContentBytes int64 // of all segments of the pack
}

// openPack reads the end of a pack: two requests at most.
func (a *Archive) openPack(ctx context.Context, e PackEntry) (*Sealed, *packIndex, error) {
	sealed, err := OpenSealedObject(ctx, a.store, e.Object.Key, e.Size)
	if err != nil {
		return nil, nil, a.segmentErr(e.Object.Key, err)
	}
	x, err := readPackIndex(sealed, e.PackKey)
	if err != nil {
		return nil, nil, a.packErr(e.Object.Key, err)
	}
	return sealed, x, nil
}

// packErr tells damage and later versions from trouble of the store.
func (a *Archive) packErr(key string, err error) error {
	var se *StoreError
	switch {
	case errors.Is(err, ErrVersion), errors.Is(err, ErrCorrupt), errors.As(err, &se), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return a.segmentErr(key, err)
	}
	return &ObjectError{Store: a.store.URL(), Key: key, Offset: -1, Reason: "it is no pack", Err: err}
}

func readPackIndex(sealed *Sealed, k PackKey) (*packIndex, error) {
	trailer := make([]byte, packTrailerLen)
	if sealed.Size() < packTrailerLen {
		return nil, errors.New("it is too short for a pack")
	}
	if err := readFullAt(sealed, trailer, sealed.Size()-packTrailerLen); err != nil {
		return nil, err
	}
	n, err := packIndexLen(trailer)
	if err != nil {
		return nil, err
	}
	if n > sealed.Size() {
		return nil, errors.New("its index is longer than itself")
	}
	data := make([]byte, n)
	if err := readFullAt(sealed, data, sealed.Size()-n); err != nil {
		return nil, err
	}
	x, err := decodePackIndex(data, sealed.Size()-n)
	if err != nil {
		return nil, err
	}
	if x.Timeline != k.Timeline || x.Entries[0].First != k.First || x.Entries[len(x.Entries)-1].Last != k.Last {
		return nil, errors.New("it holds other LSNs than its name says")
	}
	return x, nil
}

// VerifyPack reads a whole pack again: its hash and that of every segment in
// it. *ObjectError when it is not what its name says. Memory is bounded.
func (a *Archive) VerifyPack(ctx context.Context, e PackEntry) error {
	_, x, err := a.openPack(ctx, e)
	if err != nil {
		return err
	}
	body, err := a.store.ReadRange(ctx, e.Object.Key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	plain, err := Unseal(body)
	if err != nil {
		return a.segmentErr(e.Object.Key, err)
	}
	defer func() { _ = plain.Close() }()
	whole := sha256.New()
	for i := range x.Entries {
		one := sha256.New()
		n, err := io.Copy(io.MultiWriter(whole, one), io.LimitReader(plain, x.Entries[i].Bytes))
		if err != nil {
			return a.segmentErr(e.Object.Key, err)
		}
		if n != x.Entries[i].Bytes || [32]byte(one.Sum(nil)) != x.Entries[i].SHA256 {
			return objectErr(a.store, e.Object.Key, fmt.Sprintf("its segment %s is another one", x.Entries[i].key(x.Timeline)), nil)
		}
	}
	if _, err := io.Copy(whole, plain); err != nil {
		return a.segmentErr(e.Object.Key, err)
	}
	if Short([32]byte(whole.Sum(nil))) != e.SHA16 {
		return objectErr(a.store, e.Object.Key, fmt.Sprintf("its content has SHA-256 %x", whole.Sum(nil)), nil)
	}
	return nil
}

// sealedSegment opens a segment for ranged reads: its own object, or its part
// of a pack.
func (a *Archive) sealedSegment(ctx context.Context, s SegmentEntry) (io.ReaderAt, int64, error) {
	if s.Packed == nil {
		sealed, err := a.OpenSealed(ctx, s.SegmentKey, s.Size)
		if err != nil {
			return nil, 0, err
		}
		return sealed, sealed.Size(), nil
	}
	sealed, err := OpenSealedObject(ctx, a.store, s.Packed.Pack.Object.Key, s.Packed.Pack.Size)
	if err != nil {
		return nil, 0, err
	}
	return io.NewSectionReader(sealed, s.Packed.Offset, s.Packed.Bytes), s.Packed.Bytes, nil
}

// openPacked streams a segment out of a pack, fetching only its frames.
func (a *Archive) openPacked(ctx context.Context, s SegmentEntry) (io.ReadCloser, error) {
	r, n, err := a.sealedSegment(ctx, s)
	if err != nil {
		return nil, a.segmentErr(s.Packed.Pack.Object.Key, err)
	}
	body := &errReader{r: io.NewSectionReader(r, 0, n), err: func(err error) error { return a.segmentErr(s.Packed.Pack.Object.Key, err) }}
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
