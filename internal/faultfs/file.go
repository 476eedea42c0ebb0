package faultfs

import "github.com/cockroachdb/pebble/v2/vfs"

// file counts what is written and synced. Reading goes through.
type file struct {
	vfs.File
	fs     *FS
	path   string
	offset int64 // of the next Write
}

// Write implements io.Writer.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.write(p, f.offset, f.File.Write)
	f.offset += int64(n)
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	return f.write(p, offset, func(p []byte) (int, error) { return f.File.WriteAt(p, offset) })
}

func (f *file) write(p []byte, offset int64, do func([]byte) (int, error)) (int, error) {
	info, err := f.File.Stat()
	grows := err != nil || offset+int64(len(p)) > info.Size()
	fault := f.fs.step(Write, f.path, len(p), grows)
	if fault == nil {
		return do(p)
	}
	n := 0
	if half := p[:len(p)/2]; fault.Short && len(half) > 0 {
		if n, err = do(half); err != nil {
			return n, err
		}
	}
	return n, pathError("write", f.path, fault)
}

// Preallocate implements vfs.File.
func (f *file) Preallocate(offset, length int64) error {
	if fault := f.fs.step(Write, f.path, 0, true); fault != nil {
		return pathError("preallocate", f.path, fault)
	}
	return f.File.Preallocate(offset, length)
}

// Sync implements vfs.File.
func (f *file) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *file) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *file) SyncTo(length int64) (fullSync bool, err error) {
	err = f.sync(func() error {
		fullSync, err = f.File.SyncTo(length)
		return err
	})
	return fullSync, err
}

func (f *file) sync(do func() error) error {
	if fault := f.fs.step(Sync, f.path, 0, false); fault != nil {
		return pathError("sync", f.path, fault)
	}
	return do()
}
