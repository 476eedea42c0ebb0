package index

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// planned is a catalog of segments of ten LSNs each, indexed on given days of a
// month, and the merged indexes that a plan adds to it.
type planned struct {
	archive.Catalog
	n int
}

func (p *planned) index(day, n int) {
	for range n {
		p.n++
		k := archive.SegmentKey{Timeline: 1, First: wal.LSN(p.n*10 - 9), Last: wal.LSN(p.n * 10), Epoch: 1, SHA16: archive.ShortSum{byte(p.n)}}
		p.Segments = append(p.Segments, archive.SegmentEntry{SegmentKey: k})
		p.Indexes = append(p.Indexes, archive.IndexEntry{IndexKey: k.Index(),
			Object: archive.Object{Size: 100, ModTime: time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC)}})
	}
}

// run is what is merged on a day: numbers of segments, "first-last" for each.
func (p *planned) run(day int, o MergeOptions) string {
	o, err := (&o).withDefaults()
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, part := range planMerges(&p.Catalog, &o, time.Date(2026, 3, day, 13, 0, 0, 0, time.UTC)) {
		k, _ := mergedOf(part)
		p.Merged = append(p.Merged, archive.MergedEntry{MergedKey: k})
		out = append(out, fmt.Sprintf("%d-%d", (k.First+9)/10, k.Last/10))
	}
	return strings.Join(out, " ")
}

// Days become one each when they are over; what goes on is merged in parts; days
// with few segments wait for each other; nothing is merged twice into the same.
func TestPlanMerges(t *testing.T) {
	var p planned
	o := MergeOptions{MinIndexes: 4}
	var got []string
	step := func(day int) { got = append(got, p.run(day, o)) }
	p.index(1, 3)
	step(1) // too few
	p.index(1, 1)
	step(1)
	step(1)
	p.index(1, 5)
	step(1)
	p.index(1, 2)
	step(2) // the day is over: once more, whole
	step(2)
	p.index(2, 2)
	step(3) // few
	p.index(3, 3)
	step(4) // those of two days
	p.index(4, 4)
	p.index(5, 5)
	step(5)
	step(6)
	o.TargetBytes = 250
	p.index(6, 6)
	step(7)
	step(7)
	want := []string{"", "1-4", "", "5-9", "1-11", "", "", "12-16", "17-20 21-25", "", "26-27 28-29 30-31", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
