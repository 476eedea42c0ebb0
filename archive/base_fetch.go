package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
)

const fetchSuffix = ".fetch"

// FetchOptions configure FetchBase.
type FetchOptions struct {
	Parallel int    // files at a time; default 8
	FS       vfs.FS // default vfs.Default
	Logger   *slog.Logger
	// Identities open what is encrypted. May be nil.
	Identities *Identities
	// From decides, file by file, which archives are asked: it calls ask, one at a
	// time, until it gives nil, and returns what it made of the answers. From and
	// ask are called from many goroutines. Default: once, the one store.
	From func(ctx context.Context, f *ManifestFile, ask Ask) error
	// Dir is where the files of a vshard go; default dst/vshard/<4 hex digits>.
	Dir func(vshard uint16) string
	// Progress is called after each file, from many goroutines. May be nil.
	Progress func(BaseProgress)
}

// Ask brings one file of a base from an archive, checked. A file that it could
// not bring leaves nothing behind.
type Ask func(ctx context.Context, a *Archive) error

// VShardDir is where the files of a vshard are below a node's directory.
func VShardDir(fsys vfs.FS, node string, vshard uint16) string {
	return fsys.PathJoin(node, "vshard", fmt.Sprintf("%04x", vshard))
}

func (o *FetchOptions) withDefaults(dst string) FetchOptions {
	var d FetchOptions
	if o != nil {
		d = *o
	}
	if d.FS == nil {
		d.FS = vfs.Default
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Dir == nil {
		fsys := d.FS
		d.Dir = func(v uint16) string { return VShardDir(fsys, dst, v) }
	}
	if d.Progress == nil {
		d.Progress = func(BaseProgress) {}
	}
	setDefault(&d.Parallel, 8)
	return d
}

// FetchBase brings the files of a base below dst from s, or from where
// opts.From says, and checks every byte against the manifest's hashes. A file that is there and right is kept, so a
// fetch that was cut off goes on where it was. When FetchBase returns nil, all
// files and their directories are synced.
func FetchBase(ctx context.Context, s Store, m *Manifest, dst string, opts *FetchOptions) error {
	o := opts.withDefaults(dst)
	if err := m.valid(); err != nil {
		return objectErr(s, Join(m.NodeID, m.Key()), "not a usable base manifest", err)
	}
	if o.Parallel < 1 || o.Parallel > parallelMax {
		return fmt.Errorf("archive: %d parallel fetches outside 1 to %d", o.Parallel, parallelMax)
	}
	f := &baseFetch{FetchOptions: o, m: m}
	if f.From == nil {
		only := &Archive{store: s, nodeID: m.NodeID, ids: o.Identities}
		f.From = func(ctx context.Context, _ *ManifestFile, ask Ask) error { return ask(ctx, only) }
	}
	f.total.FilesTotal, f.total.BytesTotal, _ = m.Totals()
	if err := f.all(ctx); err != nil {
		return err
	}
	return f.syncDirs()
}

type baseFetch struct {
	FetchOptions
	m *Manifest

	mu    sync.Mutex
	total BaseProgress
}

func (f *baseFetch) all(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, f.Parallel)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range f.m.VShards {
		v := &f.m.VShards[i]
		dir := f.Dir(v.ID)
		if err := f.FS.MkdirAll(dir, 0o755); err != nil {
			cancel(fmt.Errorf("make directory of vshard %d: %w", v.ID, err))
		}
		for j := range v.Files {
			slots <- struct{}{}
			if ctx.Err() != nil {
				<-slots
				break
			}
			wg.Go(func() {
				defer func() { <-slots }()
				if err := f.file(ctx, dir, &v.Files[j]); err != nil {
					cancel(fmt.Errorf("fetch file %s of vshard %d: %w", v.Files[j].Name, v.ID, err))
				}
			})
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

// file brings one file. It has its name only when it is complete and right.
func (f *baseFetch) file(ctx context.Context, dir string, mf *ManifestFile) error {
	path := f.FS.PathJoin(dir, mf.Name)
	ok, err := f.right(ctx, path, mf)
	if err != nil {
		return err
	}
	if !ok {
		err := f.From(ctx, mf, func(ctx context.Context, a *Archive) error { return f.download(ctx, a, path, mf) })
		if err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.total.Files++
	f.total.Bytes += mf.Bytes
	p := f.total
	f.mu.Unlock()
	f.Progress(p)
	return nil
}

// right tells whether path holds the file already.
func (f *baseFetch) right(ctx context.Context, path string, mf *ManifestFile) (bool, error) {
	file, err := f.FS.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	st, err := file.Stat()
	if err != nil {
		return false, err
	}
	if st.Size() != mf.Bytes {
		return false, nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, &ctxReader{ctx, file}); err != nil {
		return false, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != mf.SHA256 {
		return false, nil
	}
	// It may have been renamed without having been synced by a crashed run of
	// something else.
	return true, file.Sync()
}

// download brings the object that the manifest names, or another one of the
// same content: it may have been encrypted again for others since, and the one
// that was named taken away.
func (f *baseFetch) download(ctx context.Context, a *Archive, path string, mf *ManifestFile) error {
	k, err := mf.Object()
	if err != nil {
		return err
	}
	err = f.object(ctx, a, path, mf, k)
	if err == nil || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrKeyMissing) && !errors.Is(err, ErrCorrupt) {
		return err
	}
	others, lerr := a.Copies(ctx, k)
	if lerr != nil {
		return errors.Join(err, lerr)
	}
	for _, other := range others {
		if other.ObjKey == k {
			continue
		}
		oerr := f.object(ctx, a, path, mf, other.ObjKey)
		if oerr == nil {
			return nil
		}
		if errors.Is(err, ErrNotFound) || !errors.Is(oerr, ErrKeyMissing) {
			err = oerr
		}
	}
	return err
}

func (f *baseFetch) object(ctx context.Context, a *Archive, path string, mf *ManifestFile, k ObjKey) error {
	plain, err := a.OpenContent(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }()
	full := a.Key(k)
	tmp := path + fetchSuffix
	file, err := f.FS.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	sum := sha256.New()
	// One byte more than promised is enough to know that the size is a lie.
	// The file comes last: it may change the buffer that it is given.
	n, err := io.Copy(io.MultiWriter(sum, file), io.LimitReader(plain, mf.Bytes+1))
	switch {
	case err != nil:
	case n != mf.Bytes:
		err = objectErr(a.store, full, fmt.Sprintf("does not have the %d bytes that the manifest promises", mf.Bytes), nil)
	case hex.EncodeToString(sum.Sum(nil)) != mf.SHA256:
		err = objectErr(a.store, full, fmt.Sprintf("has SHA-256 %x", sum.Sum(nil)), nil)
	default:
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = f.FS.Remove(tmp) // the next run would write over it anyway
		return err
	}
	// Crash here: a complete file under a temporary name, fetched again.
	return f.FS.Rename(tmp, path)
}

func (f *baseFetch) syncDirs() error {
	for i := range f.m.VShards {
		dir := f.Dir(f.m.VShards[i].ID)
		if err := durable.SyncDir(f.FS, dir); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
		if err := durable.SyncDir(f.FS, f.FS.PathDir(dir)); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	return nil
}
