package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/faultfs"
	"github.com/nodedb-go/nodedb/node"
)

var (
	crashSeed   = flag.Uint64("crash.seed", 0, "seed of the crash tests; 0 draws one")
	crashPoints = flag.Int("crash.points", 40, "crash points that a test tries, spread over all operations; 0 tries every one")
)

// drawSeed logs the seed as a command line to paste.
func drawSeed(t *testing.T) *rand.Rand {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test ./internal/e2e -run '^%s$' -crash.seed=%d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// A script is what one client does, one request after the other, with the state
// that is to be there after each. It runs against a node whose file system a
// test watches, and tells what was acknowledged.
type script struct {
	states []state // states[i]: after i changes
	acked  atomic.Int64
	issued atomic.Int64
}

// newScript makes a script of n changes.
func newScript(rng *rand.Rand, n int) *script {
	s := &script{states: []state{{}}}
	now := state{}
	for range n {
		k, v := fmt.Sprintf("k%d", rng.IntN(12)), fmt.Sprint(rng.IntN(1000))
		if rng.IntN(4) == 0 {
			delete(now, k)
		} else {
			now[k] = v + "@0"
		}
		s.states = append(s.states, maps.Clone(now))
	}
	return s
}

// change makes change i, which is the difference of two states.
func (s *script) change(ctx context.Context, db *node.DB, i int) error {
	s.issued.Store(int64(i + 1))
	var err error
	for k, v := range s.states[i+1] {
		if s.states[i][k] != v {
			_, err = db.Put(ctx, []byte(k), []byte(v[:len(v)-2]), nil)
		}
	}
	for k := range s.states[i] {
		if _, ok := s.states[i+1][k]; !ok {
			_, err = db.Delete(ctx, []byte(k), nil)
		}
	}
	if err == nil {
		s.acked.Store(int64(i + 1))
	}
	return err
}

// between are the changes of part p of n.
func (s *script) part(p, n int) (from, to int) {
	total := len(s.states) - 1
	return p * total / n, (p + 1) * total / n
}

// run opens a node and plays the script, with checkpoints, rotation, archiving,
// truncation and a base in between. It stops at the first error.
func (s *script) run(ctx context.Context, o node.Options) (err error) {
	n, err := node.Open("/db", &o)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := n.Close(); err == nil {
			err = cerr
		}
	}()
	db := n.Tenant(tenant)
	between := []func() error{
		func() error { _, err := n.Checkpoint(ctx); return err },
		func() error { _, _, err := n.RestorePoint(ctx, "point"); return err },
		func() error {
			lsn, err := n.Seal(ctx)
			if err != nil {
				return err
			}
			if err := n.WaitArchived(ctx, lsn); err != nil {
				return err
			}
			_, err = n.Checkpoint(ctx)
			return err
		},
		func() error { _, err := n.Backup(ctx); return err },
		func() error { _, err := n.Digest(ctx); return err },
	}
	for p := range len(between) + 1 {
		from, to := s.part(p, len(between)+1)
		for i := from; i < to; i++ {
			if err := s.change(ctx, db, i); err != nil {
				return err
			}
		}
		if p < len(between) {
			if err := between[p](); err != nil {
				return err
			}
		}
	}
	return nil
}

// options of a small node whose every rotation and flush happens soon.
func (s *script) options(fs vfs.FS, store archive.Store) node.Options {
	return node.Options{
		NodeID: "n1", VShards: 2, Cores: 2, FS: fs, BallastBytes: 4096, SegmentBytes: 4 << 10,
		Stores:           []archive.StoreConfig{{Store: store}},
		MaintainInterval: -1, CheckpointInterval: -1, CheckpointBytes: 1 << 40, ArchiveTimeout: -1,
		MemtableBytes: 1 << 20, CacheBytes: 1 << 20, CoreTimeout: 10 * time.Second,
	}
}

// A crashPoint is a moment before one operation: the disk as a crash would leave
// it, the archive as it was, and what the client had been told.
type crashPoint struct {
	op      faultfs.Op
	disk    *vfs.MemFS
	objects []string
	acked   int64
}

// watch calls take before each operation of fs, and remembers which objects the
// archive holds then.
type watch struct {
	mem     *vfs.MemFS
	script  *script
	created *createdStore
	percent int
	rng     *rand.Rand
	want    func(n int64) bool
	points  []crashPoint
}

func (w *watch) hook(op faultfs.Op) {
	if !w.want(op.N) {
		return
	}
	acked := w.script.acked.Load()
	objects := w.created.list()
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: w.percent}
	if w.percent > 0 {
		cfg.RNG = w.rng
	}
	w.points = append(w.points, crashPoint{op, w.mem.CrashClone(cfg), objects, acked})
}

// A createdStore remembers the objects in the order in which they were created.
type createdStore struct {
	archive.Store
	mu   sync.Mutex
	keys []string
}

// Create implements archive.Store.
func (c *createdStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	err := c.Store.Create(ctx, key, body, size)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keys = append(c.keys, key)
	}
	return err
}

func (c *createdStore) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.keys)
}

// Law 1, 3, 4, 6 and 11: a crash before any operation of the file system, with
// none, half or all of the unsynced data on disk, loses nothing that was
// acknowledged and leaves a prefix of what was asked for; recovering twice is
// recovering once.
func TestCrash_EveryOperation(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("unsynced=%d%%", percent), func(t *testing.T) {
			rng := drawSeed(t)
			s := newScript(rng, 48)
			total := s.rehearse(t)
			s.acked.Store(0)
			s.issued.Store(0)
			stride := int64(1)
			if *crashPoints > 0 {
				stride = max(1, total/int64(*crashPoints))
			}
			offset := rng.Int64N(stride)
			w, root := s.crashes(t, percent, rng, func(n int64) bool { return n%stride == offset })
			for i := range w.points {
				s.recoverFrom(t, &w.points[i], root)
			}
			t.Logf("%d crash points over %d operations", len(w.points), total)
		})
	}
}

// rehearse counts the operations of the script.
func (s *script) rehearse(t *testing.T) int64 {
	t.Helper()
	fs := faultfs.New(vfs.NewMem())
	if err := s.run(t.Context(), s.options(fs, openFileStore(t, t.TempDir()))); err != nil {
		t.Fatalf("rehearsal: %v", err)
	}
	return fs.Count()
}

// crashes plays the script and takes its crash points.
func (s *script) crashes(t *testing.T, percent int, rng *rand.Rand, want func(int64) bool) (*watch, string) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	fs := faultfs.New(mem)
	root := t.TempDir()
	store := &createdStore{Store: openFileStore(t, root)}
	w := &watch{mem: mem, script: s, created: store, percent: percent, rng: rng, want: want}
	fs.Hook(w.hook)
	if err := s.run(t.Context(), s.options(fs, store)); err != nil {
		t.Fatalf("play the script: %v", err)
	}
	fs.Hook(nil)
	if len(w.points) == 0 {
		t.Fatal("no crash point was taken")
	}
	return w, root
}

func (s *script) recoverFrom(t *testing.T, p *crashPoint, root string) {
	t.Helper()
	var first state
	for round := range 2 {
		then := t.TempDir()
		for _, key := range p.objects {
			linkObject(t, root, then, key)
		}
		store := openFileStore(t, then)
		// The second recovery is one of the first one's crash: nothing was closed.
		disk := p.disk.CrashClone(vfs.CrashCloneCfg{})
		got, err := s.reopen(disk, store, round == 1)
		if err != nil {
			t.Fatalf("crash before %v, recovery %d: %v", p.op, round+1, err)
		}
		if round == 1 {
			if !maps.Equal(got, first) {
				t.Fatalf("crash before %v: second recovery = %v, the first gave %v", p.op, got, first)
			}
			return
		}
		first = got
		s.checkPrefix(t, p, got)
	}
}

// reopen recovers and reads. With again it recovers, drops the node without
// closing it, and recovers from what that left on disk.
func (s *script) reopen(disk *vfs.MemFS, store archive.Store, again bool) (state, error) {
	o := s.options(disk, store)
	if again {
		o.Stores = nil // the epoch of the first try is its own
		n, err := node.Open("/db", &o)
		if err != nil {
			return nil, err
		}
		crashed := disk.CrashClone(vfs.CrashCloneCfg{})
		if err := n.Close(); err != nil {
			return nil, err
		}
		o = s.options(crashed, store)
	}
	n, err := node.Open("/db", &o)
	if err != nil {
		return nil, err
	}
	got, err := readState(n)
	return got, errors.Join(err, n.Close())
}

func (s *script) checkPrefix(t *testing.T, p *crashPoint, got state) {
	t.Helper()
	for i := int(p.acked); i < len(s.states); i++ {
		if maps.Equal(got, s.states[i]) {
			return
		}
	}
	t.Fatalf("crash before %v after %d acknowledged changes: recovered %v, want %v or a later state", p.op, p.acked, got, s.states[p.acked])
}

func readState(n *node.Node) (state, error) {
	s, err := n.Tenant(tenant).Scan(context.Background(), node.ScanOptions{Stored: true})
	if err != nil {
		return nil, err
	}
	got := state{}
	for s.Next() {
		got[string(s.Key())] = fmt.Sprintf("%s@%d", s.Value(), s.ExpireAt())
	}
	return got, errors.Join(s.Err(), s.Close())
}

func openFileStore(t *testing.T, root string) archive.Store {
	t.Helper()
	store, err := archive.NewFileStore(root)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// linkObject makes an object of one file store one of another.
func linkObject(t *testing.T, from, to, key string) {
	t.Helper()
	dst := filepath.Join(to, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(from, filepath.FromSlash(key)), dst); err != nil {
		t.Fatal(err)
	}
}
