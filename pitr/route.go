package pitr

import (
	"cmp"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// route is a way to a position: start from a base (or from nothing), then
// apply the LSNs of the legs in order.
type route struct {
	base *base // nil: from LSN 1
	from wal.Timeline
	legs []leg
}

// leg is a stretch of one timeline, with the segments that hold it.
type leg struct {
	timeline wal.Timeline
	from, to wal.LSN
	segments []segment // clipped to from..to
}

// hole is what stops a route: LSNs that no object holds.
type hole struct {
	timeline wal.Timeline
	from, to wal.LSN
	// bottom: history simply begins above the hole; nothing was lost in
	// between two things that are there.
	bottom bool
}

// route looks for the newest usable base from which lsn can be reached without
// a hole, along the history of leaf. usable may refuse a base for what its
// manifest says.
func (h *history) route(leaf wal.Timeline, lsn wal.LSN, usable func(*base) bool) (*route, *hole) {
	spans := h.lineage(leaf)
	i := spanWith(spans, lsn)
	if i < 0 {
		return nil, &hole{timeline: leaf, from: lsn, to: lsn}
	}
	out := &route{}
	for pos := lsn; ; i, pos = i-1, spans[i-1].to {
		s, b := spans[i], h.branches[spans[i].timeline]
		floor := wal.LSN(0) // a base below the fork belongs to the parent
		if i > 0 {
			floor = spans[i-1].to
		}
		r := b.runWith(pos)
		if at := b.newestBase(floor, pos, usable); at != nil {
			next := max(at.low+1, s.from)
			if next > pos || r != nil && r.from <= next {
				out.base, out.from = at, s.timeline
				out.addLeg(s.timeline, r, next, pos)
				break
			}
		}
		if r == nil || r.from > s.from {
			return nil, b.holeBelow(s, r, pos)
		}
		out.addLeg(s.timeline, r, s.from, pos)
		if i == 0 && s.from == 1 {
			out.from = s.timeline
			break
		}
		if i == 0 {
			return nil, &hole{timeline: s.timeline, from: 1, to: s.from - 1, bottom: true}
		}
	}
	slices.Reverse(out.legs)
	return out, nil
}

// newestBase is the newest base with floor ≤ lsn ≤ to.
func (b *branch) newestBase(floor, to wal.LSN, usable func(*base) bool) *base {
	for i := len(b.bases) - 1; i >= 0; i-- {
		at := &b.bases[i]
		if floor <= at.low && at.lsn <= to && (usable == nil || usable(at)) {
			return at
		}
	}
	return nil
}

// holeBelow describes what is missing at pos, or below the run r that holds it.
func (b *branch) holeBelow(s span, r *run, pos wal.LSN) *hole {
	out := &hole{timeline: s.timeline, from: s.from, to: pos}
	if r != nil {
		out.to = r.from - 1
	} else {
		for _, above := range b.runs {
			if above.from > pos {
				out.to = above.from - 1
				break
			}
		}
	}
	out.bottom = true
	for _, below := range b.runs {
		if below.to < out.to {
			out.from, out.bottom = max(out.from, below.to+1), false
		}
	}
	for i := range b.bases {
		if l := b.bases[i].lsn; l < out.to {
			out.from, out.bottom = max(out.from, l+1), false
		}
	}
	for _, g := range b.gaps {
		if g.from <= out.to && g.to >= out.from {
			out.bottom = false
		}
	}
	if b.parent != 0 {
		out.bottom = false
	}
	return out
}

// addLeg cuts the segments of r to from..to. Legs are added newest first.
func (rt *route) addLeg(tl wal.Timeline, r *run, from, to wal.LSN) {
	if from > to {
		return
	}
	l := leg{timeline: tl, from: from, to: to}
	for _, s := range r.segments {
		if s.hi < from || s.lo > to {
			continue
		}
		s.lo, s.hi = max(s.lo, from), min(s.hi, to)
		l.segments = append(l.segments, s)
	}
	rt.legs = append(rt.legs, l)
}

// stretch is a range of LSNs of one timeline, every one of which can be reached.
type stretch struct {
	timeline wal.Timeline
	from, to wal.LSN
}

// reachable lists what can be restored of what was written on timeline id, in
// order of LSN. Inherited LSNs belong to the parent.
func (h *history) reachable(id wal.Timeline) []stretch {
	b := h.branches[id]
	var out []stretch
	for i := range b.runs {
		r := &b.runs[i]
		from := r.from
		if _, missing := h.route(id, r.from, nil); missing != nil {
			from = 0
			for j := range b.bases {
				if l := b.bases[j].lsn; r.from <= l && l <= r.to {
					from = l
					break
				}
			}
		}
		if from != 0 {
			out = append(out, stretch{timeline: id, from: from, to: r.to})
		}
	}
	for i := range b.bases {
		if l := b.bases[i].lsn; l >= max(b.first, 1) {
			out = append(out, stretch{timeline: id, from: l, to: l})
		}
	}
	slices.SortFunc(out, func(x, y stretch) int { return cmp.Compare(x.from, y.from) })
	merged := out[:0]
	for _, s := range out {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to+1 {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// nearest finds the closest positions around lsn that can be reached: on the
// history of leaf, or on any timeline when leaf is 0.
func (h *history) nearest(leaf wal.Timeline, lsn wal.LSN) Nearest {
	var out Nearest
	for _, s := range h.candidates(leaf) {
		if s.from < lsn {
			at := Position{Timeline: s.timeline, LSN: min(s.to, lsn-1)}
			if out.Before == nil || out.Before.LSN <= at.LSN {
				out.Before = &at
			}
		}
		if s.to > lsn {
			at := Position{Timeline: s.timeline, LSN: max(s.from, lsn+1)}
			if out.After == nil || out.After.LSN >= at.LSN {
				out.After = &at
			}
		}
	}
	return out
}

// candidates are the reachable stretches of leaf's history, cut where it
// forked; of every timeline when leaf is 0 or unknown.
func (h *history) candidates(leaf wal.Timeline) []stretch {
	var out []stretch
	if h.branches[leaf] == nil {
		for _, id := range h.timelines() {
			out = append(out, h.reachable(id)...)
		}
		return out
	}
	for _, s := range h.lineage(leaf) {
		for _, r := range h.reachable(s.timeline) {
			r.from, r.to = max(r.from, s.from), min(r.to, s.to)
			if r.from <= r.to {
				out = append(out, r)
			}
		}
	}
	return out
}
