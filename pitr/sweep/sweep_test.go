package sweep_test

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/pitr/sweep"
)

// A sound archive: what is due is done once, and nothing needs attention.
func TestSound(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a", "b", "c"} {
		r.segment(key)
	}
	r.start(4)
	r.segment("d")
	rep := r.sweep(sweep.Options{})
	clean(t, rep)
	if rep.Index.Indexed != 4 || len(r.names("/index/")) != 4 || rep.Unindexed != 0 {
		t.Errorf("indexed %+v: %v", rep.Index, r.names("/index/"))
	}
	if rep.Snapshot == nil || rep.Snapshot.Objects != 4 || len(r.names("/catalog/")) != 1 {
		t.Errorf("snapshot %+v, %v", rep.Snapshot, r.names("/catalog/"))
	}
	want := pitr.Position{Timeline: 1, LSN: 4, Time: r.now}
	if diff := cmp.Diff(want, rep.End); diff != "" || rep.EndAge != 0 || rep.Segments != 4 || rep.Epochs != 2 {
		t.Errorf("end (-want +got):\n%s\nage %v, %d segments, %d epochs", diff, rep.EndAge, rep.Segments, rep.Epochs)
	}
	before := r.names("")
	rep = r.sweep(sweep.Options{})
	clean(t, rep)
	if diff := cmp.Diff(before, r.names("")); diff != "" {
		t.Errorf("a second sweep makes (-before +after):\n%s", diff)
	}
	if why := skipped(rep, "snapshot"); !strings.Contains(why, "nothing came") {
		t.Errorf("no snapshot because %q", why)
	}
	var back map[string]any
	data, err := json.Marshal(rep)
	check(t, err)
	check(t, json.Unmarshal(data, &back))
	if back["listed"] != true || back["node_id"] != nodeID {
		t.Errorf("as JSON: %s", data)
	}
}

// What came since the last snapshot, or the last one's age, makes the next due.
func TestSnapshotDue(t *testing.T) {
	r := newRig(t)
	r.segment("a")
	o := sweep.Options{NoIndex: true, SnapshotNames: 2, SnapshotAge: time.Hour}
	wrote := func(want bool) {
		t.Helper()
		if rep := r.sweep(o); (rep.Snapshot != nil) != want {
			t.Errorf("snapshot %+v, skipped %v, want one: %v", rep.Snapshot, rep.Skipped, want)
		}
	}
	wrote(true)
	r.segment("b")
	wrote(false)
	r.segment("c")
	wrote(true)
	r.now = r.now.Add(2 * time.Hour)
	wrote(false)
	r.segment("d")
	wrote(true) // one name, and an old one
	r.segment("e")
	wrote(false)
	r.now = r.now.Add(2 * time.Hour)
	o.NoSnapshot = true
	wrote(false)
}

// LSNs that nothing accounts for are named; those behind them can be restored again
// after a base only, so they are named too.
func TestHoles(t *testing.T) {
	r := newRig(t)
	r.segment("a", "b")
	lost := r.segment("c", "d", "e")
	r.segment("f")
	r.remove(lost)
	// The writer is not stale: what came last lies behind the hole. Its time is the
	// store's, which is later than the rig's.
	rep := r.sweep(sweep.Options{StaleAfter: time.Nanosecond})
	only(t, rep, pitr.ExitGap, sweep.Missing, sweep.Unrestorable)
	if f := found(rep, sweep.Missing)[0]; f.Timeline != 1 || f.From != 3 || f.To != 5 || f.Severity != sweep.Problem || !strings.Contains(f.Text, "LSNs 3 to 5") {
		t.Errorf("missing: %+v", f)
	}
	if f := found(rep, sweep.Unrestorable)[0]; f.From != 3 || f.To != 6 {
		t.Errorf("unrestorable: %+v", f)
	}
	if rep.End.LSN != 2 {
		t.Errorf("ends at %v, want LSN 2", rep.End)
	}
	// Declared, it is no surprise any more; what lies behind it is lost all the same.
	check(t, archive.WriteGap(t.Context(), r.store, archive.GapInfo{NodeID: nodeID, Timeline: 1, First: 3, Last: 5, Epoch: 1, Reason: "shed"}))
	rep = r.sweep(sweep.Options{})
	only(t, rep, pitr.ExitGap, sweep.Unrestorable)
	if f := found(rep, sweep.Gap); len(f) != 1 || f[0].From != 3 || f[0].To != 5 || f[0].Severity != sweep.Notice || !strings.HasPrefix(f[0].Key, archive.NodePrefix(nodeID)+"gap/") {
		t.Errorf("declared: %+v", f)
	}
}

// Two segments of one epoch with the same LSNs: two writers had one history.
func TestOverlap(t *testing.T) {
	r := newRig(t)
	r.segment("a", "b")
	r.segment("c", "d")
	first := r.keys[1]
	r.write(1, 4) // a copy of the directory goes on
	second := r.segment("x", "y")
	rep := r.sweep(sweep.Options{})
	only(t, rep, pitr.ExitAmbiguous, sweep.Overlap)
	f := found(rep, sweep.Overlap)[0]
	if f.From != 4 || f.To != 4 || f.Key != second || f.Other != first {
		t.Errorf("overlap: %+v, want LSN 4 in %s and %s", f, first, second)
	}
}

// What a fenced writer leaves behind is told, and is not called a fault.
func TestFencedTail(t *testing.T) {
	r := newRig(t)
	r.segment("a", "b")
	r.start(3)
	r.write(1, 3)
	r.segment("late", "too late") // LSNs 3 and 4
	r.write(2, 3)
	r.segment("c")
	rep := r.sweep(sweep.Options{})
	clean(t, rep)
	if f := found(rep, sweep.Fenced); len(f) != 1 || f[0].From != 3 || f[0].To != 4 || f[0].Timeline != 1 {
		t.Errorf("fenced: %+v", rep.Findings)
	}
	if rep.End.LSN != 3 {
		t.Errorf("ends at %v", rep.End)
	}
}

// Objects that nobody of this program named so are told and left alone, also below
// obj/, which the catalog passes over.
func TestForeign(t *testing.T) {
	r := newRig(t)
	r.segment("a")
	prefix := archive.NodePrefix(nodeID)
	for _, key := range []string{"readme.txt", "wal/00000001/x", "obj/notes"} {
		r.create(prefix+key, []byte("x"))
	}
	r.create(archive.NodePrefix("n2")+"foreign of another", []byte("x"))
	rep := r.sweep(sweep.Options{})
	only(t, rep, pitr.ExitError, sweep.Foreign, sweep.Foreign, sweep.Foreign)
	if rep.Foreign != 3 || len(r.names("readme.txt"))+len(r.names("obj/notes")) != 2 {
		t.Errorf("%d foreign", rep.Foreign)
	}
	for i := range 30 {
		r.create(prefix+"junk/"+string(rune('a'+i)), []byte("x"))
	}
	if rep := r.sweep(sweep.Options{}); rep.Foreign != 33 || len(found(rep, sweep.Foreign)) != 21 {
		t.Errorf("%d foreign, %d findings", rep.Foreign, len(found(rep, sweep.Foreign)))
	}
}

// Claims and segments that contradict each other.
func TestEpochs(t *testing.T) {
	claim := func(r *rig, e archive.EpochInfo) {
		e.Version, e.NodeID, e.Incarnation = 1, nodeID, strings.Repeat("ab", 16)
		data, err := json.Marshal(e)
		check(r.t, err)
		r.create(archive.Join(nodeID, archive.EpochKey{Epoch: e.Epoch}), data)
	}
	for name, c := range map[string]struct {
		build func(r *rig)
		want  string
	}{
		"nobody's": {func(r *rig) { r.write(2, 3); r.segment("c") }, "no epoch object claims it"},
		"another timeline": {func(r *rig) {
			claim(r, archive.EpochInfo{Epoch: 2, Timeline: 2, FirstLSN: 3})
			r.write(2, 3)
			r.segment("c")
		}, "claim is for timeline 2"},
		"before its claim": {func(r *rig) {
			claim(r, archive.EpochInfo{Epoch: 2, Timeline: 1, FirstLSN: 9})
			r.write(2, 3)
			r.segment("c")
		}, "begins at LSN 9"},
		"two origins": {func(r *rig) {
			claim(r, archive.EpochInfo{Epoch: 2, Timeline: 2, ParentTimeline: 1, ForkLSN: 1, FirstLSN: 9})
			claim(r, archive.EpochInfo{Epoch: 3, Timeline: 2, ParentTimeline: 1, ForkLSN: 2, FirstLSN: 9})
		}, "epochs 2 and 3 collide on timeline 2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.segment("a", "b")
			c.build(r)
			rep := r.sweep(sweep.Options{})
			only(t, rep, pitr.ExitAmbiguous, sweep.Epoch)
			if f := found(rep, sweep.Epoch); len(f) != 1 || !strings.Contains(f[0].Text, c.want) || f[0].Key == "" {
				t.Errorf("%+v, want %q", f, c.want)
			}
		})
	}
}

// Two stores in which different writers hold one number: neither store knows.
func TestEpochsOfTwoStores(t *testing.T) {
	r, other := newRig(t), newRig(t)
	r.segment("a")
	other.segment("a")
	f := sweep.Fleet{Stores: []archive.Store{r.store, other.store}, Options: sweep.Options{Clock: r.clock}}
	reports, left, err := f.Run(t.Context())
	check(t, err)
	if len(reports) != 2 || len(left) != 0 {
		t.Fatalf("%d reports, left %v", len(reports), left)
	}
	clean(t, reports[0])
	only(t, reports[1], pitr.ExitAmbiguous, sweep.Epoch)
	if f := found(reports[1], sweep.Epoch)[0]; !strings.Contains(f.Text, "claimed by two writers") {
		t.Errorf("%+v", f)
	}
}

// Nothing new for too long, by the records' time and the clock that is given; a
// writer that came since is alive.
func TestStale(t *testing.T) {
	r := newRig(t)
	r.segment("a")
	o := sweep.Options{StaleAfter: time.Hour}
	r.now = r.now.Add(time.Hour)
	clean(t, r.sweep(o))
	r.now = r.now.Add(time.Second)
	rep := r.sweep(o)
	only(t, rep, pitr.ExitError, sweep.Stale)
	if f := found(rep, sweep.Stale)[0]; f.To != 1 || !strings.Contains(f.Text, "1h0m1s") || !strings.Contains(f.Text, "host-a") {
		t.Errorf("stale: %+v", f)
	}
	if rep.EndAge != time.Hour+time.Second {
		t.Errorf("age %v", rep.EndAge)
	}
	clean(t, r.sweep(sweep.Options{}))
	r.start(2)
	if rep := r.sweep(o); rep.Attention() > 0 || rep.EndAge != time.Hour+time.Second {
		t.Errorf("a writer came since: age %v, %+v", rep.EndAge, rep.Findings)
	}
}

// What cannot be listed is unknown: no hole, no stale writer, no index, and the exit
// code of a store that does not answer. A step that fails stops no other.
func TestTrouble(t *testing.T) {
	r := newRig(t)
	r.segment("a")
	down := archivetest.NewFaulty(r.store, archivetest.Always(archivetest.Fail))
	rep := sweep.Run(t.Context(), archiveIn(t, down), &sweep.Options{StaleAfter: time.Nanosecond})
	only(t, rep, pitr.ExitUnreachable, sweep.Undone)
	if rep.Listed {
		t.Error("it was not listed")
	}
	failing := archivetest.NewFaulty(r.store, func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpCreate && strings.Contains(key, "/index/") {
			return archivetest.Fail
		}
		return archivetest.None
	})
	rep = sweep.Run(t.Context(), archiveIn(t, failing), &sweep.Options{VerifyBytes: 1 << 20, Clock: r.clock})
	only(t, rep, pitr.ExitUnreachable, sweep.Undone)
	if rep.Unindexed != 1 || rep.Snapshot == nil || rep.Verify == nil || rep.Verify.Segments != 1 {
		t.Errorf("unindexed %d, snapshot %+v, verified %+v", rep.Unindexed, rep.Snapshot, rep.Verify)
	}
	rep = sweep.Run(t.Context(), archiveIn(t, newStore(t)), nil)
	only(t, rep, pitr.ExitError, sweep.Undone)
}

// After the time that is given nothing is begun, and that is no fault.
func TestUntil(t *testing.T) {
	r := newRig(t)
	r.segment("a")
	rep := r.sweep(sweep.Options{Until: r.now, VerifyBytes: 1 << 20, DrillBytes: 1 << 20})
	clean(t, rep)
	if !rep.Listed || rep.Unindexed != 1 || len(r.names("/index/"))+len(r.names("/catalog/"))+len(r.names("/verify/"))+len(r.names("/proof/")) != 0 {
		t.Errorf("%+v: %v", rep, r.names(""))
	}
	for _, step := range []string{"index", "snapshot", "verify", "drill"} {
		if why := skipped(rep, step); why != "the time is over" {
			t.Errorf("%s: %q", step, why)
		}
	}
}

// Who has no identity sees an encrypted archive's names, and nothing is wrong with
// that; its age is that of the newest object. Damage shows by the name all the same.
func TestEncrypted(t *testing.T) {
	r := newRig(t)
	id, err := age.GenerateX25519Identity()
	check(t, err)
	r.recipients, err = archive.ParseRecipients(id.Recipient().String())
	check(t, err)
	r.segment("a")
	r.segment("b")
	rep := r.sweep(sweep.Options{VerifyBytes: 1 << 20})
	clean(t, rep)
	if rep.End.LSN != 2 || !rep.End.Time.IsZero() || rep.Unindexed != 0 || rep.Index.Encrypted != 2 || rep.Verify.Unopened != 2 || len(found(rep, sweep.Unopened)) != 1 {
		t.Errorf("end %v, unindexed %d, verified %+v: %+v", rep.End, rep.Unindexed, rep.Verify, rep.Findings)
	}
	rep = sweep.Run(t.Context(), r.archive().WithIdentities(archive.NewIdentities(id)), &sweep.Options{Clock: r.clock})
	clean(t, rep)
	if !rep.End.Time.Equal(r.now) {
		t.Errorf("with the identity it ends at %v, want %v", rep.End, r.now)
	}
	r.damage(r.keys[0])
	only(t, r.sweep(sweep.Options{VerifyBytes: 1 << 20}), pitr.ExitCorrupt, sweep.Damaged)
}

// A thousand nodes share a bucket: a sweep of one lists below its own prefix only, and
// what it costs does not grow with segments that were seen before.
func TestRequests(t *testing.T) {
	r := newRig(t)
	for range 30 {
		r.segment("a")
	}
	r.create(archive.NodePrefix("n10")+"format.json", []byte("x"))
	requests := map[archivetest.Op]int{}
	var mu sync.Mutex
	counted := archivetest.NewFaulty(r.store, func(op archivetest.Op, key string, _ int) archivetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		requests[op]++
		if !strings.HasPrefix(key, archive.NodePrefix(nodeID)) {
			t.Errorf("%v of %s", op, key)
		}
		return archivetest.None
	})
	run := func() map[archivetest.Op]int {
		clear(requests)
		clean(t, sweep.Run(t.Context(), archiveIn(t, counted), &sweep.Options{Clock: r.clock, VerifyBytes: 1 << 30, VerifyEvery: time.Hour}))
		return maps.Clone(requests)
	}
	run()
	idle := run()
	want := map[archivetest.Op]int{archivetest.OpList: 4, archivetest.OpRead: 2} // the snapshot, the ledger
	if diff := cmp.Diff(want, idle); diff != "" {
		t.Errorf("requests of a sweep with nothing to do (-want +got):\n%s", diff)
	}
}
