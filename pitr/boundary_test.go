package pitr

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// forked is an archive with two timelines and a lost segment:
//
//	timeline 1   1-4 5-8 base@8 9-12 (13-16 lost) 17-20 base@22 21-24
//	timeline 2   forks at 10, writes from 25: 25-28 29-30 base@30 31-32
type forked struct {
	*kit
	mem *memStore
}

func newForked(t *testing.T) *forked {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	four := func() {
		for range 4 {
			l.put(fmt.Sprintf("k%d", (l.last+1)%5), fmt.Sprintf("v%d", l.last+1))
		}
		l.seal()
	}
	four()
	four()
	l.base()
	four()
	four()
	four()
	l.put("x", "21")
	l.put("x", "22")
	l.base()
	l.put("x", "23")
	l.point("end of one")
	l.end()

	fs, res := k.mustRestore(Target{LSN: 10}, nil)
	k.now = k.now.Add(time.Hour)
	two := k.adopt(fs, "/data/node", res)
	two.put("y", "25")
	two.point("twice")
	two.put("y", "27")
	two.point("twice")
	two.seal()
	two.put("y", "29")
	two.put("y", "30")
	two.base()
	two.seal()
	two.put("y", "31")
	two.point("end of two")
	two.end()

	for _, key := range mem.keys("wal/00000001/000000000000000d") {
		check(t, mem.Delete(t.Context(), key))
	}
	return &forked{kit: k, mem: mem}
}

func (f *forked) at(tl wal.Timeline, lsn wal.LSN) time.Time {
	return time.UnixMicro(f.times[Position{Timeline: tl, LSN: lsn}]).UTC()
}

// Every boundary of a target: first and last LSN, between segments, at the start
// of one, exactly at a base, before a base that is newer, in a gap, in a fork,
// outside. Laws 4 and 9.
func TestBoundaries(t *testing.T) {
	f := newForked(t)
	type near = [2]wal.LSN // before, after; 0: none
	tests := []struct {
		name   string
		target Target
		want   Position // reached
		base   wal.LSN
		exit   int
		near   near
	}{
		{name: "first LSN", target: Target{LSN: 1}, want: Position{Timeline: 1, LSN: 1}},
		{name: "end of a segment", target: Target{LSN: 4}, want: Position{Timeline: 1, LSN: 4}},
		{name: "start of a segment", target: Target{LSN: 5}, want: Position{Timeline: 1, LSN: 5}},
		{name: "one before a base, which must not be used", target: Target{LSN: 7}, want: Position{Timeline: 1, LSN: 7}},
		{name: "exactly a base", target: Target{LSN: 8}, want: Position{Timeline: 1, LSN: 8}, base: 8},
		{name: "exclusive, just above a base", target: Target{LSN: 9, Exclusive: true}, want: Position{Timeline: 1, LSN: 8}, base: 8},
		{name: "just above a base", target: Target{LSN: 9}, want: Position{Timeline: 1, LSN: 9}, base: 8},
		{name: "last before a gap", target: Target{LSN: 12}, want: Position{Timeline: 1, LSN: 12}, base: 8},
		{name: "exclusive, first of a gap", target: Target{LSN: 13, Exclusive: true}, want: Position{Timeline: 1, LSN: 12}, base: 8},
		{name: "first of a gap", target: Target{LSN: 13}, exit: ExitGap, near: near{12, 22}},
		{name: "last of a gap", target: Target{LSN: 16}, exit: ExitGap, near: near{12, 22}},
		{name: "behind a gap", target: Target{LSN: 17}, exit: ExitGap, near: near{12, 22}},
		{name: "just before the base behind a gap", target: Target{LSN: 21}, exit: ExitGap, near: near{12, 22}},
		{name: "the base behind a gap", target: Target{LSN: 22}, want: Position{Timeline: 1, LSN: 22}, base: 22},
		{name: "last of timeline 1", target: Target{LSN: 24}, want: Position{Timeline: 1, LSN: 24}, base: 22},
		{name: "first of timeline 2", target: Target{LSN: 25}, want: Position{Timeline: 2, LSN: 25}, base: 8},
		{name: "exclusive, first of timeline 2: the fork", target: Target{LSN: 25, Exclusive: true}, want: Position{Timeline: 1, LSN: 10}, base: 8},
		{name: "base of timeline 2", target: Target{LSN: 30}, want: Position{Timeline: 2, LSN: 30}, base: 30},
		{name: "last of timeline 2", target: Target{LSN: 32}, want: Position{Timeline: 2, LSN: 32}, base: 30},
		{name: "above all", target: Target{LSN: 33}, exit: ExitOutOfWindow, near: near{32, 0}},
		{name: "exclusive 1: nothing before", target: Target{LSN: 1, Exclusive: true}, exit: ExitOutOfWindow, near: near{0, 2}},
		{name: "latest", target: Target{Latest: true}, want: Position{Timeline: 2, LSN: 32}, base: 30},
		{name: "latest of timeline 1", target: Target{Latest: true, Timeline: 1}, want: Position{Timeline: 1, LSN: 24}, base: 22},

		{name: "fork LSN along timeline 2", target: Target{LSN: 10, Timeline: 2}, want: Position{Timeline: 1, LSN: 10}, base: 8},
		{name: "abandoned LSN along timeline 2", target: Target{LSN: 11, Timeline: 2}, exit: ExitOutOfWindow, near: near{10, 25}},
		{name: "last abandoned LSN along timeline 2", target: Target{LSN: 24, Timeline: 2}, exit: ExitOutOfWindow, near: near{10, 25}},
		{name: "timeline 2's LSN along timeline 1", target: Target{LSN: 25, Timeline: 1}, exit: ExitOutOfWindow, near: near{24, 0}},
		{name: "unknown timeline", target: Target{LSN: 5, Timeline: 9}, exit: ExitOutOfWindow, near: near{4, 6}},

		{name: "point", target: Target{Point: "end of one"}, want: Position{Timeline: 1, LSN: 24}, base: 22},
		{name: "point, exclusive", target: Target{Point: "end of two", Exclusive: true}, want: Position{Timeline: 2, LSN: 31}, base: 30},
		{name: "point that is there twice", target: Target{Point: "twice"}, exit: ExitAmbiguous},
		{name: "point on another timeline", target: Target{Point: "end of two", Timeline: 1}, exit: ExitOutOfWindow},
		{name: "no such point", target: Target{Point: "end of three"}, exit: ExitOutOfWindow},

		{name: "time of a record", target: Target{Time: f.at(1, 6)}, want: Position{Timeline: 1, LSN: 6}},
		{name: "time of a record, exclusive", target: Target{Time: f.at(1, 6), Exclusive: true}, want: Position{Timeline: 1, LSN: 5}},
		{name: "time between records", target: Target{Time: f.at(1, 6).Add(400 * time.Millisecond)}, want: Position{Timeline: 1, LSN: 6}},
		{name: "time between segments", target: Target{Time: f.at(1, 8).Add(400 * time.Millisecond)}, want: Position{Timeline: 1, LSN: 8}, base: 8},
		{name: "time of the first record", target: Target{Time: f.at(1, 1)}, want: Position{Timeline: 1, LSN: 1}},
		{name: "time before all", target: Target{Time: f.at(1, 1).Add(-time.Microsecond)}, exit: ExitOutOfWindow, near: near{0, 1}},
		{name: "time after all", target: Target{Time: f.at(2, 32).Add(time.Microsecond)}, exit: ExitOutOfWindow, near: near{32, 0}},
		{name: "time of the last record", target: Target{Time: f.at(2, 32)}, want: Position{Timeline: 2, LSN: 32}, base: 30},
		{name: "time in the gap", target: Target{Time: f.at(1, 14)}, exit: ExitGap},
		{name: "time behind the gap", target: Target{Time: f.at(1, 18)}, exit: ExitGap},
		{name: "time on timeline 1 behind the fork", target: Target{Time: f.at(1, 11)}, want: Position{Timeline: 1, LSN: 11}, base: 8},
		{name: "that time along timeline 2", target: Target{Time: f.at(1, 11), Timeline: 2}, want: Position{Timeline: 1, LSN: 10}, base: 8},
		{name: "time between the timelines", target: Target{Time: f.at(1, 24).Add(time.Minute)}, exit: ExitAmbiguous},
		{name: "time between, along timeline 2", target: Target{Time: f.at(1, 24).Add(time.Minute), Timeline: 2}, want: Position{Timeline: 1, LSN: 10}, base: 8},
		{name: "time between, along timeline 1", target: Target{Time: f.at(1, 24).Add(time.Minute), Timeline: 1}, exit: ExitOutOfWindow, near: near{24, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := f.over(t, f.mem)
			if tt.exit == 0 {
				_, res := k.mustRestore(tt.target, nil)
				got := Position{Timeline: res.Reached.Timeline, LSN: res.Reached.LSN}
				if got != tt.want || res.BaseLSN != tt.base {
					t.Errorf("reached %v from base %d, want %v from base %d", got, res.BaseLSN, tt.want, tt.base)
				}
				if want := f.at(got.Timeline, got.LSN); !res.Reached.Time.Equal(want) {
					t.Errorf("reached time %v, want %v", res.Reached.Time, want)
				}
				return
			}
			_, err := NewPlan(t.Context(), k.archives(), tt.target)
			if got := ExitCode(err); got != tt.exit {
				t.Fatalf("exit code %d for %v, want %d", got, err, tt.exit)
			}
			n := nearestOf(err)
			if n == nil || tt.near == (near{}) {
				return
			}
			if got := (near{lsnOf(n.Before), lsnOf(n.After)}); got != tt.near {
				t.Errorf("nearest %v, want %v: %v", got, tt.near, err)
			}
			// Law 14: what is named as near can be restored.
			for _, p := range []*Position{n.Before, n.After} {
				if p == nil {
					continue
				}
				if _, err := NewPlan(t.Context(), k.archives(), Target{LSN: p.LSN, Timeline: p.Timeline}); err != nil {
					t.Errorf("named as near, and refused: %v", err)
				}
				if want := f.at(p.Timeline, p.LSN); !p.Time.Equal(want) {
					t.Errorf("nearest %v has time %v, want %v", p, p.Time, want)
				}
			}
		})
	}
}

func lsnOf(p *Position) wal.LSN {
	if p == nil {
		return 0
	}
	return p.LSN
}

func TestWindows(t *testing.T) {
	f := newForked(t)
	got, err := Windows(t.Context(), f.archives())
	check(t, err)
	want := []Window{
		{Timeline: 1, From: 1, To: 12, FromTime: f.at(1, 1), ToTime: f.at(1, 12)},
		{Timeline: 1, From: 22, To: 24, FromTime: f.at(1, 22), ToTime: f.at(1, 24)},
		{Timeline: 2, From: 25, To: 32, FromTime: f.at(2, 25), ToTime: f.at(2, 32)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	d, err := Describe(t.Context(), f.archives())
	check(t, err)
	two := d.Timelines[1]
	if two.Parent != 1 || two.ForkLSN != 10 || two.FirstLSN != 25 || two.LastLSN != 32 || two.Segments != 3 {
		t.Errorf("timeline 2: %+v", two)
	}
	if diff := cmp.Diff([]Stretch{{Timeline: 1, From: 1, To: 10}, {Timeline: 2, From: 25}}, two.Lineage); diff != "" {
		t.Errorf("lineage (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]PlanGap{{Timeline: 1, From: 13, To: 16}}, d.Timelines[0].Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

// A declared gap is named in the refusal.
func TestDeclaredGap(t *testing.T) {
	f := newForked(t)
	check(t, archive.WriteGap(t.Context(), f.store, archive.GapInfo{NodeID: kitNode, Timeline: 1, First: 13, Last: 16, Epoch: 1, Reason: "shed"}))
	_, err := NewPlan(t.Context(), f.archives(), Target{LSN: 18})
	gap, ok := errors.AsType[*GapError](err)
	if !ok || gap.From != 13 || gap.To != 16 || !strings.HasPrefix(gap.Declared, "gap/00000001/") {
		t.Errorf("got %v", err)
	}
}

func TestWrongNodeID(t *testing.T) {
	f := newForked(t)
	other, err := archive.Open(f.store, "node-b")
	check(t, err)
	_, err = NewPlan(t.Context(), []*archive.Archive{other}, Target{Latest: true})
	if ExitCode(err) != ExitOutOfWindow || !strings.Contains(err.Error(), `"node-a"`) {
		t.Errorf("want a refusal that names node-a, got %v", err)
	}
}

// Unknown is not absent: while a store is down, nothing is said to be missing.
func TestUnreachable(t *testing.T) {
	f := newForked(t)
	down := archivetest.NewFaulty(newMemStore(), archivetest.Always(archivetest.Fail))
	a, err := archive.Open(down, kitNode)
	check(t, err)
	for _, tt := range []struct {
		name     string
		archives []*archive.Archive
		target   Target
		exit     int
	}{
		{"only store down", []*archive.Archive{a}, Target{LSN: 5}, ExitUnreachable},
		{"other store has it", []*archive.Archive{a, f.arch}, Target{LSN: 5}, 0},
		{"other store has it not", []*archive.Archive{f.arch, a}, Target{LSN: 14}, ExitUnreachable},
		{"outside of the other store", []*archive.Archive{f.arch, a}, Target{LSN: 99}, ExitUnreachable},
		{"latest cannot be known", []*archive.Archive{f.arch, a}, Target{Latest: true}, ExitUnreachable},
		{"time cannot be known to be outside", []*archive.Archive{f.arch, a}, Target{Time: f.at(2, 32).Add(time.Hour)}, ExitUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := NewPlan(t.Context(), tt.archives, tt.target)
			if ExitCode(err) != tt.exit {
				t.Fatalf("exit code %d for %v, want %d", ExitCode(err), err, tt.exit)
			}
			if err == nil && len(plan.Warnings) == 0 {
				t.Error("no warning about the store that is down")
			}
		})
	}
}

// Two stores, each with a hole the other fills.
func TestTwoStores(t *testing.T) {
	f := newForked(t)
	one, two := f.mem.clone(), f.mem.clone()
	two.url = "mem://two"
	for i, key := range f.mem.keys("wal/") {
		check(t, []*memStore{one, two}[i%2].Delete(t.Context(), key))
	}
	var archives []*archive.Archive
	for _, s := range []*memStore{one, two} {
		a, err := archive.Open(s, kitNode)
		check(t, err)
		archives = append(archives, a)
	}
	plan, err := NewPlan(t.Context(), archives, Target{LSN: 12})
	check(t, err)
	fs := newStageFS(t)
	res, err := Restore(t.Context(), plan, "/data/node", f.options(fs, nil))
	check(t, err)
	f.compare(Target{LSN: 12}, res)
}
