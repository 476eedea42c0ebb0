package pitr

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	kitNode    = "node-a"
	kitVShards = 3
)

// tb is what both tests and rapid checks offer.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// kit is an archive that real WALs and stores of the kv engine were written to,
// and the model of what its node held at every LSN of every timeline.
type kit struct {
	t     tb
	ctx   context.Context
	store archive.Store
	arch  *archive.Archive
	now   time.Time // of the next record; moves by a second with each
	model map[Position]state
	times map[Position]int64
}

func newKit(t tb, ctx context.Context, store archive.Store) *kit {
	a, err := archive.Open(store, kitNode)
	check(t, err)
	return &kit{t: t, ctx: ctx, store: store, arch: a, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		model: make(map[Position]state), times: make(map[Position]int64)}
}

func (k *kit) archives() []*archive.Archive { return []*archive.Archive{k.arch} }

func check(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// state is a node's content: key → value and expiry, by a model that shares
// nothing with the engine but the documented form of a digest entry.
type state map[string]modelEntry

type modelEntry struct {
	value    string
	expireAt int64
}

// digest follows the words of kv.Engine.AddDigest.
func (s state) digest() string {
	var sum [32]byte
	for key, e := range s {
		b := []byte("kv1")
		b = binary.LittleEndian.AppendUint32(b, 7) // tenant
		b = binary.LittleEndian.AppendUint32(b, uint32(len(key)))
		b = append(b, key...)
		b = binary.LittleEndian.AppendUint64(b, uint64(e.expireAt))
		b = append(b, e.value...)
		h := sha256.Sum256(b)
		carry := uint16(0)
		for i := range sum {
			carry += uint16(sum[i]) + uint16(h[i])
			sum[i], carry = byte(carry), carry>>8
		}
	}
	return hex.EncodeToString(sum[:])
}

// life is one writer: from a claim of an epoch to its end.
type life struct {
	k        *kit
	fs       *vfs.MemFS
	dir      string
	epoch    archive.EpochInfo
	log      *wal.Log
	shared   *engine.Shared
	vshards  []*engine.VShard
	now      state
	last     wal.LSN
	lastTime int64
	sealed   []wal.Segment
	parent   wal.Timeline
	fork     wal.LSN
	known    *archive.KnownObjects
}

// begin starts the first life of a node.
func (k *kit) begin() *life {
	l := &life{k: k, fs: vfs.NewCrashableMem(), dir: "node", now: state{}, known: archive.NewKnownObjects()}
	l.open(archive.Claim{Timeline: 1})
	return l
}

// open claims and opens everything; the WAL's end decides the first LSN.
func (l *life) open(c archive.Claim) {
	k := l.k
	c.NodeID, c.Dir, c.FS, c.VShards = kitNode, l.fs.PathJoin(l.dir, "archive"), l.fs, kitVShards
	c.ParentTimeline, c.ForkLSN = l.parent, l.fork
	c.FirstLSN, c.LastEpoch = max(c.FirstLSN, l.last+1), l.epoch.Epoch
	var err error
	l.epoch, err = archive.ClaimEpoch(k.ctx, []archive.StoreConfig{{Store: k.store}}, c)
	check(k.t, err)
	l.log, err = wal.Open(l.fs.PathJoin(l.dir, "wal"), &wal.Options{
		FS: l.fs, NodeID: kitNode, Timeline: l.epoch.Timeline, Epoch: l.epoch.Epoch, FirstLSN: l.epoch.FirstLSN,
		SegmentBytes: 64 << 10, SegmentAge: -1, SpareSegments: -1, Clock: func() time.Time { return k.now },
		OnSeal: func(s wal.Segment) { l.sealed = append(l.sealed, s) },
	})
	check(k.t, err)
	l.shared, err = engine.NewShared(&engine.Options{FS: l.fs, Engines: []engine.Engine{kv.New(nil)}, CacheBytes: 1 << 20, MemtableBytes: 1 << 20})
	check(k.t, err)
	for id := range kitVShards {
		v, err := engine.OpenVShard(l.shared, archive.VShardDir(l.fs, l.dir, uint16(id)), uint16(id))
		check(k.t, err)
		l.vshards = append(l.vshards, v)
	}
}

// end closes the life; the clean close of the log seals its last segment, which
// is uploaded unless the node is meant to die with it.
func (l *life) end() {
	if l.log == nil {
		return
	}
	l.seal()
	for _, v := range l.vshards {
		check(l.k.t, v.Flush())
		check(l.k.t, v.Close())
	}
	check(l.k.t, l.shared.Close())
	check(l.k.t, l.log.Close())
	l.log, l.vshards = nil, nil
}

// restart is end, and a new epoch of the same timeline.
func (l *life) restart() {
	l.end()
	l.open(archive.Claim{Timeline: l.epoch.Timeline})
}

// write logs and applies the records of b, and notes the model after each.
func (l *life) write(b *wal.Batch, effects []func(state)) wal.LSN {
	k := l.k
	_, us, err := l.log.AppendSync(k.ctx, b)
	check(k.t, err)
	batches := make(map[uint16]*engine.Batch)
	for i, rec := range b.All() {
		if rec.VShard != wal.VShardNone {
			eb := batches[rec.VShard]
			if eb == nil {
				eb = l.vshards[rec.VShard].NewBatch()
				batches[rec.VShard] = eb
			}
			check(k.t, eb.Apply(&rec))
		}
		if effects[i] != nil {
			l.now = maps.Clone(l.now)
			effects[i](l.now)
		}
		at := Position{Timeline: l.epoch.Timeline, LSN: rec.LSN}
		k.model[at], k.times[at] = l.now, rec.Time
		l.last = rec.LSN
	}
	for _, eb := range batches {
		check(k.t, eb.Commit(l.last, us))
		check(k.t, eb.Close())
	}
	l.lastTime = us
	k.now = k.now.Add(time.Second)
	return l.last
}

func (l *life) put(key, value string) wal.LSN {
	var b wal.Batch
	p := kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte(key), Value: []byte(value)})
	check(l.k.t, b.Add(kv.TypePut, 7, kv.VShardOf([]byte(key), kitVShards), nil, p))
	return l.write(&b, []func(state){func(s state) { s[key] = modelEntry{value: value} }})
}

func (l *life) del(key string) wal.LSN {
	var b wal.Batch
	p := kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Key: []byte(key)})
	check(l.k.t, b.Add(kv.TypeDelete, 7, kv.VShardOf([]byte(key), kitVShards), []byte("idem-"+key), p))
	return l.write(&b, []func(state){func(s state) { delete(s, key) }})
}

// puts writes n keys as one batch of n records.
func (l *life) puts(n int, prefix, value string) wal.LSN {
	var b wal.Batch
	var effects []func(state)
	for i := range n {
		key := fmt.Sprintf("%s%d", prefix, i)
		expire := int64(0)
		if i%3 == 0 {
			expire = l.k.now.Add(time.Hour).UnixMilli()
		}
		p := kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte(key), Value: []byte(value), ExpireAt: expire})
		check(l.k.t, b.Add(kv.TypePut, 7, kv.VShardOf([]byte(key), kitVShards), nil, p))
		effects = append(effects, func(s state) { s[key] = modelEntry{value: value, expireAt: expire} })
	}
	return l.write(&b, effects)
}

func (l *life) control(typ wal.Type, payload []byte) wal.LSN {
	var b wal.Batch
	check(l.k.t, b.Add(typ, 0, wal.VShardNone, nil, payload))
	return l.write(&b, []func(state){nil})
}

func (l *life) point(name string) wal.LSN {
	return l.control(wal.TypeRestorePoint, wal.RestorePoint{Name: name}.Append(nil))
}

// publish logs the digest of the state as it is.
func (l *life) publish() wal.LSN {
	d := wal.Digest{LSN: l.last, Entries: uint64(len(l.now))}
	raw, err := hex.DecodeString(l.now.digest())
	check(l.k.t, err)
	copy(d.Sum[:], raw)
	return l.control(wal.TypeDigest, d.Append(nil))
}

// seal seals the active segment and uploads what was sealed.
func (l *life) seal() {
	_, _, err := l.log.Seal(l.k.ctx)
	check(l.k.t, err)
	for _, s := range l.sealed {
		l.upload(s)
	}
	l.sealed = nil
}

func (l *life) upload(s wal.Segment) {
	key, body := l.object(s)
	err := l.k.store.Create(l.k.ctx, key, bytes.NewReader(body), int64(len(body)))
	check(l.k.t, err)
}

// object is the archived form of a segment.
func (l *life) object(s wal.Segment) (key string, body []byte) {
	f, err := l.fs.Open(s.Path)
	check(l.k.t, err)
	defer func() { check(l.k.t, f.Close()) }()
	var out bytes.Buffer
	_, err = archive.Seal(&out, io.LimitReader(f, s.Bytes))
	check(l.k.t, err)
	return l.k.arch.Key(archive.SegmentKey{Timeline: s.Timeline, First: s.First, Last: s.Last, Epoch: s.Epoch, SHA16: archive.Short(s.SHA256)}), out.Bytes()
}

// base archives a base of the state as it is.
func (l *life) base() {
	k := l.k
	in := archive.BaseInput{Epoch: l.epoch, LSN: l.last, Time: time.UnixMicro(l.lastTime), Digest: l.now.digest(), Entries: uint64(len(l.now))}
	for _, v := range l.vshards {
		check(k.t, <-v.StartFlush(l.last, l.lastTime))
		dir := l.fs.PathJoin(l.dir, fmt.Sprintf("base-%d-%d", l.last, v.ID()))
		files, err := v.Files(k.ctx, dir)
		check(k.t, err)
		in.VShards = append(in.VShards, archive.BaseVShard{ID: v.ID(), Applied: files.Applied, Dir: dir, Files: files.Names})
	}
	_, err := archive.WriteBase(k.ctx, k.store, in, &archive.BaseOptions{FS: l.fs, Known: l.known})
	check(k.t, err)
	for _, v := range in.VShards {
		check(k.t, l.fs.RemoveAll(v.Dir))
	}
}

// adopt begins a life in a restored directory, as a node's first start does.
func (k *kit) adopt(fs *vfs.MemFS, dir string, res *Result) *life {
	meta, err := engine.ReadMeta(fs, dir)
	check(k.t, err)
	if meta.TimelineClaimed || meta.ParentTimeline != res.Reached.Timeline || meta.ForkLSN != res.Reached.LSN {
		k.t.Fatalf("node.json of a restored node: %+v", meta)
	}
	l := &life{k: k, fs: fs, dir: dir, now: k.model[Position{Timeline: res.Reached.Timeline, LSN: res.Reached.LSN}],
		last: res.Reached.LSN, parent: meta.ParentTimeline, fork: meta.ForkLSN, known: archive.NewKnownObjects()}
	l.open(archive.Claim{FirstLSN: meta.FirstLSN})
	l.last = l.epoch.FirstLSN - 1
	return l
}

// mustRestore plans and restores to a new directory of a new file system, and
// holds the result against the model.
func (k *kit) mustRestore(target Target, opts *Options) (*vfs.MemFS, *Result) {
	k.t.Helper()
	plan, err := NewPlan(k.ctx, k.archives(), target)
	if err != nil {
		k.t.Fatalf("plan %s: %v", target, err)
	}
	fs := vfs.NewMem()
	check(k.t, fs.MkdirAll("/data", 0o755))
	res, err := Restore(k.ctx, plan, "/data/node", k.options(fs, opts))
	if err != nil {
		k.t.Fatalf("restore to %s: %v", target, err)
	}
	k.compare(target, res)
	return fs, res
}

// compare checks the digest against the model at the position reached.
func (k *kit) compare(target Target, res *Result) {
	k.t.Helper()
	at := Position{Timeline: res.Reached.Timeline, LSN: res.Reached.LSN}
	want, ok := k.model[at]
	if !ok {
		k.t.Fatalf("restore to %s reached %s, which was never written", target, res.Reached)
	}
	if res.Digest != want.digest() || res.Entries != uint64(len(want)) {
		k.t.Fatalf("restore to %s: digest at %s is %s over %d entries, model says %s over %d",
			target, res.Reached, res.Digest, res.Entries, want.digest(), len(want))
	}
	if res.NextLSN <= k.highest() {
		k.t.Fatalf("Law 9: next LSN is %d, and LSN %d was archived", res.NextLSN, k.highest())
	}
}

func (k *kit) highest() wal.LSN {
	var high wal.LSN
	c, err := k.arch.Catalog(k.ctx)
	check(k.t, err)
	for _, s := range c.Segments {
		high = max(high, s.Last)
	}
	return high
}

func (k *kit) options(fs vfs.FS, o *Options) *Options {
	var c Options
	if o != nil {
		c = *o
	}
	c.FS = fs
	setDefault(&c.BackoffMin, time.Microsecond)
	setDefault(&c.BackoffMax, time.Microsecond)
	setDefault(&c.Attempts, 2)
	return &c
}

// content reads a restored directory through the engine.
func (k *kit) content(fs vfs.FS, dir string) state {
	shared, err := engine.NewShared(&engine.Options{FS: fs, Engines: []engine.Engine{kv.New(nil)}})
	check(k.t, err)
	out := state{}
	for id := range kitVShards {
		v, err := engine.OpenVShard(shared, archive.VShardDir(fs, dir, uint16(id)), uint16(id))
		check(k.t, err)
		ref, err := v.Acquire()
		check(k.t, err)
		for key := range k.allKeys() {
			if kv.VShardOf([]byte(key), kitVShards) != uint16(id) {
				continue
			}
			if e, err := kv.Get(ref.Reader(), 7, []byte(key), 1); err == nil {
				out[key] = modelEntry{value: string(e.Value), expireAt: e.ExpireAt}
			}
		}
		ref.Release()
		check(k.t, v.Close())
	}
	check(k.t, shared.Close())
	return out
}

func (k *kit) allKeys() map[string]bool {
	out := make(map[string]bool)
	for _, s := range k.model {
		for key := range s {
			out[key] = true
		}
	}
	return out
}

// memStore is a Store in memory: fast enough for sweeps, and open to damage.
type memStore struct {
	url string

	mu      sync.Mutex
	objects map[string][]byte
}

func newMemStore() *memStore {
	return &memStore{url: "mem://test", objects: make(map[string][]byte)}
}

func (s *memStore) fail(op, key string, class error) error {
	return &archive.StoreError{Op: op, Store: s.url, Key: key, Class: class}
}

func (s *memStore) Create(_ context.Context, key string, body io.ReaderAt, size int64) error {
	data := make([]byte, size)
	if n, err := body.ReadAt(data, 0); int64(n) != size {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[key]; ok {
		return s.fail("create", key, archive.ErrExists)
	}
	s.objects[key] = data
	return nil
}

func (s *memStore) ReadRange(_ context.Context, key string, off, n int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[key]
	if !ok {
		return nil, s.fail("read", key, archive.ErrNotFound)
	}
	data = data[min(off, int64(len(data))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s *memStore) Stat(_ context.Context, key string) (archive.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[key]
	if !ok {
		return archive.Object{}, s.fail("stat", key, archive.ErrNotFound)
	}
	return archive.Object{Key: key, Size: int64(len(data))}, nil
}

func (s *memStore) List(_ context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []archive.Object
	for key, data := range s.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			out = append(out, archive.Object{Key: key, Size: int64(len(data))})
		}
	}
	slices.SortFunc(out, func(a, b archive.Object) int { return strings.Compare(a.Key, b.Key) })
	return func(yield func(archive.Object, error) bool) {
		for _, o := range out {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (s *memStore) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[key]; !ok {
		return s.fail("delete", key, archive.ErrNotFound)
	}
	delete(s.objects, key)
	return nil
}

func (s *memStore) URL() string  { return s.url }
func (s *memStore) Close() error { return nil }

// clone is a copy that can be damaged by itself; bodies are shared until then.
func (s *memStore) clone() *memStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &memStore{url: s.url, objects: maps.Clone(s.objects)}
}

// keys lists the objects whose key below the node's prefix begins with kind.
func (s *memStore) keys(kind string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for key := range s.objects {
		if strings.HasPrefix(key, archive.NodePrefix(kitNode)+kind) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// change replaces a body by f of a copy of it.
func (s *memStore) change(key string, f func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = f(bytes.Clone(s.objects[key]))
}

// over is the kit's archive in another store.
func (k *kit) over(t tb, store archive.Store) *kit {
	c := *k
	c.t, c.store = t, store
	var err error
	c.arch, err = archive.Open(store, kitNode)
	check(t, err)
	return &c
}

// newStageFS is a file system with the parent of /data/node.
func newStageFS(t tb) *vfs.MemFS {
	fs := vfs.NewMem()
	check(t, fs.MkdirAll("/data", 0o755))
	return fs
}
