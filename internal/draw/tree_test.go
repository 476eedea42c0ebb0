package draw

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/pitr"
)

func TestTree(t *testing.T) {
	d := &pitr.Description{Timelines: []pitr.Timeline{
		{Timeline: 1}, {Timeline: 2, Parent: 1}, {Timeline: 3, Parent: 2}, {Timeline: 4, Parent: 1},
		{Timeline: 5, Parent: 4}, {Timeline: 6, Parent: 2}, {Timeline: 9, Parent: 8},
	}}
	var got []string
	for _, b := range Tree(d, true) {
		got = append(got, b.Label)
	}
	want := []string{"1", "├─ 2", "│  ├─ 3", "│  └─ 6", "└─ 4", "   └─ 5", "9"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	for _, b := range Tree(d, false) {
		if strings.ContainsFunc(b.Label, func(r rune) bool { return r > 127 }) {
			t.Errorf("not ASCII: %q", b.Label)
		}
	}
}
