package pitr

import (
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
)

// classed is a store that says which class its objects are in; stat, when it is
// not empty, is what it says when asked for one.
type classed struct {
	archive.Store
	class func(key string) archive.StorageClass
	stat  archive.StorageClass
}

func (s classed) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		for o, err := range s.Store.List(ctx, prefix, after) {
			o.Class = s.class(o.Key)
			if !yield(o, err) {
				return
			}
		}
	}
}

func (s classed) Stat(ctx context.Context, key string) (archive.Object, error) {
	o, err := s.Store.Stat(ctx, key)
	o.Class = s.class(key)
	if s.stat != "" {
		o.Class = s.stat
	}
	return o, err
}

func kindIs(kind string, class archive.StorageClass) func(string) archive.StorageClass {
	return func(key string) archive.StorageClass {
		if strings.HasPrefix(key, archive.NodePrefix(kitNode)+kind) {
			return class
		}
		return "STANDARD"
	}
}

// A plan knows what is in cold storage, whether it was thawed, and that another
// store holds it warm.
func TestPlanCold(t *testing.T) {
	k, mem := small(t)
	plan := func(stores ...archive.Store) *Plan {
		var all []*archive.Archive
		for _, s := range stores {
			a, err := archive.Open(s, kitNode)
			check(t, err)
			all = append(all, a)
		}
		p, err := NewPlan(t.Context(), all, Target{Latest: true})
		check(t, err)
		return p
	}
	thaw := func(p *Plan) (n int) {
		for _, c := range p.Cold {
			if c.Thaw {
				n++
			}
		}
		return n
	}
	cold := classed{Store: k.store, class: kindIs("wal/", "GLACIER")}
	p := plan(cold)
	if thaw(p) != len(p.Segments) || len(p.Segments) == 0 || p.Cold[0].Class != "GLACIER" {
		t.Errorf("segments in GLACIER: %+v", p.Cold)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "must be thawed") {
		t.Errorf("warnings %q", p.Warnings)
	}
	thawed := cold
	thawed.stat = "GLACIER (thawed)"
	if p := plan(thawed); thaw(p) != 0 || len(p.Cold) == 0 {
		t.Errorf("thawed: %+v", p.Cold)
	}
	// A warm copy is fetched first, so nothing is cold.
	p = plan(cold, mem)
	if len(p.Cold) != 0 || p.Segments[0].Stores[0] != 1 {
		t.Errorf("warm copy: %+v, stores %v", p.Cold, p.Segments[0].Stores)
	}
	// The contents of a base are as cold as its manifest, or colder.
	base := classed{Store: k.store, class: func(key string) archive.StorageClass {
		if strings.HasPrefix(key, archive.NodePrefix(kitNode)+"base/") {
			return "STANDARD_IA"
		}
		return kindIs("obj/", "DEEP_ARCHIVE")(key)
	}}
	p = plan(base)
	if p.Base == nil || thaw(p) == 0 || len(p.Cold) != thaw(p)+1 {
		t.Errorf("contents in DEEP_ARCHIVE: %+v", p.Cold)
	}
}

// The estimate follows the pace that was given or measured.
func TestPlanPace(t *testing.T) {
	k, _ := small(t)
	slow, err := NewPlanWith(t.Context(), k.archives(), Target{Latest: true}, &PlanOptions{
		Pace: Pace{BytesPerSecond: 1, SecondsPerRequest: 1, Parallel: 1, Source: "given"}})
	check(t, err)
	if want := float64(slow.Bytes) + float64(slow.Requests); slow.EstimatedSeconds != want {
		t.Errorf("%.1f s, want %.1f", slow.EstimatedSeconds, want)
	}
	check(t, slow.Measure(t.Context()))
	if slow.Pace.Source != "measured" || slow.EstimatedSeconds > 10 {
		t.Errorf("measured: %.1f s, %s", slow.EstimatedSeconds, slow.Pace)
	}
}
