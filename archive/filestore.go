package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// hungOpsMax bounds the calls that a dead mount can hold at once.
const hungOpsMax = 64

// fileStore keeps each object in a file of its own below a directory. It is
// safe for several stores in several processes on one directory, and it never
// leaves that directory: symbolic links that point outside are not followed.
type fileStore struct {
	// Immutable.
	dir   string
	shown string
	slots chan struct{} // one for each running system call, see await
	sync  func(*os.File) error

	// Directories whose own names were synced since this store was opened;
	// the key is the path below dir. Entries are only ever hints to skip work
	// that was done; they are dropped when a directory turns out to be gone.
	settled sync.Map
}

// NewFileStore opens a durable store below dir. The directory is made, with
// its parents, by the first Create; until then the store is empty.
func NewFileStore(dir string) (Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: directory %q: %v", ErrBadURL, dir, err)
	}
	return &fileStore{
		dir:   abs,
		shown: (&url.URL{Scheme: "file", Path: abs}).String(),
		slots: make(chan struct{}, hungOpsMax),
		sync:  (*os.File).Sync,
	}, nil
}

func (s *fileStore) URL() string { return s.shown }

func (s *fileStore) Close() error { return nil }

func (s *fileStore) fail(ctx context.Context, op, key string, err error) error {
	return storeError(ctx, op, s.shown, key, err)
}

// await runs f, which makes system calls that ctx cannot interrupt, and gives
// up waiting when ctx ends: a dead network mount then costs its caller no
// more than the deadline. The goroutine stays until the mount answers, so the
// number of such calls is bounded.
func await[T any](ctx context.Context, s *fileStore, f func() (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return zero, ctx.Err()
	}
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-s.slots }()
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

func (s *fileStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, s.fail(ctx, "read", key, err)
	}
	if off < 0 {
		return nil, s.fail(ctx, "read", key, fmt.Errorf("%w: offset %d is negative", ErrRefused, off))
	}
	type opened struct {
		f    *os.File
		size int64
	}
	o, err := await(ctx, s, func() (opened, error) {
		f, size, err := s.openObject(key)
		if err == nil && ctx.Err() != nil { // nobody waits any more
			_ = f.Close()
			return opened{}, ctx.Err()
		}
		return opened{f, size}, err
	})
	if err != nil {
		return nil, s.fail(ctx, "read", key, err)
	}
	want := max(o.size-off, 0)
	if n >= 0 {
		want = min(want, n)
	}
	body := struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(o.f, off, want), o.f}
	return &bodyReader{ctx: ctx, r: body, left: want, fail: func(err error) error {
		return s.fail(ctx, "read", key, err)
	}}, nil
}

// openObject opens a regular file. O_NONBLOCK keeps a pipe that someone put
// there from blocking the open.
func (s *fileStore) openObject(key string) (*os.File, int64, error) {
	root, err := s.openDir()
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(key, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, absent(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// absent says ErrNotExist where the path cannot hold an object: a file stands
// where a directory would have to be.
func absent(err error) error {
	if errors.Is(err, unix.ENOTDIR) {
		return fs.ErrNotExist
	}
	return err
}

// openDir opens the store's directory. One that is not there is an empty
// store; a file in its place is none.
func (s *fileStore) openDir() (*os.Root, error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if info, serr := os.Stat(s.dir); serr == nil && !info.IsDir() {
			return nil, fmt.Errorf("%w: %s is no directory", ErrNoStore, s.dir)
		}
	}
	return root, err
}

func (s *fileStore) Stat(ctx context.Context, key string) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, s.fail(ctx, "stat", key, err)
	}
	o, err := await(ctx, s, func() (Object, error) {
		root, err := s.openDir()
		if err != nil {
			return Object{}, err
		}
		defer func() { _ = root.Close() }()
		info, err := root.Lstat(key)
		if err == nil && !info.Mode().IsRegular() {
			err = fs.ErrNotExist
		}
		if err != nil {
			return Object{}, absent(err)
		}
		return Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
	})
	if err != nil {
		return Object{}, s.fail(ctx, "stat", key, err)
	}
	return o, nil
}

// Delete leaves the directories of the object: another process may be about
// to create in them.
func (s *fileStore) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return s.fail(ctx, "delete", key, err)
	}
	_, err := await(ctx, s, func() (struct{}, error) {
		root, err := s.openDir()
		if err != nil {
			return struct{}{}, err
		}
		defer func() { _ = root.Close() }()
		info, err := root.Lstat(key)
		if err == nil && !info.Mode().IsRegular() {
			err = fs.ErrNotExist
		}
		if err != nil {
			return struct{}{}, absent(err)
		}
		if err := root.Remove(key); err != nil {
			return struct{}{}, err
		}
		// Crash here: the object may come back, whole.
		return struct{}{}, s.syncDir(root, path.Dir(key))
	})
	if err != nil {
		return s.fail(ctx, "delete", key, err)
	}
	return nil
}

func (s *fileStore) syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(s.sync(d), d.Close())
}
