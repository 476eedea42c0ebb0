package pitr

import (
	"context"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Window is a range of LSNs of one timeline, each of which can be restored.
// From and To are inclusive.
type Window struct {
	Timeline wal.Timeline `json:"timeline"`
	From     wal.LSN      `json:"from"`
	To       wal.LSN      `json:"to"`
	FromTime time.Time    `json:"from_time,omitzero"`
	ToTime   time.Time    `json:"to_time,omitzero"`
}

// Description is what an archive holds of a node, in the words of restore.
type Description struct {
	NodeID    string     `json:"node_id"`
	Stores    []string   `json:"stores"`
	Timelines []Timeline `json:"timelines"`
	Warnings  []string   `json:"warnings"`
}

// Timeline describes one history.
type Timeline struct {
	Timeline  wal.Timeline `json:"timeline"`
	Parent    wal.Timeline `json:"parent,omitempty"`
	ForkLSN   wal.LSN      `json:"fork_lsn,omitempty"` // last LSN that it shares with its parent
	FirstLSN  wal.LSN      `json:"first_lsn"`          // first LSN that was written on it
	LastLSN   wal.LSN      `json:"last_lsn"`           // last one archived; 0: none yet
	Epochs    int          `json:"epochs"`
	Segments  int          `json:"segments"`
	Dead      int          `json:"dead_segments"` // written by fenced epochs, not history
	Bytes     int64        `json:"bytes"`         // stored, of live segments
	Bases     []PlanBase   `json:"bases"`
	Gaps      []PlanGap    `json:"gaps"`    // declared
	Missing   []PlanGap    `json:"missing"` // absent without a declaration; Key is empty
	Pruned    []PlanGap    `json:"pruned"`  // absent between archived ones, by the prune log; Key is empty
	Windows   []Window     `json:"windows"`
	Lineage   []Stretch    `json:"lineage"`             // its history, root first
	ClaimedAt time.Time    `json:"claimed_at,omitzero"` // of its first epoch
	Host      string       `json:"host,omitempty"`      // of its newest epoch
}

// Stretch is the part of one timeline that belongs to a history. To is 0 for the
// last one, which is still open.
type Stretch struct {
	Timeline wal.Timeline `json:"timeline"`
	From     wal.LSN      `json:"from"`
	To       wal.LSN      `json:"to,omitempty"`
}

// Describe lists all timelines of a node and what can be restored of each. It
// reads listings, epoch objects, the footers at the ends of windows, and the
// prune log when LSNs are absent.
func Describe(ctx context.Context, archives []*archive.Archive) (*Description, error) {
	src, h, err := survey(ctx, archives, archive.SnapshotContents)
	if err != nil {
		return nil, err
	}
	look := newLookup(src)
	out := &Description{NodeID: src.node, Stores: src.urls(), Timelines: []Timeline{}, Warnings: src.warnings()}
	for _, id := range h.timelines() {
		t := describe(h.branches[id])
		src.describeEpochs(&t)
		for _, s := range h.lineage(id) {
			l := Stretch{Timeline: s.timeline, From: s.from, To: s.to}
			if s.to == lsnEnd {
				l.To = 0
			}
			t.Lineage = append(t.Lineage, l)
		}
		for _, s := range h.reachable(id) {
			w := Window{Timeline: id, From: s.from, To: s.to}
			for lsn, at := range map[wal.LSN]*time.Time{s.from: &w.FromTime, s.to: &w.ToTime} {
				p, err := look.shown(ctx, h, id, lsn)
				if err != nil {
					return nil, err
				}
				*at = p.Time
			}
			if w.From == w.To {
				w.FromTime = w.ToTime
			}
			t.Windows = append(t.Windows, w)
		}
		out.Timelines = append(out.Timelines, t)
	}
	if err := tellPruned(ctx, archives, out.Timelines, anyPruneLog); err != nil {
		return nil, err
	}
	return out, nil
}

// Windows are the ranges of all timelines that can be restored, by timeline
// and LSN.
func Windows(ctx context.Context, archives []*archive.Archive) ([]Window, error) {
	d, err := Describe(ctx, archives)
	if err != nil {
		return nil, err
	}
	out := []Window{}
	for _, t := range d.Timelines {
		out = append(out, t.Windows...)
	}
	return out, nil
}

func describe(b *branch) Timeline {
	t := Timeline{Timeline: b.id, Parent: b.parent, ForkLSN: b.fork, FirstLSN: b.first, LastLSN: b.last(),
		Epochs: len(b.epochs), Segments: len(b.segments), Dead: len(b.dead),
		Bases: []PlanBase{}, Gaps: []PlanGap{}, Missing: []PlanGap{}, Pruned: []PlanGap{}, Windows: []Window{}}
	for i := range b.segments {
		t.Bytes += b.segments[i].bytes
	}
	for _, at := range b.bases {
		t.Bases = append(t.Bases, PlanBase{Key: at.key, Timeline: b.id, LSN: at.lsn, Stores: at.stores})
	}
	for _, g := range b.gaps {
		t.Gaps = append(t.Gaps, PlanGap{Key: g.key, Timeline: b.id, From: g.from, To: g.to})
	}
	for i := 1; i < len(b.runs); i++ {
		hole := PlanGap{Timeline: b.id, From: b.runs[i-1].to + 1, To: b.runs[i].from - 1}
		declared := slices.ContainsFunc(b.gaps, func(g gap) bool { return g.from <= hole.To && g.to >= hole.From })
		if !declared {
			t.Missing = append(t.Missing, hole)
		}
	}
	return t
}

func (s *sources) describeEpochs(t *Timeline) {
	var newest wal.Epoch
	for _, c := range s.catalogs {
		if c == nil {
			continue
		}
		for _, e := range c.Epochs {
			if e.Timeline != t.Timeline {
				continue
			}
			if t.ClaimedAt.IsZero() || e.ClaimedAt.Before(t.ClaimedAt) {
				t.ClaimedAt = e.ClaimedAt
			}
			if e.Epoch >= newest {
				newest, t.Host = e.Epoch, e.Host
			}
		}
	}
}
