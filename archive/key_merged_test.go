package archive_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

func indexKey(first, last wal.LSN, sum byte) archive.IndexKey {
	return archive.IndexKey{Timeline: 2, First: first, Last: last, SHA16: archive.ShortSum{sum}}
}

// The name depends on which segments there are and on nothing else, and the list
// gives them back.
func TestMergedOf(t *testing.T) {
	want := []archive.IndexKey{indexKey(1, 9, 3), indexKey(10, 10, 1), indexKey(10, 40, 1), indexKey(10, 40, 2), indexKey(30, 35, 0)}
	name, list := archive.MergedOf(want)
	if name.Timeline != 2 || name.First != 1 || name.Last != 40 {
		t.Errorf("%+v", name)
	}
	for range 10 {
		mixed := append(slices.Clone(want), want[2])
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if again, l := archive.MergedOf(mixed); again != name || !slices.Equal(l, list) {
			t.Fatalf("%v are called %s, want %s", mixed, again, name)
		}
	}
	got, err := name.Segments(list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := name
	other.Last++
	for what, k := range map[string]archive.MergedKey{"range": other, "list": name} {
		if what == "list" {
			list[len(list)-1] ^= 1
		}
		if _, err := k.Segments(list); err == nil {
			t.Errorf("another %s is taken", what)
		}
	}
}

// A catalog knows by the name whether a merged index has all that lies in its range.
func TestMergedWhole(t *testing.T) {
	c := &archive.Catalog{}
	var keys []archive.IndexKey
	for i := range wal.LSN(5) {
		k := indexKey(10*i+1, 10*i+10, byte(i))
		keys = append(keys, k)
		c.Segments = append(c.Segments, archive.SegmentEntry{SegmentKey: archive.SegmentKey{Timeline: 2, First: k.First, Last: k.Last, Epoch: 1, SHA16: k.SHA16}})
	}
	all, _ := archive.MergedOf(keys)
	some, _ := archive.MergedOf(keys[1:3])
	holed, _ := archive.MergedOf([]archive.IndexKey{keys[1], keys[3]})
	if !c.Whole(all) || !c.Whole(some) || c.Whole(holed) {
		t.Errorf("whole: %v, %v, %v; want true, true, false", c.Whole(all), c.Whole(some), c.Whole(holed))
	}
	if diff := cmp.Diff(keys[1:4], c.Within(holed)); diff != "" {
		t.Errorf("within (-want +got):\n%s", diff)
	}
	c.Segments = c.Segments[1:]
	if c.Whole(all) || !c.Whole(some) || len(c.Within(all)) != 4 {
		t.Error("a segment went, and the name still stands for all")
	}
	c.Segments = nil
	if c.Whole(some) || len(c.Within(some)) != 0 {
		t.Error("of no segments nothing is whole")
	}
}

func FuzzMergedSegments(f *testing.F) {
	k, list := archive.MergedOf([]archive.IndexKey{indexKey(1, 9, 3), indexKey(10, 300, 1)})
	f.Add(uint64(k.First), uint64(k.Last), k.SHA16[:], list)
	f.Add(uint64(1), uint64(1), []byte{}, []byte{0xff})
	f.Fuzz(func(t *testing.T, first, last uint64, sum, list []byte) {
		k := archive.MergedKey{Timeline: 2, First: wal.LSN(first), Last: wal.LSN(last)}
		copy(k.SHA16[:], sum)
		segments, err := k.Segments(list)
		if err != nil {
			return
		}
		if is, again := archive.MergedOf(segments); is != k || !slices.Equal(again, list) {
			t.Fatalf("%v are called %s, not %s", segments, is, k)
		}
	})
}
