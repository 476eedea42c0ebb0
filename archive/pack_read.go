package archive

import (
	"bytes"
	"context"
	"crypto/md5"
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

	tail int64 // bytes of an encrypted pack's object that are not encrypted
}

// openPack reads the index at the end of a pack: two requests at most. It
// takes no key.
func (a *Archive) openPack(ctx context.Context, e PackEntry) (*packIndex, error) {
	r := &rangeReader{ctx: ctx, s: a.store, key: e.Object.Key}
	if err := r.prefetch(max(0, e.Size-sealedTailReadBytes), e.Size); err != nil {
		return nil, a.segmentErr(e.Object.Key, fmt.Errorf("open pack: %w", err))
	}
	x, err := a.indexOf(r, e)
	if err != nil {
		return nil, a.packErr(e.Object.Key, err)
	}
	return x, nil
}

func (a *Archive) indexOf(r *rangeReader, e PackEntry) (*packIndex, error) {
	if e.Age.Encrypted() {
		return readPackIndex(r, e.Size, -1, e.PackKey)
	}
	sealed, err := OpenSealed(r, e.Size, e.Object.Key)
	if err != nil {
		return nil, err
	}
	return readPackIndex(sealed, sealed.Size(), 0, e.PackKey)
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

// readPackIndex reads the index at the end of r, which has size bytes: those
// before it are the content, unless unknown is below zero.
func readPackIndex(r io.ReaderAt, size, unknown int64, k PackKey) (*packIndex, error) {
	trailer := make([]byte, packTrailerLen)
	if size < packTrailerLen {
		return nil, errors.New("it is too short for a pack")
	}
	if err := readFullAt(r, trailer, size-packTrailerLen); err != nil {
		return nil, err
	}
	n, err := packIndexLen(trailer)
	if err != nil {
		return nil, err
	}
	if n > size {
		return nil, errors.New("its index is longer than itself")
	}
	data := make([]byte, n)
	if err := readFullAt(r, data, size-n); err != nil {
		return nil, err
	}
	content := size - n
	if unknown < 0 {
		content = unknown
	}
	x, err := decodePackIndex(data, content)
	if err != nil {
		return nil, err
	}
	if x.Timeline != k.Timeline || x.Entries[0].First != k.First || x.Entries[len(x.Entries)-1].Last != k.Last {
		return nil, errors.New("it holds other LSNs than its name says")
	}
	return x, nil
}

// VerifyPack reads a whole pack again: its hash and that of every segment in
// it. *ObjectError when it is not what its name says. Memory is bounded. Where
// no identity opens it, its bytes are held against the hash of them in the
// name, which was drawn from content that had been proven.
func (a *Archive) VerifyPack(ctx context.Context, e PackEntry) error {
	err := a.ReadPack(ctx, e, func(_ SegmentKey, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if !errors.Is(err, ErrKeyMissing) {
		return err
	}
	if _, err := a.openPack(ctx, e); err != nil {
		return err
	}
	body, err := a.store.ReadRange(ctx, e.Object.Key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	sum := md5.New()
	if _, err := io.Copy(sum, body); err != nil {
		return err
	}
	return a.namedBytes(e, sum.Sum(nil))
}

// namedBytes compares the MD5 of an encrypted pack's bytes with its name.
func (a *Archive) namedBytes(e PackEntry, sum []byte) error {
	if bytes.Equal(sum[:len(e.Age.MD5)], e.Age.MD5[:]) {
		return nil
	}
	return objectErr(a.store, e.Object.Key, fmt.Sprintf("its bytes have MD5 %x", sum), nil)
}

// ReadPack reads a whole pack, and passes each segment in it to each, which
// may read less than all of it. The hash of each segment and of the whole are
// compared; the first difference, and the first error of each, ends it.
func (a *Archive) ReadPack(ctx context.Context, e PackEntry, each func(SegmentKey, io.Reader) error) error {
	if e.Age.Encrypted() && a.ids == nil {
		return a.keyMissing(ctx, e.Object.Key, e.Age.Recipients)
	}
	x, err := a.openPack(ctx, e)
	if err != nil {
		return err
	}
	body, err := a.store.ReadRange(ctx, e.Object.Key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	sum := md5.New()
	src := io.TeeReader(body, sum)
	plain, err := a.unsealPack(ctx, e, x, src)
	if err != nil {
		return a.segmentErr(e.Object.Key, err)
	}
	defer func() { _ = plain.Close() }()
	if err := a.walkPack(e, x, plain, each); err != nil || !e.Age.Encrypted() {
		return err
	}
	tail, err := io.ReadAll(io.LimitReader(src, x.len()+1))
	if err != nil {
		return err
	}
	if !bytes.Equal(tail, x.encode()) {
		return objectErr(a.store, e.Object.Key, "it ends with another index", nil)
	}
	return a.namedBytes(e, sum.Sum(nil))
}

// unsealPack is Unseal, up to the index that is not encrypted. src is the
// object from its first byte.
func (a *Archive) unsealPack(ctx context.Context, e PackEntry, x *packIndex, src io.Reader) (io.ReadCloser, error) {
	if e.Age.Encrypted() {
		src = io.LimitReader(src, e.Size-x.len())
	}
	return a.Unseal(ctx, e.PackKey, src)
}

func (a *Archive) walkPack(e PackEntry, x *packIndex, plain io.Reader, each func(SegmentKey, io.Reader) error) error {
	whole := sha256.New()
	all := io.TeeReader(plain, whole)
	for i := range x.Entries {
		one := sha256.New()
		part := &io.LimitedReader{R: io.TeeReader(all, one), N: x.Entries[i].Bytes}
		k := x.Entries[i].key(x.Timeline)
		k.Age = e.Age
		if err := each(k, part); err != nil {
			return a.segmentErr(e.Object.Key, err)
		}
		if _, err := io.Copy(io.Discard, part); err != nil {
			return a.segmentErr(e.Object.Key, err)
		}
		if part.N != 0 || [32]byte(one.Sum(nil)) != x.Entries[i].SHA256 {
			return objectErr(a.store, e.Object.Key, fmt.Sprintf("its segment %s is another one", k.Content()), nil)
		}
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return a.segmentErr(e.Object.Key, err)
	}
	if Short([32]byte(whole.Sum(nil))) != e.SHA16 {
		return objectErr(a.store, e.Object.Key, fmt.Sprintf("its content has SHA-256 %x", whole.Sum(nil)), nil)
	}
	return nil
}
