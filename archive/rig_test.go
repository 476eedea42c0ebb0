package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	nodeID  = "n1"
	walDir  = "wal"
	jourDir = "archive"
)

// recorder is a store that watches law 7: every key is created once, keeps
// its bytes, and is never deleted.
type recorder struct {
	archive.Store
	t *testing.T

	mu   sync.Mutex
	sums map[string][32]byte
	keys []string // in order of creation
}

func newRecorder(t *testing.T) *recorder {
	s, _, err := archive.OpenStore(context.Background(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Store: s, t: t, sums: make(map[string][32]byte)}
	t.Cleanup(func() {
		r.check()
		_ = s.Close()
	})
	return r
}

func (r *recorder) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(body, 0, size)); err != nil {
		return err
	}
	err := r.Store.Create(ctx, key, body, size)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.sums[key]; ok {
		r.t.Errorf("Law 7: %s was created twice", key)
	}
	r.sums[key] = [32]byte(h.Sum(nil))
	r.keys = append(r.keys, key)
	return nil
}

func (r *recorder) Delete(_ context.Context, key string) error {
	r.t.Errorf("Law 7: %s is deleted", key)
	return errors.New("not by the archiver")
}

// created lists the keys that were created, in order, and hold part.
func (r *recorder) created(part string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if strings.Contains(k, part) {
			out = append(out, k)
		}
	}
	return out
}

// check reads everything again: what was created once is still the same.
func (r *recorder) check() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.sums)) {
		if got := sha256.Sum256(content(r.t, r.Store, key)); got != r.sums[key] {
			r.t.Errorf("Law 7: %s changed after it was created", key)
		}
	}
}

// silent hides the MD5 that the inner store reports.
type silent struct{ archive.Store }

func (s silent) Stat(ctx context.Context, key string) (archive.Object, error) {
	o, err := s.Store.Stat(ctx, key)
	o.MD5 = nil
	return o, err
}

// named gives a store another URL, since stores are told apart by it.
type named struct {
	archive.Store
	url string
}

func (s named) URL() string { return s.url }

func content(t *testing.T, s archive.Store, key string) []byte {
	t.Helper()
	r, err := s.ReadRange(context.Background(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readLocal(t *testing.T, fsys vfs.FS, path string, n int64) []byte {
	t.Helper()
	f, err := fsys.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeLocal(t *testing.T, fsys vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Clone(data)); err != nil { // a file may change the buffer that it is given
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// rig is a node's WAL and one store that can fail.
type rig struct {
	t     *testing.T
	fs    *vfs.MemFS
	segs  []wal.Segment
	rec   *recorder
	store *archivetest.Faulty
	epoch archive.EpochInfo
	opts  archive.ArchiverOptions
}

func newRig(t *testing.T, segments int) *rig {
	t.Helper()
	r := &rig{t: t, fs: vfs.NewCrashableMem(), rec: newRecorder(t)}
	r.segs = makeSegments(t, r.fs, walDir, segments, 1)
	r.store = archivetest.NewFaulty(r.rec, nil)
	r.epoch = r.claim(r.store)
	r.opts = archive.ArchiverOptions{
		Stores: []archive.StoreConfig{{Store: r.store}}, Epoch: r.epoch,
		JournalDir: jourDir, FS: r.fs, Logger: slog.New(slog.DiscardHandler),
	}
	return r
}

func (r *rig) claim(stores ...archive.Store) archive.EpochInfo {
	r.t.Helper()
	var cfg []archive.StoreConfig
	for _, s := range stores {
		cfg = append(cfg, archive.StoreConfig{Store: s})
	}
	e, err := archive.ClaimEpoch(context.Background(), cfg, archive.Claim{
		NodeID: nodeID, Dir: jourDir, FS: r.fs, Timeline: 1, FirstLSN: 1,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// start makes an archiver that is closed, drained or not, at the end.
func (r *rig) start() *archive.Archiver {
	r.t.Helper()
	a, err := archive.NewArchiver(&r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { stop(a) })
	return a
}

// stop ends an archiver at once.
func stop(a *archive.Archiver) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = a.Close(ctx)
}

func (r *rig) add(a *archive.Archiver, segs ...wal.Segment) {
	r.t.Helper()
	for _, s := range segs {
		if err := a.Add(s); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) last() wal.LSN { return r.segs[len(r.segs)-1].Last }

func (r *rig) key(i int) string { return segmentKey(r.segs[i]) }

func segmentKey(s wal.Segment) string {
	return archive.Join(nodeID, archive.SegmentKey{
		Timeline: s.Timeline, First: s.First, Last: s.Last, Epoch: s.Epoch, SHA16: archive.Short(s.SHA256)})
}

func waitFor(t *testing.T, a *archive.Archiver, lsn wal.LSN) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour) // synctest makes it short
	defer cancel()
	if err := a.Wait(ctx, lsn); err != nil {
		t.Fatalf("wait for LSN %d: %v; status %+v", lsn, err, a.Status())
	}
}

// onKey fails the calls of one method on keys that contain part.
func onKey(op archivetest.Op, part string, f archivetest.Fault) archivetest.Plan {
	return func(o archivetest.Op, key string, _ int) archivetest.Fault {
		if o == op && strings.Contains(key, part) {
			return f
		}
		return archivetest.None
	}
}

// copyFS is the state of fsys as another machine would have copied it.
func copyFS(fsys *vfs.MemFS) *vfs.MemFS {
	return fsys.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
}

// forget lets a test delete behind the store's back.
func (r *recorder) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sums, key)
}
