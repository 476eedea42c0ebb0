package index

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// mergeInputsMax bounds the indexes in one: each has a buffer while it is merged.
const mergeInputsMax = 4096

// planMerges says which indexes become one. It looks at names, sizes and times of
// objects only.
//
// A day is over when it is over in UTC, and an index belongs to the day on which it
// was made. Those of a day that is over become one, or a few of the target's size,
// unless a merged index has their range already. Of the day that goes on, and of
// days with few of them, those that no merged index has become one when they are
// enough. What is in a merged index of such a part is merged once more with its day.
func planMerges(c *archive.Catalog, o *MergeOptions, now time.Time) (plans [][]archive.IndexEntry) {
	merged := make(map[wal.Timeline][]archive.MergedKey)
	for _, m := range c.Merged {
		merged[m.Timeline] = append(merged[m.Timeline], m.MergedKey)
	}
	spanned := func(all ...archive.IndexEntry) bool {
		return slices.ContainsFunc(merged[all[0].Timeline], func(m archive.MergedKey) bool {
			return !slices.ContainsFunc(all, func(e archive.IndexEntry) bool { return !m.Spans(e.IndexKey) })
		})
	}
	var rest []archive.IndexEntry
	for _, day := range days(c) {
		over := dayOf(day[0]).Before(now.UTC().Truncate(24 * time.Hour))
		if !over || len(day) < o.MinIndexes {
			rest = append(rest, slices.DeleteFunc(day, func(e archive.IndexEntry) bool { return spanned(e) })...)
			continue
		}
		for _, part := range cut(day, o) {
			if len(part) > 1 && !spanned(part...) {
				plans = append(plans, part)
			}
		}
	}
	for _, part := range cut(rest, o) {
		if len(part) >= o.MinIndexes {
			plans = append(plans, part)
		}
	}
	return plans
}

func dayOf(e archive.IndexEntry) time.Time { return e.ModTime.UTC().Truncate(24 * time.Hour) }

// days are the indexes whose segments are there, by timeline and day, oldest first;
// within a day by LSN.
func days(c *archive.Catalog) (out [][]archive.IndexEntry) {
	there := make(map[archive.IndexKey]bool, len(c.Segments))
	for _, s := range c.Segments {
		there[s.Index()] = true
	}
	all := slices.DeleteFunc(slices.Clone(c.Indexes), func(e archive.IndexEntry) bool { return !there[e.IndexKey] })
	slices.SortFunc(all, func(x, y archive.IndexEntry) int {
		return cmp.Or(cmp.Compare(x.Timeline, y.Timeline), dayOf(x).Compare(dayOf(y)), cmp.Compare(x.First, y.First),
			cmp.Compare(x.Last, y.Last), bytes.Compare(x.SHA16[:], y.SHA16[:]))
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Timeline == all[0].Timeline && dayOf(all[n]).Equal(dayOf(all[0])) {
			n++
		}
		out, all = append(out, all[:n:n]), all[n:]
	}
	return out
}

// cut makes parts of one timeline each, as large as the target.
func cut(all []archive.IndexEntry, o *MergeOptions) (out [][]archive.IndexEntry) {
	size := int64(0)
	for i, e := range all {
		n := len(out) - 1
		if i == 0 || e.Timeline != all[i-1].Timeline || size+e.Size > o.TargetBytes || len(out[n]) == mergeInputsMax {
			out, size = append(out, nil), 0
			n = len(out) - 1
		}
		out[n] = append(out[n], e)
		size += e.Size
	}
	return out
}
