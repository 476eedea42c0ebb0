package pitr

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// prunedLSNs are the LSNs of the segments and packs that sweeps were to delete.
type prunedLSNs map[wal.Timeline][]span

func (p prunedLSNs) add(key string) {
	k, err := archive.ParseKey(key)
	if err != nil {
		return // of a later version
	}
	switch k := k.(type) {
	case archive.SegmentKey:
		p[k.Timeline] = append(p[k.Timeline], span{k.Timeline, k.First, k.Last})
	case archive.PackKey:
		p[k.Timeline] = append(p[k.Timeline], span{k.Timeline, k.First, k.Last})
	}
}

// tell moves what was pruned of the missing LSNs of t to where it belongs.
func (p prunedLSNs) tell(t *Timeline) {
	gone := slices.Clone(p[t.Timeline])
	slices.SortFunc(gone, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	missing := t.Missing
	t.Missing = []PlanGap{}
	part := func(out *[]PlanGap, from, to wal.LSN) {
		if from <= to {
			*out = append(*out, PlanGap{Timeline: t.Timeline, From: from, To: to})
		}
	}
	for _, m := range missing {
		next, pruned := m.From, m.From // up to next all is told; from pruned to next it was pruned
		for _, g := range gone {
			if g.to < next || g.from > m.To {
				continue
			}
			if g.from > next {
				part(&t.Pruned, pruned, next-1)
				part(&t.Missing, next, g.from-1)
				pruned = g.from
			}
			next = min(g.to, m.To) + 1
		}
		part(&t.Pruned, pruned, next-1)
		part(&t.Missing, next, m.To)
	}
}

// pruneLogReader reads the prune log of an archive.
type pruneLogReader func(ctx context.Context, a *archive.Archive) (*archive.PruneLog, error)

// tellPruned reads the prune logs when LSNs of a timeline are absent.
func tellPruned(ctx context.Context, archives []*archive.Archive, timelines []Timeline, read pruneLogReader) error {
	if !slices.ContainsFunc(timelines, func(t Timeline) bool { return len(t.Missing) > 0 }) {
		return nil
	}
	p := make(prunedLSNs)
	for _, a := range archives {
		log, err := read(ctx, a)
		if err != nil {
			return err
		}
		for key := range log.Swept() {
			p.add(key)
		}
	}
	for i := range timelines {
		p.tell(&timelines[i])
	}
	return nil
}

// anyPruneLog answers with an empty log for one that is damaged or cannot be read.
func anyPruneLog(ctx context.Context, a *archive.Archive) (*archive.PruneLog, error) {
	log, err := readPruneLog(ctx, a)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case archive.Retryable(err):
		return &archive.PruneLog{NodeID: a.NodeID()}, nil
	}
	return log, err
}

// readPruneLog answers with an empty log for one that is damaged.
func readPruneLog(ctx context.Context, a *archive.Archive) (*archive.PruneLog, error) {
	log, err := archive.ReadPruneLog(ctx, a.Store(), a.NodeID())
	if errors.Is(err, archive.ErrCorrupt) || errors.Is(err, archive.ErrVersion) {
		return &archive.PruneLog{NodeID: a.NodeID()}, nil
	}
	return log, err
}
