package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// checksDefault is how many random histories a plain run tries; the soak asks
// for more with -rapid.checks.
const checksDefault = "20"

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", checksDefault); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// A state is what a tenant's keys hold: value and expiry.
type state map[string]string

// A history is a node with an archive, driven by one goroutine, and the model of
// every state that it went through.
type history struct {
	t      *rapid.T
	fs     *vfs.MemFS
	store  archive.Store
	opts   node.Options
	dir    string
	first  wal.LSN // of the current timeline
	lives  int     // directories restored
	named  int     // restore points
	n      *node.Node
	now    state
	states map[wal.LSN]state // after the record of that LSN
	times  map[wal.LSN]time.Time
	points map[string]wal.LSN
	clock  atomic.Int64 // ms since the Unix epoch; a look at it moves it on
}

const tenant = 5

func newHistory(t *rapid.T, root string) *history {
	store, err := archive.NewFileStore(root)
	if err != nil {
		t.Fatal(err)
	}
	h := &history{
		t: t, fs: vfs.NewMem(), store: store, dir: "/node-0",
		now: state{}, states: map[wal.LSN]state{0: {}}, times: map[wal.LSN]time.Time{}, points: map[string]wal.LSN{},
	}
	h.clock.Store(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixMilli())
	h.opts = node.Options{
		NodeID: "n1", VShards: rapid.IntRange(1, 6).Draw(t, "vshards"), FS: h.fs, BallastBytes: -1,
		SegmentBytes:     int64(rapid.SampledFrom([]int{4 << 10, 8 << 10, 64 << 10}).Draw(t, "segment")),
		Stores:           []archive.StoreConfig{{Store: store}},
		Clock:            func() time.Time { return time.UnixMilli(h.clock.Add(1)).UTC() },
		MaintainInterval: -1, CheckpointInterval: -1, CheckpointBytes: 1 << 40, ArchiveTimeout: -1,
		MemtableBytes: 1 << 20, CacheBytes: 1 << 20,
	}
	h.start()
	return h
}

func (h *history) start() {
	h.opts.Cores = rapid.IntRange(1, 4).Draw(h.t, "cores")
	n, err := node.Open(h.dir, &h.opts)
	if err != nil {
		h.t.Fatalf("open: %v", err)
	}
	h.n = n
}

func (h *history) stop() {
	if err := h.n.Close(); err != nil {
		h.t.Fatalf("close: %v", err)
	}
}

func (h *history) durable() wal.LSN { return h.n.Status().Watermarks.Durable }

// note remembers the state for every LSN up to the log's end.
func (h *history) note() {
	lsn := h.durable()
	h.states[lsn] = maps.Clone(h.now)
}

func (h *history) key() []byte {
	return fmt.Appendf(nil, "k%d", rapid.IntRange(0, 20).Draw(h.t, "key"))
}

func (h *history) check(err error) {
	if err != nil {
		h.t.Fatal(err)
	}
}

// step makes one random change, and notes the state after it.
func (h *history) step(ctx context.Context) {
	db, k := h.n.Tenant(tenant), h.key()
	v := fmt.Appendf(nil, "%d", rapid.IntRange(0, 1000).Draw(h.t, "value"))
	switch rapid.SampledFrom([]string{"put", "put", "put", "ttl", "delete", "increment", "batch", "absent", "point", "backup", "checkpoint", "seal", "restart"}).Draw(h.t, "step") {
	case "put":
		_, err := db.Put(ctx, k, v, nil)
		h.check(err)
		h.now[string(k)] = string(v) + "@0"
	case "ttl":
		at := time.UnixMilli(h.clock.Load()).Add(24 * time.Hour)
		_, err := db.Put(ctx, k, v, &node.WriteOptions{ExpireAt: at})
		h.check(err)
		h.now[string(k)] = fmt.Sprintf("%s@%d", v, at.UnixMilli())
	case "delete":
		_, err := db.Delete(ctx, k, nil)
		h.check(err)
		delete(h.now, string(k))
	case "increment":
		n, err := db.Increment(ctx, append(k, "-n"...), 7, nil)
		h.check(err)
		h.now[string(k)+"-n"] = fmt.Sprintf("%d@0", n)
	case "absent":
		ok, err := db.PutIfAbsent(ctx, k, v, nil)
		h.check(err)
		if ok {
			h.now[string(k)] = string(v) + "@0"
		}
	case "batch":
		var b node.Batch
		for i := range 4 {
			key := fmt.Sprintf("{%s}%d", k, i)
			b.Put([]byte(key), v)
			h.now[key] = string(v) + "@0"
		}
		_, err := db.Apply(ctx, &b, nil)
		h.check(err)
	case "point":
		h.named++
		name := fmt.Sprintf("p%d", h.named)
		lsn, _, err := h.n.RestorePoint(ctx, name)
		h.check(err)
		h.points[name] = lsn
	case "backup":
		_, err := h.n.Backup(ctx)
		h.check(err)
	case "checkpoint":
		_, err := h.n.Checkpoint(ctx)
		h.check(err)
	case "seal":
		_, err := h.n.Seal(ctx)
		h.check(err)
	case "restart":
		h.stop()
		h.start()
	}
	if h.durable() >= h.first {
		h.note()
	}
}

// at is the model's state at lsn: that of the newest note at or below it.
func (h *history) at(lsn wal.LSN) state {
	best := wal.LSN(0)
	for l := range h.states {
		if l <= lsn && l >= best {
			best = l
		}
	}
	return h.states[best]
}

// restore builds the state at target in a new directory.
func (h *history) restore(ctx context.Context, target pitr.Target) (string, *pitr.Result) {
	h.lives++
	dir := fmt.Sprintf("/node-%d", h.lives)
	a, err := archive.Open(h.store, "n1")
	h.check(err)
	plan, err := pitr.NewPlan(ctx, []*archive.Archive{a}, target)
	if err != nil {
		h.t.Fatalf("plan %s: %v", target, err)
	}
	result, err := pitr.Restore(ctx, plan, dir, &pitr.Options{FS: h.fs})
	if err != nil {
		h.t.Fatalf("restore %s: %v", target, err)
	}
	return dir, result
}

// verify restores to target and compares what the restored node holds with the
// model.
func (h *history) verify(ctx context.Context, target pitr.Target, want state) {
	dir, result := h.restore(ctx, target)
	o := h.opts
	o.Stores, o.VShards = nil, 0
	restored, err := node.Open(dir, &o)
	if err != nil {
		h.t.Fatalf("open restored: %v", err)
	}
	got := read(h.t, restored)
	d, err := restored.Digest(ctx)
	h.check(err)
	h.check(restored.Close())
	if !maps.Equal(got, want) {
		h.t.Fatalf("restore to %s (LSN %d) = %v, want %v", target, result.Reached.LSN, got, want)
	}
	if d.Digest != result.Digest || d.Entries != result.Entries {
		h.t.Fatalf("digest of the opened node = %s (%d), the restore said %s (%d)", d.Digest, d.Entries, result.Digest, result.Entries)
	}
	h.check(h.fs.RemoveAll(dir))
}

func read(t *rapid.T, n *node.Node) state {
	s, err := n.Tenant(tenant).Scan(context.Background(), node.ScanOptions{Stored: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	got := state{}
	for s.Next() {
		got[string(s.Key())] = fmt.Sprintf("%s@%d", s.Value(), s.ExpireAt())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

// Law 4 and law 9: for random histories, segment sizes, numbers of cores and
// vshards, bases and timelines, restoring to an LSN gives the model's state at
// that LSN, and a restored node goes on under a new timeline above every LSN.
func TestRestore_EqualsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(rt, t.TempDir())
		ctx := t.Context()
		for range rapid.IntRange(1, 3).Draw(rt, "timelines") {
			for range rapid.IntRange(5, 60).Draw(rt, "steps") {
				h.step(ctx)
			}
			last := h.durable()
			h.stop()
			for range 2 {
				lsn := wal.LSN(rapid.Uint64Range(1, uint64(last)).Draw(rt, "target"))
				if !h.reachable(lsn) {
					continue
				}
				h.verify(ctx, pitr.Target{LSN: lsn}, h.at(lsn))
			}
			for name, lsn := range h.points {
				if h.reachable(lsn) {
					h.verify(ctx, pitr.Target{Point: name}, h.at(lsn))
				}
			}
			h.fork(ctx, last)
		}
		h.stop()
	})
}

// reachable tells whether the LSN belongs to the current history: not to the
// jump between two timelines, and not to a part that a fork left behind.
func (h *history) reachable(lsn wal.LSN) bool { _, ok := h.states[lsn]; return ok }

// fork restores to some LSN and goes on from there with the same archive.
func (h *history) fork(ctx context.Context, last wal.LSN) {
	lsn := wal.LSN(rapid.Uint64Range(1, uint64(last)).Draw(h.t, "fork"))
	if !h.reachable(lsn) {
		lsn = last
	}
	dir, result := h.restore(ctx, pitr.Target{LSN: lsn})
	reached := result.Reached.LSN
	looked := rapid.Bool().Draw(h.t, "look first")
	if looked {
		// Opened without the archive, and written to, before it goes on with it.
		o := h.opts
		o.Stores, o.VShards = nil, 0
		n, err := node.Open(dir, &o)
		h.check(err)
		_, err = n.Digest(ctx)
		h.check(err)
		h.check(n.Close())
	}
	h.now = maps.Clone(h.at(lsn))
	for l := range h.states {
		if l > reached {
			delete(h.states, l)
		}
	}
	for name, l := range h.points {
		if l > reached {
			delete(h.points, name)
		}
	}
	h.opts.VShards = 0
	h.dir = dir
	h.start()
	// The LSNs between the fork and the new timeline belong to neither.
	if h.first = h.durable() + 1; h.first <= last {
		h.t.Fatalf("the new timeline's log begins at %d, not above %d", h.first, last)
	}
	if looked {
		// What the look truncated is in no segment.
		info, err := h.n.Backup(ctx)
		h.check(err)
		h.first = info.LSN
	}
}
