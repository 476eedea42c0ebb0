package faultfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrInjected is the error of a fault that names no other.
var ErrInjected = errors.New("faultfs: injected")

// Kind is a kind of mutating operation.
type Kind uint8

// Kinds of operations. Opening, reading, locking and closing are not counted.
const (
	Create Kind = iota + 1 // create a file, or open it for writing
	Write                  // write into a file
	Sync                   // sync a file or a directory
	Rename
	Remove
	Link
	Mkdir
)

var kindNames = [...]string{"?", "create", "write", "sync", "rename", "remove", "link", "mkdir"}

// String returns a word.
func (k Kind) String() string { return kindNames[min(int(k), len(kindNames)-1)] }

// Op is one mutating operation.
type Op struct {
	N     int64 // 1 for the first
	Kind  Kind
	Path  string // of the file; the old name of a rename or link
	Bytes int    // of a write
}

// String describes the operation for a test's log.
func (o Op) String() string { return fmt.Sprintf("op %d: %s %s", o.N, o.Kind, o.Path) }

// Fault says which operation fails and how.
type Fault struct {
	At    int64             // the first operation that may fail
	Kinds []Kind            // none: all
	Path  func(string) bool // nil: all
	Err   error             // nil: ErrInjected
	Short bool              // a write writes half before it fails
	Times int               // how often; 0: once, negative: always
}

// Fail makes operation n fail with ErrInjected.
func Fail(n int64) Fault { return Fault{At: n} }

// Short makes operation n fail; a write writes half of its bytes first.
func Short(n int64) Fault { return Fault{At: n, Short: true, Err: io.ErrShortWrite} }

// NoSpace makes operation n fail with ENOSPC.
func NoSpace(n int64) Fault { return Fault{At: n, Err: syscall.ENOSPC} }

// SyncFails makes the first sync at or after operation n fail, once.
func SyncFails(n int64) Fault { return Fault{At: n, Kinds: []Kind{Sync}, Err: syscall.EIO} }

// FS is the failing file system. Its methods may be called from any goroutine.
type FS struct {
	inner vfs.FS

	mu struct {
		sync.Mutex
		n      int64
		hook   func(Op)
		faults []Fault
		hits   int64
		hitAt  int64
		full   bool
	}
}

var _ vfs.FS = (*FS)(nil)

// New wraps inner. Without a fault it behaves as inner does.
func New(inner vfs.FS) *FS { return &FS{inner: inner} }

// Count returns the number of mutating operations so far.
func (f *FS) Count() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.n
}

// Hits returns how many operations were made to fail.
func (f *FS) Hits() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.hits
}

// HitAt returns the number of the last operation that was made to fail, 0 for
// none.
func (f *FS) HitAt() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.hitAt
}

// Hook makes fn see every operation before it is done, one at a time; nil
// removes it. The other methods must not be called from fn.
func (f *FS) Hook(fn func(Op)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.hook = fn
}

// Inject adds a fault. Of several that match an operation the first one added
// counts.
func (f *FS) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.mu.faults = append(f.mu.faults, fault)
}

// Clear removes all faults and makes space.
func (f *FS) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.faults, f.mu.full = nil, false
}

// SetFull says whether operations that take space fail with ENOSPC.
func (f *FS) SetFull(full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.full = full
}

// step counts an operation and returns the fault that hits it, if any.
func (f *FS) step(kind Kind, path string, bytes int, takesSpace bool) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.n++
	op := Op{N: f.mu.n, Kind: kind, Path: path, Bytes: bytes}
	if f.mu.hook != nil {
		f.mu.hook(op)
	}
	for i := range f.mu.faults {
		t := &f.mu.faults[i]
		if t.Times == 0 || op.N < t.At ||
			(len(t.Kinds) > 0 && !slices.Contains(t.Kinds, kind)) || (t.Path != nil && !t.Path(path)) {
			continue
		}
		if t.Times > 0 {
			t.Times--
		}
		hit := *t
		if hit.Err == nil {
			hit.Err = ErrInjected
		}
		f.mu.hits++
		f.mu.hitAt = op.N
		return &hit
	}
	if f.mu.full && takesSpace {
		f.mu.hits++
		f.mu.hitAt = op.N
		return &Fault{Err: syscall.ENOSPC}
	}
	return nil
}

func pathError(op, path string, fault *Fault) error {
	return &os.PathError{Op: op, Path: path, Err: fault.Err}
}

// change does one whole-file operation.
func (f *FS) change(kind Kind, path string, takesSpace bool, do func() error) error {
	if fault := f.step(kind, path, 0, takesSpace); fault != nil {
		return pathError(kind.String(), path, fault)
	}
	return do()
}

func (f *FS) create(name string, do func() (vfs.File, error)) (vfs.File, error) {
	if fault := f.step(Create, name, 0, true); fault != nil {
		return nil, pathError("create", name, fault)
	}
	return f.wrap(name)(do())
}

func (f *FS) wrap(name string) func(vfs.File, error) (vfs.File, error) {
	return func(inner vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		return &file{File: inner, fs: f, path: name}, nil
	}
}

// Create implements vfs.FS.
func (f *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.create(name, func() (vfs.File, error) { return f.inner.Create(name, category) })
}

// OpenReadWrite implements vfs.FS. It counts only when it creates the file.
func (f *FS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	do := func() (vfs.File, error) { return f.inner.OpenReadWrite(name, category, opts...) }
	if _, err := f.inner.Stat(name); err == nil {
		return f.wrap(name)(do())
	}
	return f.create(name, do)
}

// ReuseForWrite implements vfs.FS.
func (f *FS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if fault := f.step(Rename, oldname, 0, false); fault != nil {
		return nil, pathError("rename", oldname, fault)
	}
	return f.wrap(newname)(f.inner.ReuseForWrite(oldname, newname, category))
}

// Open implements vfs.FS.
func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.wrap(name)(f.inner.Open(name, opts...))
}

// OpenDir implements vfs.FS.
func (f *FS) OpenDir(name string) (vfs.File, error) { return f.wrap(name)(f.inner.OpenDir(name)) }

// Link implements vfs.FS.
func (f *FS) Link(oldname, newname string) error {
	return f.change(Link, oldname, true, func() error { return f.inner.Link(oldname, newname) })
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	return f.change(Remove, name, false, func() error { return f.inner.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (f *FS) RemoveAll(name string) error {
	return f.change(Remove, name, false, func() error { return f.inner.RemoveAll(name) })
}

// Rename implements vfs.FS.
func (f *FS) Rename(oldname, newname string) error {
	return f.change(Rename, oldname, false, func() error { return f.inner.Rename(oldname, newname) })
}

// MkdirAll implements vfs.FS. It counts only when the directory is not there.
func (f *FS) MkdirAll(dir string, perm os.FileMode) error {
	do := func() error { return f.inner.MkdirAll(dir, perm) }
	if _, err := f.inner.Stat(dir); err == nil {
		return do()
	}
	return f.change(Mkdir, dir, true, do)
}

// Lock implements vfs.FS.
//
// Hooks wait for it: MemFS.Lock takes the lock for cloning twice, to read, and a
// CrashClone that comes in between would stop both for good.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inner.Lock(name)
}

// List implements vfs.FS.
func (f *FS) List(dir string) ([]string, error) { return f.inner.List(dir) }

// Stat implements vfs.FS.
func (f *FS) Stat(name string) (vfs.FileInfo, error) { return f.inner.Stat(name) }

// PathBase implements vfs.FS.
func (f *FS) PathBase(path string) string { return f.inner.PathBase(path) }

// PathJoin implements vfs.FS.
func (f *FS) PathJoin(elem ...string) string { return f.inner.PathJoin(elem...) }

// PathDir implements vfs.FS.
func (f *FS) PathDir(path string) string { return f.inner.PathDir(path) }

// GetDiskUsage implements vfs.FS.
func (f *FS) GetDiskUsage(path string) (vfs.DiskUsage, error) { return f.inner.GetDiskUsage(path) }

// Unwrap implements vfs.FS.
func (f *FS) Unwrap() vfs.FS { return f.inner }
