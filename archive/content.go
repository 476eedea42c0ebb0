package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Content of objects is read here, whatever it is encrypted and compressed
// with; nothing else knows how names tell that.

// WithIdentities is the same archive for a reader who holds these keys.
func (a *Archive) WithIdentities(ids *Identities) *Archive {
	b := *a
	b.ids = ids
	return &b
}

// Identities are those that the archive is read with; nil when there are none.
func (a *Archive) Identities() *Identities { return a.ids }

// encoding is what the name of an object says about its bytes.
func encoding(k Key) (zst bool, enc Age) {
	switch k := k.(type) {
	case SegmentKey:
		return true, k.Age
	case PackKey:
		return true, k.Age
	case ObjKey:
		return k.Zstd, k.Age
	}
	return false, Age{}
}

// OpenContent streams what the object k holds, decrypted and decompressed.
// Errors are the store's, *KeyMissingError, or match ErrCorrupt; many come
// while reading. The hash in the name is the caller's to compare. The caller
// closes the result.
func (a *Archive) OpenContent(ctx context.Context, k Key) (io.ReadCloser, error) {
	key := a.Key(k)
	if _, enc := encoding(k); enc.Encrypted() && a.ids == nil {
		return nil, a.keyMissing(ctx, key, enc.Recipients) // no need to ask for the object
	}
	body, err := a.store.ReadRange(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	plain, err := a.Unseal(ctx, k, body)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return &contentBody{plain, body}, nil
}

// contentBody closes the request together with the decompressor.
type contentBody struct {
	io.ReadCloser
	body io.Closer
}

func (b *contentBody) Close() error {
	return errors.Join(b.ReadCloser.Close(), b.body.Close())
}

// Unseal is OpenContent for the bytes of an object that the caller has: src is
// the object k from its first byte to its last. Closing the result does not
// close src. What is behind the encrypted part of a pack is the caller's to
// leave out.
func (a *Archive) Unseal(ctx context.Context, k Key, src io.Reader) (io.ReadCloser, error) {
	key := a.Key(k)
	zst, enc := encoding(k)
	if enc.Encrypted() {
		var err error
		if src, err = a.decrypt(ctx, key, enc.Recipients, src); err != nil {
			return nil, err
		}
	}
	if !zst {
		return io.NopCloser(src), nil
	}
	plain, err := Unseal(src)
	if err != nil {
		return nil, a.placed(key, err)
	}
	return &unsealed{ReadCloser: plain, a: a, key: key}, nil
}

// unsealed gives damage its place.
type unsealed struct {
	io.ReadCloser
	a   *Archive
	key string
}

func (u *unsealed) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = u.a.placed(u.key, err)
	}
	return n, err
}

// placed gives damage that was found in a stream the name of its object.
func (a *Archive) placed(key string, err error) error {
	var oe *ObjectError
	if !errors.As(err, &oe) || oe.Key != "" {
		return err
	}
	damaged := *oe
	damaged.Store, damaged.Key = a.store.URL(), key
	return &damaged
}

// OpenSealed opens an object for ranged reads of its content; size is its
// stored size. It takes one request of a few KiB, two of about 70 KiB when the
// object is encrypted. ctx covers all later reads.
func (a *Archive) OpenSealed(ctx context.Context, k Key, size int64) (*Sealed, error) {
	key := a.Key(k)
	zst, enc := encoding(k)
	if !zst {
		return nil, fmt.Errorf("%w: %s is not compressed, so not in frames", ErrBadKey, k)
	}
	if !enc.Encrypted() {
		return OpenSealedObject(ctx, a.store, key, size)
	}
	if a.ids == nil {
		return nil, a.keyMissing(ctx, key, enc.Recipients)
	}
	r := &rangeReader{ctx: ctx, s: a.store, key: key}
	for _, w := range sealedEnds(size) {
		if err := r.prefetch(w[0], w[1]); err != nil {
			return nil, fmt.Errorf("open sealed: %w", err)
		}
	}
	plain, n, err := a.decryptAt(key, enc.Recipients, r, size)
	if err != nil {
		return nil, err
	}
	return OpenSealed(plain, n, key)
}

// sealedEnds are the ranges of an encrypted object that hold its header, a
// segment's preamble, the seek table and a segment's footer: all of it when it
// is small.
func sealedEnds(size int64) [][2]int64 {
	const tail = sealedTailReadBytes + ageSealedChunk
	if size <= ageHeadReadBytes+tail {
		return [][2]int64{{0, size}}
	}
	return [][2]int64{{0, ageHeadReadBytes}, {size - tail, size}}
}
