package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// archived are the options of a small node that archives to the stores and does
// nothing else by itself.
func archived(fs vfs.FS, stores ...archive.StoreConfig) *node.Options {
	return &node.Options{
		NodeID: "n1", VShards: 3, Cores: 2, FS: fs, BallastBytes: -1, SegmentBytes: 8 << 10, Stores: stores,
		MaintainInterval: -1, CheckpointInterval: -1, CheckpointBytes: 1 << 40, ArchiveTimeout: -1,
		MemtableBytes: 1 << 20, CacheBytes: 1 << 20,
	}
}

func openNode(t *testing.T, dir string, o *node.Options) *node.Node {
	t.Helper()
	n, err := node.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeNode(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// await looks until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// put writes count keys, seals the log and returns its last LSN.
func put(t *testing.T, n *node.Node, prefix string, count int) wal.LSN {
	t.Helper()
	for i := range count {
		if _, err := n.Tenant(tenant).Put(t.Context(), fmt.Appendf(nil, "%s%d", prefix, i), make([]byte, 1<<10), nil); err != nil {
			t.Fatalf("Put(%s%d): %v", prefix, i, err)
		}
	}
	lsn, err := n.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

func digest(t *testing.T, n *node.Node) node.DigestResult {
	t.Helper()
	d, err := n.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sealArchived(t *testing.T, n *node.Node) {
	t.Helper()
	lsn, err := n.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.WaitArchived(t.Context(), lsn); err != nil {
		t.Fatal(err)
	}
}

func plan(t *testing.T, store archive.Store, target pitr.Target) (*pitr.Plan, error) {
	t.Helper()
	a, err := archive.Open(store, "n1")
	if err != nil {
		t.Fatal(err)
	}
	return pitr.NewPlan(t.Context(), []*archive.Archive{a}, target)
}

// restored opens what a restore to the target gives.
func restored(t *testing.T, store archive.Store, target pitr.Target) (*node.Node, *pitr.Result) {
	t.Helper()
	p, err := plan(t, store, target)
	if err != nil {
		t.Fatalf("plan %s: %v", target, err)
	}
	fs := vfs.NewMem()
	result, err := pitr.Restore(t.Context(), p, "/restored", &pitr.Options{FS: fs})
	if err != nil {
		t.Fatalf("restore %s: %v", target, err)
	}
	o := archived(fs)
	o.VShards = 0
	return openNode(t, "/restored", o), result
}

// objects is the content of every object of a store.
func objects(t *testing.T, s archive.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for o, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.ReadRange(t.Context(), o.Key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		all[o.Key] = string(data)
	}
	return all
}

// wantKept checks that every object of before is there, byte for byte.
func wantKept(t *testing.T, before, after map[string]string) {
	t.Helper()
	for key, data := range before {
		if now, ok := after[key]; !ok || now != data {
			t.Errorf("object %s was changed or removed", key)
		}
	}
}

func cloneDir(t *testing.T, fs vfs.FS, from, to string) {
	t.Helper()
	if ok, err := vfs.Clone(fs, fs, from, to); err != nil || !ok {
		t.Fatalf("copy %s: %v, %v", from, ok, err)
	}
	for _, name := range []string{"LOCK", "PID"} {
		if err := fs.Remove(fs.PathJoin(to, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// Law 7 and 8: of two nodes on one archive, the second a copy of the first's
// directory, the one that claimed the later epoch wins. The first one stops
// archiving, says so, keeps its log, and overwrites nothing; its next start does
// not take the history back silently either.
func TestFence_CopiedDirectory(t *testing.T) {
	fs, store := vfs.NewMem(), openFileStore(t, t.TempDir())
	stores := archive.StoreConfig{Store: store}
	first := openNode(t, "/first", archived(fs, stores))
	put(t, first, "before", 30)
	sealArchived(t, first)
	cloneDir(t, fs, "/first", "/second")

	second := openNode(t, "/second", archived(fs, stores))
	if a, b := first.Status().Epoch, second.Status().Epoch; b <= a {
		t.Fatalf("epochs %d and %d", a, b)
	}
	put(t, second, "second", 30)
	sealArchived(t, second)
	before := objects(t, store)

	lost := put(t, first, "first", 30)
	err := first.WaitArchived(t.Context(), lost)
	var fenced *archive.FencedError
	if !errors.As(err, &fenced) || fenced.Own != first.Status().Epoch || fenced.By == nil || fenced.By.Epoch != second.Status().Epoch {
		t.Fatalf("WaitArchived of the first node = %v, want a *FencedError that names both epochs", err)
	}
	st := first.Status()
	if !strings.Contains(st.Archive.Fenced, "epoch") || st.Archive.Stores[0].Circuit != "fenced" {
		t.Fatalf("status of the fenced node = %+v", st.Archive)
	}
	segments := st.Log.Segments
	for range 2 {
		r, err := first.Checkpoint(t.Context())
		if err != nil || r.RemovedSegments != 0 && r.Truncated > r.Archived {
			t.Fatalf("Checkpoint of the fenced node = %+v, %v", r, err)
		}
	}
	if now := first.Status(); now.Watermarks.Truncated >= lost || now.Log.Segments == 0 {
		t.Fatalf("the fenced node kept %d of %d segments: %+v", now.Log.Segments, segments, now.Watermarks)
	}
	if _, err := first.Tenant(tenant).Get(t.Context(), []byte("first29")); err != nil {
		t.Fatalf("Get on the fenced node: %v", err)
	}
	if err := first.Close(); !errors.Is(err, archive.ErrFenced) {
		t.Fatalf("Close of the fenced node = %v, want ErrFenced", err)
	}
	wantKept(t, before, objects(t, store))

	// The winner goes on, and its history is what a restore gives.
	put(t, second, "more", 10)
	want := digest(t, second)
	sealArchived(t, second)
	wantKept(t, before, objects(t, store))
	closeNode(t, second)
	n, result := restored(t, store, pitr.Target{LSN: want.LSN})
	if result.Digest != want.Digest {
		t.Fatalf("digest of the restore = %s, the winner had %s", result.Digest, want.Digest)
	}
	if _, err := n.Tenant(tenant).Get(t.Context(), []byte("first0")); !errors.Is(err, node.ErrNotFound) {
		t.Fatalf("the restore holds a write of the fenced node: %v", err)
	}
	closeNode(t, n)

	// What the fenced one wrote is still on its disk.
	o := archived(fs)
	n = openNode(t, "/first", o)
	if _, err := n.Tenant(tenant).Get(t.Context(), []byte("first29")); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)
}

// Law 8: a fenced node whose directory is started again with the archive cannot
// bring its own records of the same LSNs in: the archive stays as it was.
func TestFence_LoserComesBack(t *testing.T) {
	fs, store := vfs.NewMem(), openFileStore(t, t.TempDir())
	stores := archive.StoreConfig{Store: store}
	first := openNode(t, "/first", archived(fs, stores))
	put(t, first, "before", 30)
	sealArchived(t, first)
	cloneDir(t, fs, "/first", "/second")
	second := openNode(t, "/second", archived(fs, stores))
	put(t, second, "second", 30)
	sealArchived(t, second)
	lost := put(t, first, "first", 30)
	if err := first.WaitArchived(t.Context(), lost); !errors.Is(err, archive.ErrFenced) {
		t.Fatalf("WaitArchived = %v, want ErrFenced", err)
	}
	if err := first.Close(); !errors.Is(err, archive.ErrFenced) {
		t.Fatalf("Close = %v, want ErrFenced", err)
	}
	want := digest(t, second)
	sealArchived(t, second)
	closeNode(t, second)
	before := objects(t, store)

	again, err := node.Open("/first", archived(fs, stores))
	if err == nil {
		if werr := again.WaitArchived(t.Context(), lost); !errors.Is(werr, archive.ErrFenced) {
			t.Errorf("the loser's records were archived: %v", werr)
		}
		err = again.Close()
	}
	if !errors.Is(err, archive.ErrFenced) {
		t.Errorf("the loser came back: %v", err)
	}
	wantKept(t, before, objects(t, store))
	n, result := restored(t, store, pitr.Target{LSN: want.LSN})
	if result.Digest != want.Digest {
		t.Errorf("digest of the restore = %s, the winner had %s", result.Digest, want.Digest)
	}
	closeNode(t, n)
}

// Law 6 and 13: with "shed" a full budget never stops writes. What is given up is
// declared as a gap; a restore across the gap is refused and names it, one before
// it works, and after the next base one behind it does too. When the store
// answers, the gap is an object there before the segment goes; when it does not,
// it is one before anything behind the gap counts as archived.
func TestShed_GapThenBase(t *testing.T) {
	for _, outage := range []bool{false, true} {
		t.Run(fmt.Sprintf("outage=%v", outage), func(t *testing.T) { shedThenBase(t, outage) })
	}
}

func shedThenBase(t *testing.T, outage bool) {
	var mu sync.Mutex
	var order []string // gaps created and segments removed
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	store := archivetest.NewFaulty(openFileStore(t, t.TempDir()), nil)
	o := archived(&removalFS{FS: vfs.NewMem(), note: note}, archive.StoreConfig{Store: store})
	o.WALBudget, o.OnArchiveStall = 48<<10, archive.Shed
	n := openNode(t, "/db", o)
	put(t, n, "before", 20)
	early := digest(t, n)
	sealArchived(t, n)
	bad := "/wal/"
	if !outage {
		bad = "/" + (n.Status().Watermarks.Durable + 1).Hex() + "-"
	}
	store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpCreate && strings.Contains(key, "/gap/") {
			note(key)
			return archivetest.None
		}
		if op == archivetest.OpCreate && strings.Contains(key, bad) {
			return archivetest.Fail
		}
		return archivetest.None
	})
	stalled := func() bool {
		st := n.Status().Archive
		return st.WaitingBytes > st.BudgetBytes || st.Stores[0].Shed > 0
	}
	for round := 0; !stalled(); round++ {
		if round == 50 {
			t.Fatalf("the budget is not used up: %+v", n.Status().Archive)
		}
		put(t, n, fmt.Sprintf("during%d-", round), 5)
		if !outage {
			await(t, "all uploads but one", func() bool { st := n.Status().Archive.Stores[0]; return st.Queued <= 1 || st.Shed > 0 })
		}
	}
	await(t, "a shed segment", func() bool { return n.Status().Archive.Stores[0].Shed > 0 })
	await(t, "truncation of what was shed", func() bool {
		if _, err := n.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		return n.Status().Watermarks.Truncated > early.LSN+1
	})
	store.SetPlan(archivetest.Healthy)
	last := put(t, n, "after", 5)
	if err := n.WaitArchived(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	lost := gaps(t, store)
	if len(lost) == 0 {
		t.Fatal("archived behind a gap that is in no object")
	}
	if !outage {
		mu.Lock()
		checkGapsFirst(t, order, lost)
		mu.Unlock()
	}
	// The first LSN behind the gap is before every base that could be taken.
	_, err := plan(t, store, pitr.Target{LSN: lost[len(lost)-1].Last + 1})
	var gap *pitr.GapError
	if !errors.As(err, &gap) || gap.Declared == "" || gap.From < lost[0].First || gap.To > lost[len(lost)-1].Last || gap.Nearest.Before == nil {
		t.Fatalf("plan across the gap = %v, want a *GapError that names %v", err, lost)
	}
	r, result := restored(t, store, pitr.Target{LSN: early.LSN})
	if result.Digest != early.Digest {
		t.Fatalf("digest before the gap = %s, want %s", result.Digest, early.Digest)
	}
	closeNode(t, r)
	await(t, "the node's own base behind the gap", func() bool {
		return n.Status().Bases.Last.LSN > lost[len(lost)-1].Last
	})
	put(t, n, "later", 20)
	late := digest(t, n)
	sealArchived(t, n)
	r, result = restored(t, store, pitr.Target{LSN: late.LSN})
	if result.Digest != late.Digest || result.Entries != late.Entries {
		t.Fatalf("digest behind the gap = %s, want %s", result.Digest, late.Digest)
	}
	closeNode(t, r)
	closeNode(t, n)
}

// removalFS notes which log segments are removed or put aside.
type removalFS struct {
	vfs.FS
	note func(path string)
}

func (r *removalFS) Remove(name string) error {
	if strings.HasSuffix(name, ".wal") {
		r.note(name)
	}
	return r.FS.Remove(name)
}

func (r *removalFS) Rename(from, to string) error {
	if strings.HasSuffix(from, ".wal") {
		r.note(from)
	}
	return r.FS.Rename(from, to)
}

func gaps(t *testing.T, store archive.Store) []archive.GapInfo {
	t.Helper()
	all, err := archive.ReadGaps(t.Context(), store, "n1")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkGapsFirst proves that no segment of a gap was removed before the gap was
// in the archive.
func checkGapsFirst(t *testing.T, order []string, lost []archive.GapInfo) {
	t.Helper()
	declared := map[wal.LSN]bool{}
	removed := 0
	for _, what := range order {
		for _, g := range lost {
			switch {
			case strings.Contains(what, "/gap/") && strings.Contains(what, "/"+g.First.Hex()+"-"):
				declared[g.First] = true
			case strings.HasSuffix(what, "/"+g.First.Hex()+".wal"):
				removed++
				if !declared[g.First] {
					t.Errorf("segment %s was removed before its gap was declared", what)
				}
			}
		}
	}
	if len(lost) == 0 || removed == 0 {
		t.Errorf("%d gaps, of which %d segments were removed: %q", len(lost), removed, order)
	}
}

// Law 4: digests taken while writers run are those of a restore to the same LSN,
// with and without a base in between, and the restored keys are the model's.
func TestDigest_EqualsRestoreUnderWriters(t *testing.T) {
	fs, store := vfs.NewMem(), openFileStore(t, t.TempDir())
	o := archived(fs, archive.StoreConfig{Store: store})
	o.SegmentBytes = 32 << 10
	n := openNode(t, "/db", o)
	type change struct {
		lsn        wal.LSN
		key, value string
	}
	var mu sync.Mutex
	var history []change
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range 6 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key, value := fmt.Sprintf("w%d-%d", w, i%20), fmt.Sprint(i)
				lsn, err := n.Tenant(tenant).Put(context.Background(), []byte(key), []byte(value), nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				history = append(history, change{lsn, key, value})
				mu.Unlock()
			}
		})
	}
	var digests []node.DigestResult
	for i := range 8 {
		digests = append(digests, digest(t, n))
		switch i {
		case 3:
			if _, err := n.Backup(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 5:
			if _, err := n.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	wg.Wait()
	sealArchived(t, n)
	closeNode(t, n)
	for _, i := range []int{0, 2, 4, 7} {
		d := digests[i]
		r, result := restored(t, store, pitr.Target{LSN: d.LSN})
		if result.Digest != d.Digest || result.Entries != d.Entries || result.Reached.LSN != d.LSN {
			t.Fatalf("restore to LSN %d: digest %s (%d), want %s (%d)", d.LSN, result.Digest, result.Entries, d.Digest, d.Entries)
		}
		newest, want := map[string]wal.LSN{}, state{}
		for _, c := range history {
			if c.lsn <= d.LSN && c.lsn > newest[c.key] {
				newest[c.key], want[c.key] = c.lsn, c.value+"@0"
			}
		}
		got, err := readState(r)
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("restore to LSN %d: %v (-want +got):\n%s", d.LSN, err, cmp.Diff(want, got))
		}
		closeNode(t, r)
	}
}

// A vshard of a restored node that is gone cannot come from the log: the node
// does not open without it.
func TestRestored_MissingVShard(t *testing.T) {
	fs, store := vfs.NewMem(), openFileStore(t, t.TempDir())
	n := openNode(t, "/db", archived(fs, archive.StoreConfig{Store: store}))
	put(t, n, "k", 40)
	want := digest(t, n)
	sealArchived(t, n)
	closeNode(t, n)
	p, err := plan(t, store, pitr.Target{LSN: want.LSN})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pitr.Restore(t.Context(), p, "/restored", &pitr.Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	if err := fs.RemoveAll("/restored/vshard/0001"); err != nil {
		t.Fatal(err)
	}
	o := archived(fs)
	if n, err := node.Open("/restored", o); !errors.Is(err, node.ErrMissingLog) {
		if err == nil {
			err = n.Close()
		}
		t.Fatalf("Open without a vshard = %v, want ErrMissingLog", err)
	}
}
