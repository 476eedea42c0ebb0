package pitr

import (
	"bytes"
	"slices"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/retain"
)

// A merged index goes when all of its segments are gone, or when a wider one has
// them all, and not before.
func TestPruneMergedIndexes(t *testing.T) {
	s, k, _ := agedKit(t, t.Context())
	c, err := k.arch.Catalog(t.Context())
	check(t, err)
	put := func(segments []archive.SegmentEntry) archive.MergedKey {
		var keys []archive.IndexKey
		for _, e := range segments {
			keys = append(keys, e.Index())
		}
		m, _ := archive.MergedOf(keys)
		check(t, s.Create(t.Context(), k.arch.Key(m), bytes.NewReader([]byte("x")), 1))
		return m
	}
	there := func(m archive.MergedKey) bool { return slices.Contains(s.keys("index/merged/"), k.arch.Key(m)) }
	n := len(c.Segments)
	first := put(c.Segments[:2])
	odd := put([]archive.SegmentEntry{c.Segments[0], c.Segments[n-1]})
	wide, narrow := put(c.Segments[n-3:]), put(c.Segments[n-2:])
	for range 6 {
		_, err := s.prune(k, retain.Policy{Last: 2}, true)
		check(t, err)
		if c, err = k.arch.Catalog(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(c.Within(first)) > 0 && !there(first) {
			t.Errorf("%s went before its segments", first)
		}
		s.pass(testGrace)
	}
	if len(c.Segments) >= n-1 || there(first) || there(narrow) || !there(wide) || !there(odd) {
		t.Errorf("of %d segments %d are left; first %v, narrow %v, wide %v, odd %v; want false, false, true, true",
			n, len(c.Segments), there(first), there(narrow), there(wide), there(odd))
	}
}
