package tpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fill(in *inbox, p Priority, n int) {
	for i := range n {
		in.rings[p.class()].push(&numbered{header: Header{Priority: p}, nr: i})
	}
}

func served(in *inbox, n int) (order []Priority) {
	for range n {
		order = append(order, in.pop().Header().Priority)
	}
	return order
}

func TestInboxServesTheHighestFirst(t *testing.T) {
	in := newInbox(16)
	fill(in, Background, 1)
	fill(in, Normal, 2)
	fill(in, Critical, 2)
	fill(in, High, 1)
	want := []Priority{Critical, Critical, High, Normal, Normal, Background}
	if diff := cmp.Diff(want, served(in, 6)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if in.pop() != nil || in.ready() {
		t.Error("an empty inbox has a task")
	}
}

// However busy the classes above are, a task that waits gets its turn within a
// known number of others.
func TestInboxStarvesNobody(t *testing.T) {
	for _, low := range []Priority{High, Normal, Background} {
		in := newInbox(1024)
		fill(in, low, 3)
		limit := passedMax[low.class()]
		for turn := range 3 {
			fill(in, Critical, limit+1)
			order := served(in, limit+1)
			want := make([]Priority, limit, limit+1)
			for i := range want {
				want[i] = Critical
			}
			if diff := cmp.Diff(append(want, low), order); diff != "" {
				t.Errorf("%v, turn %d (-want +got):\n%s", low, turn, diff)
			}
			for in.rings[Critical.class()].pop() != nil {
			}
		}
	}
}

// With every class always busy each one is served, more of the higher ones.
func TestInboxShares(t *testing.T) {
	in := newInbox(4096)
	for p := Background; p <= Critical; p++ {
		fill(in, p, 4096)
	}
	count := map[Priority]int{}
	for _, p := range served(in, 3000) {
		count[p]++
	}
	if !(count[Critical] > count[High] && count[High] > count[Normal] && count[Normal] > count[Background] && count[Background] > 30) {
		t.Errorf("served per class: %v", count)
	}
}

func TestPriorityOutOfRange(t *testing.T) {
	for p, want := range map[Priority]int{-100: Background.class(), 100: Critical.class(), 0: Normal.class()} {
		if got := p.class(); got != want {
			t.Errorf("Priority(%d).class() = %d, want %d", p, got, want)
		}
	}
	if got := Priority(9).String(); got != "unknown" {
		t.Errorf("String = %q", got)
	}
}
