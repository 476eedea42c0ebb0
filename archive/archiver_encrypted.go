package archive

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"slices"
)

// findEncrypted looks for the segment among encrypted objects that are, or may
// be, in the store already: one that an earlier attempt sent whose answer was
// lost, or that a listing showed. It takes no key to prove such an object, its
// name tells what its bytes are. One that is damaged is left where it is: the
// next encryption has another name.
func (s *storeRun) findEncrypted(ctx context.Context, it *item) (bool, error) {
	s.a.mu.Lock()
	sent := it.at[s.index].sent
	names := slices.Clone(s.present[it.key])
	for _, k := range s.ahead {
		if k.Content() == it.key {
			names = append(names, k)
		}
	}
	s.a.mu.Unlock()
	if sent != nil && sent.key.Age.Encrypted() {
		err := matches(ctx, s.Store, Join(s.a.opts.Epoch.NodeID, sent.key), &sent.proof)
		if err == nil {
			return true, s.confirm(ctx, it, sent)
		}
		if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
			return false, fmt.Errorf("look for an earlier upload: %w", err)
		}
	}
	for _, k := range names {
		if !k.Age.Encrypted() {
			continue
		}
		_, err := matchesName(ctx, s.Store, Join(s.a.opts.Epoch.NodeID, k), k.Age)
		if err == nil {
			return true, s.confirm(ctx, it, &upload{key: k})
		}
		if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
			return false, fmt.Errorf("look for an earlier upload: %w", err)
		}
	}
	return false, nil
}

// matchesName tells whether an encrypted object is the bytes that its name
// says: by the MD5 that the store reports, else by reading it. *ObjectError
// when it is not. It returns the whole MD5 and the size.
func matchesName(ctx context.Context, s Store, full string, want Age) (Object, error) {
	obj, err := s.Stat(ctx, full)
	if err != nil {
		return Object{}, err
	}
	if len(obj.MD5) == md5.Size && bytes.Equal(obj.MD5[:len(want.MD5)], want.MD5[:]) {
		return obj, nil
	}
	// What a store reports may be the hash of something else, such as of the
	// bytes as it encrypted them itself.
	r, err := s.ReadRange(ctx, full, 0, -1)
	if err != nil {
		return Object{}, err
	}
	defer func() { _ = r.Close() }()
	sum := md5.New()
	if obj.Size, err = io.Copy(sum, r); err != nil {
		return Object{}, err
	}
	obj.MD5 = sum.Sum(nil)
	if !bytes.Equal(obj.MD5[:len(want.MD5)], want.MD5[:]) {
		return Object{}, objectErr(s, full, fmt.Sprintf("reads as %d bytes with MD5 %x, its name says %s…", obj.Size, obj.MD5, want.MD5), nil)
	}
	return obj, nil
}
