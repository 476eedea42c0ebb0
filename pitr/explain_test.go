package pitr

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// Each way in which a target can be out of reach has its word, its exit code
// and the nearest positions.
func TestExplainVerdicts(t *testing.T) {
	f := newForked(t)
	late := f.at(1, 24).Add(30 * time.Minute)
	for _, c := range []struct {
		target        Target
		want          Verdict
		exit          int
		before, after bool
	}{
		{Target{LSN: 9}, Reachable, ExitDone, false, false},
		{Target{LSN: 14}, Hole, ExitGap, true, true},
		{Target{LSN: 9999}, Future, ExitOutOfWindow, true, false},
		{Target{Time: f.at(1, 1).Add(-time.Hour)}, TooEarly, ExitOutOfWindow, false, true},
		{Target{Time: f.at(2, 32).Add(time.Hour)}, Future, ExitOutOfWindow, true, false},
		{Target{Time: late, Timeline: 1}, Future, ExitOutOfWindow, true, false},
		{Target{Point: "twice"}, Ambiguous, ExitAmbiguous, false, false},
		{Target{Point: "never"}, NoSuch, ExitOutOfWindow, false, false},
	} {
		e, err := Explain(t.Context(), f.archives(), c.target)
		check(t, err)
		n := Nearest{}
		if e.Nearest != nil {
			n = *e.Nearest
		}
		if e.Verdict != c.want || e.ExitCode != c.exit || (n.Before != nil) != c.before || (n.After != nil) != c.after {
			t.Errorf("%s: %s, exit %d, nearest %v; want %s, %d, before %v, after %v", c.target, e.Verdict, e.ExitCode, n, c.want, c.exit, c.before, c.after)
		}
	}
	// What leads to the oldest LSNs is pruned.
	pruned := f.over(t, f.mem.clone())
	for _, key := range f.mem.keys("wal/00000001/00000000000000") {
		if strings.Contains(key, "/0000000000000001-") {
			check(t, pruned.store.Delete(t.Context(), key))
		}
	}
	e, err := Explain(t.Context(), pruned.archives(), Target{LSN: 3, Timeline: 1})
	check(t, err)
	if e.Verdict != Pruned || e.Nearest == nil || e.Nearest.After == nil || e.Nearest.After.LSN != 8 {
		t.Errorf("pruned: %s, %v: %s", e.Verdict, e.Nearest, e.Reason)
	}
	check(t, archive.WriteGap(t.Context(), f.store, archive.GapInfo{NodeID: kitNode, Timeline: 1, First: 13, Last: 16, Epoch: 1, Reason: "shed"}))
	e, err = Explain(t.Context(), f.archives(), Target{LSN: 14})
	check(t, err)
	if e.Verdict != InGap {
		t.Errorf("declared gap: %s", e.Verdict)
	}
	// A second store that does not answer may hold what is missing.
	down, err := archive.Open(archivetest.NewFaulty(newMemStore(), func(archivetest.Op, string, int) archivetest.Fault { return archivetest.Fail }), kitNode)
	check(t, err)
	e, err = Explain(t.Context(), append(f.archives(), down), Target{LSN: 14})
	check(t, err)
	if e.Verdict != Unknown || e.ExitCode != ExitUnreachable || e.Otherwise == "" || e.Nearest == nil || e.Nearest.Before == nil {
		t.Errorf("unknown: %+v", e)
	}
	cold, err := archive.Open(classed{Store: f.store, class: kindIs("wal/", "DEEP_ARCHIVE")}, kitNode)
	check(t, err)
	e, err = Explain(t.Context(), []*archive.Archive{cold}, Target{LSN: 9})
	check(t, err)
	if e.Verdict != Cold || e.ExitCode != ExitCold || !e.Reachable {
		t.Errorf("cold: %s, exit %d", e.Verdict, e.ExitCode)
	}
}
