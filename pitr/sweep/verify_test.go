package sweep_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/pitr/sweep"
)

// The budget of one run is respected, the next goes on, the damaged object is found
// when it is its turn, and from then on every sweep says so until it is gone.
func TestVerifyBudget(t *testing.T) {
	r := newRig(t)
	for range 4 {
		r.segment("a")
	}
	r.damage(r.keys[2])
	size := int64(len(r.read(r.keys[0])))
	var mu sync.Mutex
	var read []string
	watched := archivetest.NewFaulty(r.store, func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpRead && slices.Contains(r.keys[:3], key) { // the end of the last is read to tell its time
			mu.Lock()
			defer mu.Unlock()
			read = append(read, key)
		}
		return archivetest.None
	})
	// No index, no snapshot: nothing but verification reads segments whole.
	o := &sweep.Options{NoIndex: true, NoSnapshot: true, Clock: r.clock, VerifyBytes: 2*size + size/2, VerifyEvery: time.Hour, VerifyOlderThan: 24 * time.Hour}
	run := func() *sweep.Report {
		t.Helper()
		read = nil
		r.now = r.now.Add(2 * time.Hour)
		return sweep.Run(t.Context(), archiveIn(t, watched), o)
	}
	rep := run()
	if rep.Verify.Left != 2 || rep.Verify.Bytes > o.VerifyBytes || len(distinct(read)) > 2 {
		t.Fatalf("first run: %+v, read %v", rep.Verify, read)
	}
	rep = run()
	only(t, rep, pitr.ExitCorrupt, sweep.Damaged)
	if rep.Verify.Recent != 2 || rep.Verify.Left != 0 {
		t.Errorf("second run: %+v", rep.Verify)
	}
	if f := found(rep, sweep.Damaged)[0]; f.Key != r.keys[2] || f.Severity != sweep.Problem {
		t.Errorf("damage: %+v", f)
	}
	ledgers := len(r.names("/verify/"))
	for name, change := range map[string]func(){
		"not due":   func() { o.VerifyEvery = 100 * time.Hour },
		"no budget": func() { o.VerifyBytes = 0 },
	} {
		change()
		rep = run()
		only(t, rep, pitr.ExitCorrupt, sweep.Damaged)
		if f := found(rep, sweep.Damaged)[0]; f.Key != r.keys[2] || !strings.Contains(f.Text, "found on ") || rep.Verify != nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if n := len(r.names("/verify/")); n != ledgers {
		t.Errorf("%d ledgers, and %d before sweeps that verify nothing", n, ledgers)
	}
	r.remove(r.keys[2])
	if rep = run(); len(found(rep, sweep.Damaged)) != 0 || len(found(rep, sweep.Missing)) != 1 {
		t.Errorf("the damaged object is gone, and the hole is there: %+v", rep.Findings)
	}
}

func distinct(in []string) map[string]bool {
	out := make(map[string]bool)
	for _, s := range in {
		out[s] = true
	}
	return out
}

// Damage that the listing or the index meets is said once, not once by each step.
func TestDamageIsSaidOnce(t *testing.T) {
	r := newRig(t)
	r.segment("a")
	r.segment("b")
	r.segment("c")
	r.create(archive.Join(nodeID, archive.EpochKey{Epoch: 2}), []byte("{garbage"))
	r.remove(r.keys[1])
	rep := r.sweep(sweep.Options{VerifyBytes: 1 << 20})
	only(t, rep, pitr.ExitCorrupt, sweep.Damaged, sweep.Missing, sweep.Unrestorable)
	if f := found(rep, sweep.Damaged)[0]; !strings.HasSuffix(f.Key, "epoch/0000000000000002.json") {
		t.Errorf("%+v", f)
	}
}

// A segment that cannot be indexed is a problem of its own.
func TestUnindexed(t *testing.T) {
	r := newRig(t)
	r.segment("a")
	r.segment("b")
	r.segment("c")
	r.damage(r.keys[1])
	rep := r.sweep(sweep.Options{})
	only(t, rep, pitr.ExitCorrupt, sweep.Unindexed)
	if f := found(rep, sweep.Unindexed)[0]; f.Key != r.keys[1] || rep.Unindexed != 1 || rep.Index.Indexed != 2 {
		t.Errorf("%+v, %+v", f, rep.Index)
	}
}
