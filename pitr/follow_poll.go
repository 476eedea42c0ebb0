package pitr

import (
	"context"
	"errors"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// poll asks for what is new and applies it.
func (f *follower) poll(ctx context.Context) error {
	src, err := f.look(ctx)
	if err != nil {
		return err
	}
	f.status.Polls++
	h := src.merge()
	h.finish()
	rt, next, missing, err := f.way(h)
	if err != nil {
		return err
	}
	f.status.Archived, f.status.PolledAt = max(h.newestOf(f.state.Timeline), f.low), f.opts.Clock().UTC()
	if len(rt.legs) > 0 {
		if err := f.apply(ctx, src, h, rt); err != nil {
			return err
		}
	}
	whole := f.full
	f.lsnMax, f.timelineMax, f.src, f.seen = max(f.lsnMax, h.lsnMax), max(f.timelineMax, slices.Max(append(h.timelines(), f.state.Timeline))), src, h
	if len(rt.legs) > 0 || whole {
		f.next, f.from, f.full = next, h.listFrom(next), false
	}
	f.status.State, f.status.Error = FollowCurrent, ""
	f.status.MissingFrom, f.status.MissingTo = 0, 0
	if down := src.unreachable(); down != nil {
		// The others may be complete, or not: it cannot be known.
		f.status.State, f.status.Error = FollowTroubled, down.Error()
		if f.follow.Once {
			return down
		}
		return nil
	}
	return f.judge(h, missing, len(rt.legs) > 0, whole)
}

// look lists the archives from where the last look ended, or wholly.
func (f *follower) look(ctx context.Context) (*sources, error) {
	if f.full {
		src, err := listAll(ctx, f.archives, archive.SnapshotContents)
		f.keepEpochs(src)
		return src, err
	}
	src, err := askAll(ctx, f.archives, func(ctx context.Context, i int) (*archive.Catalog, error) {
		return f.archives[i].Tail(ctx, archive.TailFrom{Timeline: f.next.Timeline, LSN: f.from, Only: f.state.Only, Epochs: f.epochs[i]})
	})
	f.keepEpochs(src)
	return src, err
}

func (f *follower) keepEpochs(src *sources) {
	if src == nil {
		return
	}
	for i, c := range src.catalogs {
		if c != nil {
			f.epochs[i] = c.Epochs
		}
	}
}

// way finds what to apply next, on the history that the newest claim began or
// went on with.
func (f *follower) way(h *history) (*route, Position, *hole, error) {
	leaf := f.state.Timeline
	if _, newest := h.newestEpoch(); newest != 0 && !f.state.Only {
		leaf = newest
	}
	if err := h.agrees(f.state.Timeline, f.state.Epoch, f.high, leaf); err != nil {
		return nil, Position{}, nil, err
	}
	rt, next, missing := h.onward(leaf, f.low)
	if c := h.clashIn(rt); c != nil {
		return nil, Position{}, nil, ambiguousClash(Target{Latest: true, Timeline: leaf}, c)
	}
	if leaf != f.state.Timeline {
		f.opts.Logger.Info("the node goes on on another timeline", "from", f.state.Timeline, "to", leaf)
	}
	epoch, _ := h.newestEpoch()
	return rt, next, missing, f.expect(max(epoch, f.state.Epoch), leaf)
}

// apply replays the legs of a route.
func (f *follower) apply(ctx context.Context, src *sources, h *history, rt *route) error {
	plan := &Plan{NodeID: f.state.NodeID, VShards: f.state.VShards, Timeline: f.state.Timeline, Stores: src.urls(), src: src}
	for _, l := range rt.legs {
		for i := range l.segments {
			s := planSegment(l.timeline, &l.segments[i])
			plan.Segments = append(plan.Segments, s)
			plan.Records += uint64(s.To - s.From + 1)
			plan.Bytes += s.Bytes
		}
		plan.Reached = Position{Timeline: l.timeline, LSN: l.to}
	}
	f.status.State = FollowReplaying
	f.show()
	m := startMeter(plan, f.opts)
	m.enter(PhaseReplay)
	rp, err := f.replay(ctx, plan, f.prev, m)
	m.close()
	f.prev = nil
	if err != nil {
		// An object that is gone may be in a pack by now, which only a whole
		// listing tells.
		f.full = f.full || errors.Is(err, archive.ErrNotFound)
		return err
	}
	f.prev = rp.prev
	f.status.Segments += uint64(len(plan.Segments))
	f.status.Records += plan.Records
	f.status.Bytes += m.bytes.Load()
	return nil
}

// judge decides what a hole means: segments that are still on their way, a pack
// that stands in for them, or a gap.
func (f *follower) judge(h *history, missing *hole, moved, whole bool) error {
	now := f.opts.Clock()
	f.hole = missing
	if missing == nil {
		f.holes = 0
		return nil
	}
	f.status.State, f.status.MissingFrom, f.status.MissingTo = FollowWaiting, missing.from, missing.to
	if f.holes == 0 || moved {
		f.holes, f.holeAt = 0, now
	}
	f.holes++
	declared := h.declared(missing) // known after a whole listing only
	late := now.Sub(f.holeAt) >= f.follow.GapTimeout
	if declared != "" || late && whole {
		return f.gap(h, missing)
	}
	f.full = f.holes == holePolls || late
	return nil
}

func (f *follower) gap(h *history, missing *hole) error {
	return &GapError{Target: Target{Latest: true, Timeline: f.state.Timeline}, Timeline: missing.timeline,
		From: missing.from, To: missing.to, Declared: h.declared(missing), Nearest: h.around(f.state.Timeline, missing)}
}

// around is what is applied before a hole, and what is archived behind it.
func (h *history) around(leaf wal.Timeline, missing *hole) Nearest {
	out := Nearest{Before: &Position{Timeline: missing.timeline, LSN: missing.from - 1}}
	for _, s := range h.lineage(leaf) {
		for _, b := range h.branches[s.timeline].bases {
			if b.lsn > missing.to && b.lsn <= s.to && out.After == nil {
				out.After = &Position{Timeline: s.timeline, LSN: b.lsn}
			}
		}
	}
	return out
}
