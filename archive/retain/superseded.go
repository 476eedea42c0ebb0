package retain

import (
	"cmp"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
)

// newestKept is how many catalog snapshots, and how many ledgers, stay. Each is
// complete, and readers use the newest; the ones before it are there for when it
// is damaged, and for readers that listed them a moment ago.
const newestKept = 4

type supersededObject struct {
	archive.Object
	key string // below the node's prefix
	why string
}

// superseded are the catalog snapshots and ledgers behind the newest few, and
// the indexes of segments that are gone, whose keys must not outlive them. A merged
// index goes with the last of its segments, or when a wider one has them all. The
// highest number always stays, so none is ever given twice.
func (v *view) superseded() []supersededObject {
	var out []supersededObject
	catalogs := slices.SortedFunc(slices.Values(v.catalog.Catalogs), func(x, y archive.CatalogEntry) int { return cmp.Compare(y.Seq, x.Seq) })
	for _, e := range catalogs[min(newestKept, len(catalogs)):] {
		out = append(out, supersededObject{e.Object, e.String(), "newer catalog snapshots are there"})
	}
	ledgers := slices.SortedFunc(slices.Values(v.catalog.Ledgers), func(x, y archive.LedgerEntry) int { return cmp.Compare(y.Seq, x.Seq) })
	for _, e := range ledgers[min(newestKept, len(ledgers)):] {
		out = append(out, supersededObject{e.Object, e.String(), "newer ledgers are there"})
	}
	return append(out, v.indexes()...)
}

func (v *view) indexes() (out []supersededObject) {
	segments := make(map[archive.IndexKey]bool)
	for _, e := range v.catalog.Segments {
		segments[e.Index()] = true
	}
	for _, e := range v.catalog.Indexes {
		if !segments[e.IndexKey] {
			out = append(out, supersededObject{e.Object, e.String(), "the segment that it indexes is not there"})
		}
	}
	for _, e := range v.catalog.Merged {
		wider := func(w archive.MergedEntry) bool {
			return w.MergedKey != e.MergedKey && w.Timeline == e.Timeline && w.First <= e.First && e.Last <= w.Last && v.catalog.Whole(w.MergedKey)
		}
		switch {
		case len(v.catalog.Within(e.MergedKey)) == 0:
			out = append(out, supersededObject{e.Object, e.String(), "the segments that it indexes are not there"})
		case slices.ContainsFunc(v.catalog.Merged, wider):
			out = append(out, supersededObject{e.Object, e.String(), "a merged index of more segments has all of its"})
		}
	}
	return out
}
