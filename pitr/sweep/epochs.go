package sweep

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// epochFindings holds segments against the claims of their epochs, and claims
// against each other.
func epochFindings(c *archive.Catalog) []Finding {
	claims := make(map[wal.Epoch]archive.EpochInfo, len(c.Epochs))
	for _, e := range c.Epochs {
		claims[e.Epoch] = e
	}
	unread := make(map[wal.Epoch]bool) // a problem of its own
	for _, e := range c.Claims {
		if _, ok := claims[e.Epoch]; !ok {
			unread[e.Epoch] = true
		}
	}
	type fault struct {
		epoch wal.Epoch
		tl    wal.Timeline
		why   string
	}
	found := make(map[fault]*Finding)
	for i := range c.Segments {
		s := &c.Segments[i]
		e, ok := claims[s.Epoch]
		why := ""
		switch {
		case unread[s.Epoch]:
		case !ok:
			why = "no epoch object claims it"
		case e.Timeline != s.Timeline:
			why = fmt.Sprintf("its claim is for timeline %d", uint32(e.Timeline))
		case s.First < e.FirstLSN:
			why = fmt.Sprintf("its claim begins at LSN %d", uint64(e.FirstLSN))
		}
		if why == "" {
			continue
		}
		at := fault{s.Epoch, s.Timeline, why}
		if f := found[at]; f != nil {
			f.From, f.To = min(f.From, s.First), max(f.To, s.Last)
			continue
		}
		found[at] = &Finding{Kind: Epoch, Severity: Problem, Key: s.Object.Key, Timeline: s.Timeline, From: s.First, To: s.Last}
	}
	out := make([]Finding, 0, len(found))
	for at, f := range found {
		f.Text = fmt.Sprintf("epoch %d wrote within %s, and %s", uint64(at.epoch), spanOf(f.Timeline, f.From, f.To), at.why)
		out = append(out, *f)
	}
	slices.SortFunc(out, func(x, y Finding) int { return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Text, y.Text)) })
	return append(out, origins(c)...)
}

// origins finds claims of one timeline that say it came from different places: two
// restores took the same number.
func origins(c *archive.Catalog) []Finding {
	var out []Finding
	first := make(map[wal.Timeline]archive.EpochInfo)
	for _, e := range c.Epochs {
		f, ok := first[e.Timeline]
		if !ok {
			first[e.Timeline] = e
			continue
		}
		if f.ParentTimeline == e.ParentTimeline && f.ForkLSN == e.ForkLSN {
			continue
		}
		out = append(out, Finding{Kind: Epoch, Severity: Problem, Timeline: e.Timeline,
			Key:   archive.Join(c.NodeID, archive.EpochKey{Epoch: e.Epoch}),
			Other: archive.Join(c.NodeID, archive.EpochKey{Epoch: f.Epoch}),
			Text: fmt.Sprintf("epochs %d and %d collide on timeline %d: one says that it left timeline %d after LSN %d, the other timeline %d after LSN %d",
				uint64(f.Epoch), uint64(e.Epoch), uint32(e.Timeline), uint32(f.ParentTimeline), uint64(f.ForkLSN), uint32(e.ParentTimeline), uint64(e.ForkLSN))})
	}
	return out
}

// CompareEpochs finds epochs that one writer claimed in one store and another
// writer in another. The finding goes to the report that comes later. Reports of
// different nodes have nothing in common.
func CompareEpochs(reports []*Report) {
	type claim struct {
		node  string
		epoch wal.Epoch
	}
	type holder struct {
		store string
		info  archive.EpochInfo
	}
	known := make(map[claim]holder)
	for _, r := range reports {
		for _, e := range r.claims {
			at := claim{r.NodeID, e.Epoch}
			have, ok := known[at]
			if !ok {
				known[at] = holder{r.Store, e}
				continue
			}
			if have.info.Incarnation == e.Incarnation {
				continue
			}
			r.add(Finding{Kind: Epoch, Severity: Problem, Timeline: e.Timeline, Key: archive.Join(r.NodeID, archive.EpochKey{Epoch: e.Epoch}),
				Text: fmt.Sprintf("epoch %d was claimed by two writers: %s of %s here, %s of %s in %s", uint64(e.Epoch),
					e.Incarnation, writerOf(e), have.info.Incarnation, writerOf(have.info), have.store)})
		}
		r.finish()
	}
}

func writerOf(e archive.EpochInfo) string {
	if e.Host == "" {
		return "an unnamed host"
	}
	return "host " + e.Host
}
