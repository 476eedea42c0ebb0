package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	dirMode  = 0o755
	fileMode = 0o644

	// tempTriesMax bounds how often Create starts again when somebody removes
	// the directory or the temporary file under it.
	tempTriesMax = 4
)

// Create writes a temporary file beside the target, syncs it, links it to its
// name (which fails when the name is taken, also between processes), removes
// the temporary name and syncs the directory.
func (s *fileStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if err := checkKey(key); err != nil {
		return s.fail(ctx, "create", key, err)
	}
	if size < 0 {
		return s.fail(ctx, "create", key, fmt.Errorf("%w: size %d", ErrRefused, size))
	}
	src := &source{body: body, size: size}
	_, err := await(ctx, s, func() (struct{}, error) {
		var err error
		for range tempTriesMax {
			err = s.create(ctx, key, src.reader(), size)
			if !errors.Is(err, errRestart) {
				break
			}
		}
		return struct{}{}, err
	})
	return s.created(ctx, key, src, err)
}

// created ends the use of the body and gives the outcome its class.
func (s *fileStore) created(ctx context.Context, key string, src *source, err error) error {
	serr := src.stop()
	switch {
	case err == nil:
		return nil
	case serr != nil && ctx.Err() == nil:
		return &StoreError{Op: "create", Store: s.shown, Key: key, Class: ErrBody, Err: serr}
	}
	return s.fail(ctx, "create", key, err)
}

// errRestart: the ground under a Create was removed; nothing was published.
var errRestart = errors.New("directory or temporary file was removed meanwhile")

func (s *fileStore) create(ctx context.Context, key string, body io.Reader, size int64) error {
	root, err := s.openRoot()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	dir := path.Dir(key)
	if err := s.settle(root, dir); err != nil {
		return err
	}
	if _, err := root.Lstat(key); err == nil {
		return s.taken(root, key)
	}
	tmp, f, err := createTemp(root, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			s.settled.Clear()
			return errors.Join(errRestart, err)
		}
		return err
	}
	// The lock on the open file tells other processes that the temporary file
	// is alive; it goes with the descriptor.
	defer func() {
		_ = root.Remove(tmp)
		_ = f.Close()
	}()
	if err := s.fill(ctx, f, body, size); err != nil {
		return err
	}
	return s.publish(ctx, root, tmp, key)
}

// fill writes the content and makes it durable.
func (s *fileStore) fill(ctx context.Context, f *os.File, body io.Reader, size int64) error {
	n, err := io.CopyBuffer(onlyWriter{f}, readerCtx{ctx, body}, make([]byte, copyBufferBytes))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	// Crash here: a temporary file is left, which nobody sees as an object
	// and a later Create in this directory removes.
	return s.sync(f)
}

func (s *fileStore) publish(ctx context.Context, root *os.Root, tmp, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch err := root.Link(tmp, key); {
	case errors.Is(err, fs.ErrExist):
		return s.taken(root, key)
	case errors.Is(err, fs.ErrNotExist):
		return errors.Join(errRestart, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: the file system has no hard links, which create-only needs; use ext4, xfs, btrfs, zfs or NFS: %w", ErrRefused, err)
	case err != nil:
		return err
	}
	_ = root.Remove(tmp)
	// Crash here: the object is there, whole, or it is not; the caller was not
	// told that it is.
	return s.syncDir(root, path.Dir(key))
}

// taken reports an existing object, durable: whoever linked it may not have
// synced the directory yet, and our caller may build on the answer.
func (s *fileStore) taken(root *os.Root, key string) error {
	info, err := root.Lstat(key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.Join(errRestart, err)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: a %s is in the object's place", ErrRefused, kindOf(info.Mode()))
	}
	if err := s.syncDir(root, path.Dir(key)); err != nil {
		return err
	}
	return ErrExists
}

func kindOf(m fs.FileMode) string {
	if m.IsDir() {
		return "directory"
	}
	return "special file"
}

// openRoot opens the store's directory, making it and its parents when they
// are missing.
func (s *fileStore) openRoot() (*os.Root, error) {
	root, err := s.openDir()
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	if _, ok := s.settled.Load("."); ok && !missing {
		return root, nil
	}
	if missing {
		if err := os.MkdirAll(s.dir, dirMode); err != nil {
			return nil, err
		}
		if root, err = s.openDir(); err != nil {
			return nil, err
		}
	}
	if err := s.syncParents(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	s.settled.Store(".", nil)
	return root, nil
}

// syncParents makes the name of the store's directory durable, and those of
// all directories above, whoever made them: this process, another one, or an
// earlier try that failed half-way. No object can be durable below a name
// that is not. Directories that we may not read were not made by us.
func (s *fileStore) syncParents() error {
	for d := filepath.Dir(s.dir); ; d = filepath.Dir(d) {
		f, err := os.Open(d)
		if err == nil {
			err = errors.Join(s.sync(f), f.Close())
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EINVAL) {
			return err
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// settle makes dir and its parents durable, and clears dir of what dead
// writers left. A directory that is there already may be another process's
// unsynced one, so the first use syncs it in any case.
func (s *fileStore) settle(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if _, ok := s.settled.Load(dir); ok {
		return nil
	}
	if err := s.settle(root, path.Dir(dir)); err != nil {
		return err
	}
	err := root.Mkdir(dir, dirMode)
	switch {
	case errors.Is(err, fs.ErrExist):
		if err := sweepTemps(root, dir); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrNotExist):
		s.settled.Clear()
		return errors.Join(errRestart, err)
	case err != nil:
		return err
	}
	if err := s.syncDir(root, path.Dir(dir)); err != nil {
		return err
	}
	s.settled.Store(dir, nil)
	return nil
}

// sweepTemps removes temporary files whose writer is gone. A living writer
// holds a lock on its file, in whatever process it lives.
func sweepTemps(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		full := path.Join(dir, name)
		f, err := root.OpenFile(full, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			continue // gone meanwhile, or not ours to read
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = root.Remove(full)
		}
		_ = f.Close()
	}
	return nil
}

// createTemp makes a locked temporary file in dir. Between its creation and
// its lock a sweeper may take it for dead: then another one is made.
func createTemp(root *os.Root, dir string) (string, *os.File, error) {
	for range tempTriesMax {
		name := path.Join(dir, tempPrefix+rand.Text())
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if err != nil {
			return "", nil, err
		}
		lerr := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if _, err := root.Lstat(name); err == nil && !errors.Is(lerr, unix.EWOULDBLOCK) {
			return name, f, nil
		}
		_ = root.Remove(name)
		_ = f.Close()
	}
	return "", nil, errRestart
}

// readerCtx ends a copy when ctx ends.
type readerCtx struct {
	ctx context.Context
	r   io.Reader
}

func (r readerCtx) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
