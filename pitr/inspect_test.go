package pitr

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/retain"
)

// Inspect tells the same holes and ends as Describe and reads no more than an end;
// where the prune log cannot be read, nothing is called missing.
func TestInspect(t *testing.T) {
	s, k, bases := agedKit(t, t.Context())
	check(t, archive.WritePin(t.Context(), s, archive.PinInfo{NodeID: kitNode, Name: "first", Timeline: 1, LSN: bases[0] + 1, CreatedAt: s.now, Only: true}))
	for range 2 {
		_, err := s.prune(k, retain.Policy{Last: 1}, true)
		check(t, err)
		s.pass(testGrace)
	}
	d, err := Describe(t.Context(), k.archives())
	check(t, err)
	in, err := Inspect(t.Context(), k.arch)
	check(t, err)
	want, got := d.Timelines[0], in.Timelines[0]
	end := want.Windows[len(want.Windows)-1]
	if diff := cmp.Diff(Position{Timeline: 1, LSN: end.To, Time: end.ToTime}, in.End); diff != "" || in.EndErr != nil {
		t.Errorf("end (-want +got):\n%s\n%v", diff, in.EndErr)
	}
	for i := range want.Windows {
		want.Windows[i] = Window{Timeline: 1, From: want.Windows[i].From, To: want.Windows[i].To}
	}
	want.Lineage = nil
	if diff := cmp.Diff(want, got); diff != "" || len(got.Pruned) == 0 {
		t.Errorf("timeline (-Describe +Inspect):\n%s", diff)
	}
	if len(in.Overlaps)+len(in.Fenced) != 0 {
		t.Errorf("disputed: %+v, %+v", in.Overlaps, in.Fenced)
	}
	faulty := k.over(t, archivetest.NewFaulty(s, reads("prune/", func(int) archivetest.Fault { return archivetest.Fail })))
	if in, err := Inspect(t.Context(), faulty.arch); err == nil {
		t.Errorf("the prune log did not answer: %+v", in.Timelines[0].Missing)
	}
}
