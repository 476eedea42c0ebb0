package pitr

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
)

// baseRoom is the directory of a vshard in a baseFiles.
const baseRoom = "/base"

// baseFiles are the files of one vshard of a base, read where they are: a range
// of a file is fetched when somebody asks for it. What is created goes into
// memory. Every range is checked by the checksums of the frames that hold it,
// and by the table's own.
type baseFiles struct {
	*vfs.MemFS
	ctx    context.Context // of the query: a file system's calls carry none
	q      *Query
	stores []int
	files  map[string]*archive.ManifestFile

	mu   sync.Mutex
	errs []error // of reading, the first is the cause of what follows
}

func (q *Query) files(ctx context.Context, stores []int, v *archive.ManifestVShard) (*baseFiles, error) {
	f := &baseFiles{MemFS: vfs.NewMem(), ctx: ctx, q: q, stores: stores, files: make(map[string]*archive.ManifestFile)}
	if err := f.MkdirAll(baseRoom, 0o755); err != nil {
		return nil, err
	}
	for i := range v.Files {
		f.files[f.PathJoin(baseRoom, v.Files[i].Name)] = &v.Files[i]
	}
	return f, nil
}

// blame is the error of a store or an object behind one of reading tables.
func (f *baseFiles) blame(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) > 0 {
		return f.errs[0]
	}
	return &archive.ObjectError{Store: f.q.src.archives[f.stores[0]].Store().URL(), Key: archive.NodePrefix(f.q.src.node) + "obj/",
		Offset: -1, Reason: "files of the base are no store", Err: err}
}

func (f *baseFiles) failed(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.errs = append(f.errs, err)
	}
	return err
}

// Open is part of vfs.FS.
func (f *baseFiles) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	mf := f.files[name]
	if mf == nil {
		return f.MemFS.Open(name, opts...)
	}
	at, err := f.open(mf)
	if err != nil {
		return nil, f.failed(err)
	}
	return &baseFile{SectionReader: io.NewSectionReader(at, 0, mf.Bytes), of: f, info: fileInfo{f.PathBase(name), mf.Bytes}}, nil
}

// open finds the object of a file, as a fetch of the whole base does: the one
// that is named, or another of the same content.
func (f *baseFiles) open(mf *archive.ManifestFile) (io.ReaderAt, error) {
	var out *archive.Sealed
	k, err := mf.Object()
	if err != nil {
		return nil, err
	}
	err = f.q.src.retry(f.ctx, f.q.ask, f.stores, func(store int) (err error) {
		a := f.q.src.archives[store]
		out, err = a.OpenSealed(f.ctx, k, mf.SealedBytes)
		if err == nil || archive.Retryable(err) {
			return err
		}
		others, lerr := a.Copies(f.ctx, k)
		if lerr != nil {
			return errors.Join(err, lerr)
		}
		for _, other := range others {
			if other.ObjKey == k {
				continue
			}
			if s, oerr := a.OpenSealed(f.ctx, other.ObjKey, other.Size); oerr == nil {
				out = s
				return nil
			} else if errors.Is(err, archive.ErrNotFound) {
				err = oerr
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if out.Size() != mf.Bytes {
		return nil, &archive.ObjectError{Store: f.q.src.archives[f.stores[0]].Store().URL(), Key: archive.NodePrefix(f.q.src.node) + k.String(),
			Offset: -1, Reason: "it does not have the bytes that the manifest promises"}
	}
	return out, nil
}

// Stat is part of vfs.FS.
func (f *baseFiles) Stat(name string) (vfs.FileInfo, error) {
	if mf := f.files[name]; mf != nil {
		return fileInfo{f.PathBase(name), mf.Bytes}, nil
	}
	return f.MemFS.Stat(name)
}

// List is part of vfs.FS.
func (f *baseFiles) List(dir string) ([]string, error) {
	names, err := f.MemFS.List(dir)
	if dir != baseRoom {
		return names, err
	}
	for path := range f.files {
		names = append(names, f.PathBase(path))
	}
	return names, nil
}

// Unwrap is part of vfs.FS.
func (f *baseFiles) Unwrap() vfs.FS { return f.MemFS }

// baseFile is one open file.
type baseFile struct {
	*io.SectionReader
	vfs.File // what a file that is only read is never asked for
	of       *baseFiles
	info     fileInfo
}

func (b *baseFile) Read(p []byte) (int, error) {
	n, err := b.SectionReader.Read(p)
	return n, b.of.failed(err)
}

func (b *baseFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.SectionReader.ReadAt(p, off)
	return n, b.of.failed(err)
}

func (b *baseFile) Stat() (vfs.FileInfo, error)         { return b.info, nil }
func (b *baseFile) Close() error                        { return nil }
func (b *baseFile) Prefetch(offset, length int64) error { return nil }
func (b *baseFile) Fd() uintptr                         { return vfs.InvalidFd }

// fileInfo is part of what a file system says of a file.
type fileInfo struct {
	name  string
	bytes int64
}

func (i fileInfo) Name() string           { return i.name }
func (i fileInfo) Size() int64            { return i.bytes }
func (i fileInfo) Mode() os.FileMode      { return 0o444 }
func (i fileInfo) ModTime() time.Time     { return time.Time{} }
func (i fileInfo) IsDir() bool            { return false }
func (i fileInfo) Sys() any               { return nil }
func (i fileInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
