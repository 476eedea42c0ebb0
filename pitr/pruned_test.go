package pitr

import (
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/retain"
)

// Behind a pin retention leaves a hole. The prune log says whose it is: it is
// told apart from what was lost, even where both meet.
func TestPrunedIsNotMissing(t *testing.T) {
	s, k, bases := agedKit(t, t.Context())
	check(t, archive.WritePin(t.Context(), s, archive.PinInfo{NodeID: kitNode, Name: "first", Timeline: 1, LSN: bases[0] + 1, CreatedAt: s.now, Only: true}))
	for range 2 {
		_, err := s.prune(k, retain.Policy{Last: 1}, true)
		check(t, err)
		s.pass(testGrace)
	}
	d, err := Describe(t.Context(), k.archives())
	check(t, err)
	if len(d.Timelines[0].Pruned) != 1 || len(d.Timelines[0].Missing) != 0 {
		t.Fatalf("pruned %+v, missing %+v, want one hole", d.Timelines[0].Pruned, d.Timelines[0].Missing)
	}
	hole := d.Timelines[0].Pruned[0]
	if rep, err := Verify(t.Context(), k.arch, nil); err != nil || !rep.OK() {
		t.Fatalf("verify: %v, %+v", err, rep)
	}

	var lost archive.SegmentKey // the one right after the hole
	for _, key := range s.keys("wal/") {
		_, parsed, err := archive.ParseFull(key)
		check(t, err)
		if seg := parsed.(archive.SegmentKey); seg.First == hole.To+1 {
			lost = seg
			check(t, s.Delete(t.Context(), key))
		}
	}
	if lost.First == 0 {
		t.Fatal("no segment begins after the hole")
	}
	d, err = Describe(t.Context(), k.archives())
	check(t, err)
	want := PlanGap{Timeline: 1, From: lost.First, To: lost.Last}
	if tl := d.Timelines[0]; len(tl.Pruned) != 1 || tl.Pruned[0] != hole || len(tl.Missing) != 1 || tl.Missing[0] != want {
		t.Errorf("pruned %+v, missing %+v, want %+v and %+v", tl.Pruned, tl.Missing, hole, want)
	}
	if rep, err := Verify(t.Context(), k.arch, nil); err != nil || len(rep.Problems) != 1 {
		t.Errorf("verify: %v, %+v, want only what was lost", err, rep)
	}
}
