package engine

import (
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
)

// fence is the file system that one open store sees. It does three things that
// Pebble leaves to its user:
//
//   - When a write to Pebble's manifest fails, nobody knows whether it arrived.
//     Pebble wants the process to end then. A node must go on answering reads,
//     so instead the fence breaks: from then on the store changes nothing on
//     disk, not even removes a file, and Reopen finds what really is there.
//     It is the same when a directory cannot be synced, where Pebble panics.
//   - When flushes fail because the disk is full, Pebble tries again at once and
//     for ever. The fence makes each retry wait.
//   - Pebble syncs the directory after it has made the marker that names a new
//     manifest, so that a crash may keep the marker's entry without the
//     manifest's. The fence syncs it before too.
//
// Files that are only read are not wrapped.
type fence struct {
	vfs.FS
	broken   atomic.Pointer[error]
	failures atomic.Int32  // of background work, in a row
	closing  chan struct{} // closed when the store closes
}

const (
	retryWaitMin = 10 * time.Millisecond
	retryWaitMax = time.Second
	// brokenWait paces what a stopped store cannot stop trying.
	brokenWait = 100 * time.Millisecond
)

func newFence(fs vfs.FS) *fence {
	return &fence{FS: fs, closing: make(chan struct{})}
}

// breakWith stops all changes. The first error stays.
func (f *fence) breakWith(err error) { f.broken.CompareAndSwap(nil, &err) }

func (f *fence) err() error {
	if p := f.broken.Load(); p != nil {
		return *p
	}
	return nil
}

// wait holds back a retry of background work that failed.
func (f *fence) wait() {
	n := f.failures.Load()
	var d time.Duration
	switch {
	case f.broken.Load() != nil:
		d = brokenWait
	case n == 0:
		return
	default:
		d = min(retryWaitMin<<min(n-1, 10), retryWaitMax)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.closing:
	}
}

func (f *fence) file(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &fencedFile{File: file, fence: f}, nil
}

// Create is part of vfs.FS.
func (f *fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.wait()
	if err := f.err(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(f.FS.PathBase(name), "marker.") {
		if err := durable.SyncDir(f.FS, f.FS.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return f.file(f.FS.Create(name, c))
}

// OpenReadWrite is part of vfs.FS.
func (f *fence) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.file(f.FS.OpenReadWrite(name, c, opts...))
}

// ReuseForWrite is part of vfs.FS.
func (f *fence) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.file(f.FS.ReuseForWrite(oldname, newname, c))
}

// Link is part of vfs.FS.
func (f *fence) Link(oldname, newname string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.Link(oldname, newname)
}

// Remove is part of vfs.FS.
func (f *fence) Remove(name string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// RemoveAll is part of vfs.FS.
func (f *fence) RemoveAll(name string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

// Rename is part of vfs.FS.
func (f *fence) Rename(oldname, newname string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.Rename(oldname, newname)
}

// MkdirAll is part of vfs.FS.
func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.MkdirAll(dir, perm)
}

// OpenDir is part of vfs.FS.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fencedDir{File: d, fence: f}, nil
}

// Unwrap is part of vfs.FS.
func (f *fence) Unwrap() vfs.FS { return f.FS }

// fencedFile is a file that was opened for writing.
type fencedFile struct {
	vfs.File
	fence *fence
}

// Write is part of vfs.File.
func (f *fencedFile) Write(p []byte) (int, error) {
	if err := f.fence.err(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// WriteAt is part of vfs.File.
func (f *fencedFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fence.err(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// Sync is part of vfs.File.
func (f *fencedFile) Sync() error {
	if err := f.fence.err(); err != nil {
		return err
	}
	return f.File.Sync()
}

// SyncData is part of vfs.File.
func (f *fencedFile) SyncData() error {
	if err := f.fence.err(); err != nil {
		return err
	}
	return f.File.SyncData()
}

// SyncTo is part of vfs.File.
func (f *fencedFile) SyncTo(length int64) (bool, error) {
	if err := f.fence.err(); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}

// fencedDir is a directory that was opened to be synced.
type fencedDir struct {
	vfs.File
	fence *fence
}

// Sync is part of vfs.File. It reports no error, because Pebble would panic on
// one on its own goroutine; it breaks the fence instead, and whoever relies on
// the sync asks for VShard.storeErr before believing it.
func (d *fencedDir) Sync() error {
	if d.fence.err() != nil {
		return nil
	}
	if err := d.File.Sync(); err != nil {
		d.fence.breakWith(err)
	}
	return nil
}
