package archive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// BaseInput is a checkpoint to be archived. Its files must not change until
// WriteBase returns.
type BaseInput struct {
	Epoch   EpochInfo // of the writer: names node and timeline too
	LSN     wal.LSN   // the cut
	Time    time.Time // of the record at LSN
	Digest  string    // 64 hex digits; empty when not known
	Entries uint64
	VShards []BaseVShard
}

// BaseVShard is one vshard of a checkpoint.
type BaseVShard struct {
	ID      uint16
	Applied wal.LSN
	Dir     string
	Files   []string // names in Dir; nil takes every file there
}

// BaseOptions configure WriteBase.
type BaseOptions struct {
	// Known is what earlier bases of this process put into stores. It saves
	// hashing and sending SSTs again. May be nil.
	Known *KnownObjects
	// Recipients are for whom the files' contents are encrypted; nil: not at
	// all, which a store with encrypted objects refuses unless AllowPlain is
	// set. The manifest is not encrypted.
	Recipients  *Recipients
	AllowPlain  bool
	Parallel    int   // default 2
	MemoryBytes int64 // compressed bytes held at a time; default 128 MiB
	// AttemptTimeout bounds one object's requests, plus one second per MiB;
	// default 30s. WriteBase does not retry: call it again, what is there is
	// not sent again.
	AttemptTimeout time.Duration
	FS             vfs.FS           // default vfs.Default
	Logger         *slog.Logger     // default discards
	Clock          func() time.Time // default time.Now
	Rand           io.Reader        // default crypto/rand
	// Progress is called after each file, from many goroutines. May be nil.
	Progress func(BaseProgress)
}

// BaseProgress is how far WriteBase or FetchBase is.
type BaseProgress struct {
	Files, FilesTotal int
	Bytes, BytesTotal int64 // plain
}

// BaseInfo is what WriteBase did.
type BaseInfo struct {
	Key        BaseKey
	Store      string
	LSN        wal.LSN
	Files      int
	Bytes      int64 // plain, of all files
	NewObjects int   // that were not in the store before
	NewBytes   int64 // sealed, sent
	Duration   time.Duration
}

// BaseSummary is a BaseInfo as documents and commands tell it.
type BaseSummary struct {
	Manifest   string        `json:"manifest"`
	LSN        wal.LSN       `json:"lsn"`
	Files      int           `json:"files"`
	Bytes      int64         `json:"bytes"`
	NewObjects int           `json:"new_objects"`
	NewBytes   int64         `json:"new_bytes"`
	Took       time.Duration `json:"duration_ns"`
}

// Summary leaves out the store.
func (b *BaseInfo) Summary() BaseSummary {
	return BaseSummary{b.Key.String(), b.LSN, b.Files, b.Bytes, b.NewObjects, b.NewBytes, b.Duration}
}

func (o *BaseOptions) withDefaults() BaseOptions {
	var d BaseOptions
	if o != nil {
		d = *o
	}
	if d.Known == nil {
		d.Known = NewKnownObjects()
	}
	if d.FS == nil {
		d.FS = vfs.Default
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	if d.Progress == nil {
		d.Progress = func(BaseProgress) {}
	}
	setDefault(&d.Parallel, 2)
	setDefault(&d.MemoryBytes, 128<<20)
	setDefault(&d.AttemptTimeout, 30*time.Second)
	return d
}

// WriteBase puts a checkpoint into one store: each file's content under its
// hash, unless it is there, then the manifest. A fenced writer writes no
// manifest. Objects of a base that was not finished are found again by the
// next one.
func WriteBase(ctx context.Context, s Store, in BaseInput, opts *BaseOptions) (BaseInfo, error) {
	o := opts.withDefaults()
	if o.Parallel < 1 || o.Parallel > parallelMax || o.MemoryBytes < 0 || o.AttemptTimeout < 0 {
		return BaseInfo{}, fmt.Errorf("archive: base options out of range: parallel %d, memory %d, timeout %v", o.Parallel, o.MemoryBytes, o.AttemptTimeout)
	}
	began := o.Clock()
	w := &baseWriter{BaseOptions: o, store: s, in: in, memory: newBudget(o.MemoryBytes)}
	m, err := w.plan()
	if err != nil {
		return BaseInfo{}, err
	}
	if w.guard, err = BeginBase(ctx, s, m.NodeID, m.Key(), m.Epoch, o.Clock); err != nil {
		return BaseInfo{}, err
	}
	if err := w.known(ctx); err != nil {
		return BaseInfo{}, err
	}
	// Crash here, or anywhere in send: objects without a manifest.
	if err := w.send(ctx, m); err != nil {
		return BaseInfo{}, err
	}
	if err := w.finish(ctx, m); err != nil {
		return BaseInfo{}, err
	}
	w.info.Key, w.info.Store, w.info.LSN = m.Key(), s.URL(), m.LSN
	w.info.Duration = o.Clock().Sub(began)
	return w.info, nil
}

type baseWriter struct {
	BaseOptions
	store  Store
	in     BaseInput
	memory *budget
	guard  *BaseGuard
	there  map[ObjKey]int64 // sealed bytes of the objects in the store
	// encrypted are those of them that are, by content.
	encrypted map[ObjKey][]ObjKey

	mu      sync.Mutex // guards what is below
	info    BaseInfo
	sending map[ObjKey]*sending // by content
	total   BaseProgress
}

// sending is one content on its way into the store.
type sending struct {
	over chan struct{} // closed when known is set, or sending failed
	as   knownObject
}

// plan builds the manifest, without hashes yet.
func (w *baseWriter) plan() (*Manifest, error) {
	var id [8]byte
	if _, err := io.ReadFull(w.Rand, id[:]); err != nil {
		return nil, fmt.Errorf("draw base id: %w", err)
	}
	e := &w.in.Epoch
	m := &Manifest{
		Version: manifestVersionPlain, NodeID: e.NodeID, ID: hex.EncodeToString(id[:]),
		Timeline: e.Timeline, Epoch: e.Epoch, LSN: w.in.LSN, Time: w.in.Time.UTC(),
		Digest: w.in.Digest, Entries: w.in.Entries, CreatedAt: w.Clock().UTC(),
	}
	for _, v := range w.in.VShards {
		mv := ManifestVShard{ID: v.ID, Applied: v.Applied}
		names := slices.Clone(v.Files)
		if v.Files == nil {
			var err error
			if names, err = w.FS.List(v.Dir); err != nil {
				return nil, fmt.Errorf("list files of vshard %d: %w", v.ID, err)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			st, err := w.FS.Stat(w.FS.PathJoin(v.Dir, name))
			if err != nil {
				return nil, fmt.Errorf("stat base file: %w", err)
			}
			mv.Files = append(mv.Files, ManifestFile{Name: name, Bytes: st.Size()})
			w.total.FilesTotal++
			w.total.BytesTotal += st.Size()
		}
		m.VShards = append(m.VShards, mv)
	}
	if w.Recipients != nil {
		m.Version = manifestVersion
	}
	slices.SortFunc(m.VShards, func(a, b ManifestVShard) int { return int(a.ID) - int(b.ID) })
	return m, nil
}

// known lists the objects that the store has. One listing is cheaper than
// being told ErrExists after sending each of them.
func (w *baseWriter) known(ctx context.Context) error {
	w.there = make(map[ObjKey]int64)
	w.sending = make(map[ObjKey]*sending)
	if err := settleRecipients(ctx, w.store, w.in.Epoch.NodeID, w.Recipients, w.AllowPlain); err != nil {
		return err
	}
	w.encrypted = make(map[ObjKey][]ObjKey)
	return w.listObjects(ctx, func(k ObjKey, size int64) {
		w.there[k] = size
		if k.Age.Encrypted() {
			w.encrypted[k.Content()] = append(w.encrypted[k.Content()], k)
		}
	})
}

func (w *baseWriter) listObjects(ctx context.Context, yield func(ObjKey, int64)) error {
	for o, err := range listKeys[ObjKey](ctx, w.store, w.in.Epoch.NodeID, objPrefix, "") {
		if err != nil {
			return err
		}
		yield(o.Key, o.Object.Size)
	}
	return nil
}

// send brings every file's content into the store, w.Parallel at a time.
func (w *baseWriter) send(ctx context.Context, m *Manifest) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, w.Parallel)
	var wg sync.WaitGroup
	for i := range m.VShards {
		v := &m.VShards[i]
		dir := w.dirOf(v.ID)
		for j := range v.Files {
			slots <- struct{}{}
			if ctx.Err() != nil {
				<-slots
				break
			}
			wg.Go(func() {
				defer func() { <-slots }()
				if err := w.sendFile(ctx, dir, v.ID, &v.Files[j]); err != nil {
					cancel(fmt.Errorf("archive file %s of vshard %d: %w", v.Files[j].Name, v.ID, err))
				}
			})
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (w *baseWriter) dirOf(id uint16) string {
	for _, v := range w.in.VShards {
		if v.ID == id {
			return v.Dir
		}
	}
	return ""
}

// sendFile fills f in, and makes sure of its object.
func (w *baseWriter) sendFile(ctx context.Context, dir string, id uint16, f *ManifestFile) error {
	path := w.FS.PathJoin(dir, f.Name)
	st, err := w.FS.Stat(path)
	if err != nil {
		return err
	}
	file := knownFile{vshard: id, name: f.Name, bytes: st.Size(), modified: st.ModTime().UnixNano()}
	url := w.store.URL()
	// What was encrypted for others is sent again: a base must not need keys
	// that were taken out of use before it.
	if obj, ok := w.Known.find(url, file); ok && obj.key.Age.Recipients == w.Recipients.ID() && w.there[obj.key] == obj.sealedBytes {
		if err := w.guard.Use(obj.key); err != nil {
			return err
		}
		f.fill(obj)
		w.step(f)
		return nil
	}
	obj, err := w.sealFile(ctx, path, f.Bytes)
	if err != nil {
		return err
	}
	defer obj.free()
	known, err := w.sendOnce(ctx, obj)
	if err != nil {
		return err
	}
	f.fill(known)
	w.Known.add(url, file, known)
	w.step(f)
	return nil
}

func (f *ManifestFile) fill(o knownObject) {
	f.SHA256, f.SealedBytes, f.SealedMD5 = hex.EncodeToString(o.key.SHA256[:]), o.sealedBytes, o.sealedMD5
	if o.key.Age.Encrypted() {
		f.Recipients = o.key.Age.Recipients.String()
	}
}

func (w *baseWriter) step(f *ManifestFile) {
	w.mu.Lock()
	w.info.Files++
	w.info.Bytes += f.Bytes
	w.total.Files++
	w.total.Bytes += f.Bytes
	p := w.total
	w.mu.Unlock()
	w.Progress(p)
}

func (w *baseWriter) sealFile(ctx context.Context, path string, size int64) (*sealedObject, error) {
	file, err := w.FS.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	obj, err := sealBytes(ctx, w.memory, w.Recipients, io.LimitReader(file, size+1), size)
	if err == nil && obj.info.Bytes != size {
		obj.free()
		return nil, fmt.Errorf("archive: file changed while it was archived: %d bytes, then %d", size, obj.info.Bytes)
	}
	return obj, err
}

// sendOnce creates an object, and proves that it is there. Files with the
// same content wait for the one that sends it.
func (w *baseWriter) sendOnce(ctx context.Context, obj *sealedObject) (knownObject, error) {
	content := ObjKey{SHA256: obj.info.SHA256, Zstd: true}
	for {
		w.mu.Lock()
		busy, ok := w.sending[content]
		if !ok {
			busy = &sending{over: make(chan struct{})}
			w.sending[content] = busy
			w.mu.Unlock()
			var err error
			busy.as, err = w.create(ctx, content, obj)
			if err != nil {
				w.mu.Lock()
				delete(w.sending, content)
				w.mu.Unlock()
			}
			close(busy.over)
			return busy.as, err
		}
		w.mu.Unlock()
		select {
		case <-busy.over:
		case <-ctx.Done():
			return knownObject{}, context.Cause(ctx)
		}
		w.mu.Lock()
		_, ok = w.sending[content]
		w.mu.Unlock()
		if ok {
			return busy.as, nil // it is there
		}
	}
}

// create makes sure of the object. It returns what is there then, which may be
// an earlier one of the same content.
func (w *baseWriter) create(ctx context.Context, k ObjKey, obj *sealedObject) (knownObject, error) {
	ctx, cancel := context.WithTimeout(ctx, w.AttemptTimeout+time.Duration(obj.size>>20)*time.Second)
	defer cancel()
	if known, ok := w.findEncrypted(ctx, k); ok {
		return known, w.guard.Use(known.key)
	}
	k.Age = obj.age
	if err := w.guard.Use(k); err != nil {
		return knownObject{}, err
	}
	full := Join(w.in.Epoch.NodeID, k)
	err := ErrExists
	if _, ok := w.there[k]; !ok {
		err = w.store.Create(ctx, full, obj, obj.size)
	}
	fresh := err == nil
	if err != nil && !errors.Is(err, ErrExists) {
		return knownObject{}, err
	}
	if err := w.proveObject(ctx, full, k, obj); err != nil {
		return knownObject{}, err
	}
	if fresh {
		w.mu.Lock()
		w.info.NewObjects++
		w.info.NewBytes += obj.size
		w.mu.Unlock()
	}
	return knownObject{key: k, sealedBytes: obj.proof.Size, sealedMD5: hex.EncodeToString(obj.proof.MD5)}, nil
}

// findEncrypted looks for the content among the objects that an earlier base
// encrypted for the same recipients. One that does not prove well is passed
// over: it is sent again under another name.
func (w *baseWriter) findEncrypted(ctx context.Context, content ObjKey) (knownObject, bool) {
	if w.Recipients == nil {
		return knownObject{}, false
	}
	for _, k := range w.encrypted[content] {
		if k.Age.Recipients != w.Recipients.ID() {
			continue
		}
		o, err := matchesName(ctx, w.store, Join(w.in.Epoch.NodeID, k), k.Age)
		if err == nil {
			return knownObject{key: k, sealedBytes: o.Size, sealedMD5: hex.EncodeToString(o.MD5)}, true
		}
		w.Logger.Warn("archived content cannot be used again", "store", w.store.URL(), "key", k.String(), "err", err)
	}
	return knownObject{}, false
}

// proveObject accepts our bytes, or other bytes that decompress to the same.
func (w *baseWriter) proveObject(ctx context.Context, full string, k ObjKey, obj *sealedObject) error {
	err := matches(ctx, w.store, full, &obj.proof)
	if err == nil || !errors.Is(err, ErrCorrupt) || k.Age.Encrypted() {
		return err
	}
	sum, n, cerr := contentSum(ctx, w.store, full, obj.info.Bytes)
	if cerr != nil || n != obj.info.Bytes || sum != k.SHA256 {
		return errors.Join(err, cerr)
	}
	st, serr := w.store.Stat(ctx, full)
	if serr != nil {
		return serr
	}
	obj.proof.Size = st.Size // what is there is what the manifest says
	if len(st.MD5) == len(obj.proof.MD5) {
		obj.proof.MD5 = st.MD5
	}
	return nil
}

// finish proves that every object is there, that the writer still owns the
// archive, and makes the base exist.
func (w *baseWriter) finish(ctx context.Context, m *Manifest) error {
	if err := m.valid(); err != nil {
		return fmt.Errorf("archive: invalid base: %w", err)
	}
	clear(w.there)
	if err := w.listObjects(ctx, func(k ObjKey, size int64) { w.there[k] = size }); err != nil {
		return err
	}
	for i := range m.VShards {
		for j := range m.VShards[i].Files {
			f := &m.VShards[i].Files[j]
			k, err := f.Object()
			if err != nil {
				return err
			}
			if size, ok := w.there[k]; !ok || size != f.SealedBytes {
				w.Known.forget(w.store.URL(), k)
				return fmt.Errorf("archive: object %s of the base is not in %s as it was sent: %w", k, w.store.URL(), ErrNotFound)
			}
		}
	}
	e := &w.in.Epoch
	numbers, err := listEpochs(ctx, w.store, e.NodeID, e.Epoch)
	if err != nil {
		return err
	}
	if len(numbers) > 0 {
		return &FencedError{Store: w.store.URL(), NodeID: e.NodeID, Own: e.Epoch, Reason: fmt.Sprintf("epoch %d owns the archive now", numbers[0])}
	}
	data, err := encodeJSON(m)
	if err != nil {
		return fmt.Errorf("encode base manifest: %w", err)
	}
	if len(data) > manifestBytesMax {
		return fmt.Errorf("archive: base manifest of %d bytes is above the limit of %d", len(data), manifestBytesMax)
	}
	if err := w.guard.Finish(); err != nil {
		return err
	}
	// Crash here: no manifest, no base.
	if err := createSmall(ctx, w.store, Join(m.NodeID, m.Key()), data); err != nil {
		return fmt.Errorf("create base manifest: %w", err)
	}
	return nil
}
