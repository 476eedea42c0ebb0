package pitr

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// resolved is a target as a position in one history.
type resolved struct {
	leaf  wal.Timeline // history to follow
	owner wal.Timeline // timeline on which lsn was written
	lsn   wal.LSN
}

// resolver turns targets into positions. It reads footers, and for a time the
// one segment that holds it.
type resolver struct {
	h      *history
	look   *lookup
	target Target
}

func (r *resolver) resolve(ctx context.Context) (resolved, error) {
	t := r.target
	if len(r.h.branches) == 0 {
		reason := fmt.Sprintf("the archive holds nothing of node %q", r.h.node)
		if others := r.look.src.otherNodes(ctx); others != "" {
			reason += "; it knows " + others
		}
		return resolved{}, r.outside(0, 0, reason)
	}
	if t.Timeline != 0 && r.h.branches[t.Timeline] == nil {
		return resolved{}, r.outside(0, t.LSN, fmt.Sprintf("the archive knows no timeline %d", uint32(t.Timeline)))
	}
	switch {
	case t.LSN != 0:
		return r.byLSN(t.LSN)
	case !t.Time.IsZero():
		return r.byTime(ctx)
	case t.Point != "":
		return r.byPoint(ctx)
	}
	return r.latest()
}

// outside refuses; lsn (0: unknown) is where to look for what is near.
func (r *resolver) outside(leaf wal.Timeline, lsn wal.LSN, reason string) error {
	return &OutOfWindowError{Target: r.target, Reason: reason, Nearest: r.h.nearest(leaf, lsn)}
}

// byLSN finds the history that holds lsn, then steps back if it is exclusive.
func (r *resolver) byLSN(lsn wal.LSN) (resolved, error) {
	leaf := r.target.Timeline
	if leaf == 0 {
		owners := r.owners(lsn)
		if len(owners) > 1 {
			return resolved{}, r.ambiguous("the LSN was written on several timelines", positions(owners, lsn))
		}
		if len(owners) == 0 {
			leaf = r.timelineAround(lsn)
		} else {
			leaf = owners[0]
		}
	}
	spans := r.h.lineage(leaf)
	i := spanWith(spans, lsn)
	if i < 0 {
		return resolved{}, r.outside(r.target.Timeline, lsn, describeOff(spans, leaf, lsn))
	}
	if last := r.h.branches[spans[i].timeline].last(); lsn > last {
		return resolved{}, r.outside(r.target.Timeline, lsn,
			fmt.Sprintf("timeline %d ends at LSN %d in this archive", uint32(spans[i].timeline), uint64(last)))
	}
	if r.target.Exclusive {
		lsn--
		if lsn < spans[i].from {
			if i--; i < 0 {
				return resolved{}, r.outside(leaf, lsn+1, "no record comes before it")
			}
			lsn = spans[i].to
		}
	}
	return resolved{leaf: leaf, owner: spans[i].timeline, lsn: lsn}, nil
}

// owners are the timelines on which lsn was written, as far as archived.
func (r *resolver) owners(lsn wal.LSN) []wal.Timeline {
	var out []wal.Timeline
	for _, id := range r.h.timelines() {
		b := r.h.branches[id]
		at := func(base base) bool { return base.lsn == lsn && lsn >= b.first }
		if b.runWith(lsn) != nil || slices.ContainsFunc(b.bases, at) {
			out = append(out, id)
		}
	}
	return out
}

// timelineAround is the newest timeline whose own LSNs reach over lsn, else
// the newest of all.
func (r *resolver) timelineAround(lsn wal.LSN) wal.Timeline {
	ids := r.h.timelines()
	for _, id := range slices.Backward(ids) {
		if b := r.h.branches[id]; b.first <= lsn && lsn <= b.last() {
			return id
		}
	}
	return ids[len(ids)-1]
}

func describeOff(spans []span, leaf wal.Timeline, lsn wal.LSN) string {
	if len(spans) == 0 || lsn < spans[0].from {
		return fmt.Sprintf("the history of timeline %d begins later", uint32(leaf))
	}
	for i := 1; i < len(spans); i++ {
		if spans[i-1].to < lsn && lsn < spans[i].from {
			return fmt.Sprintf("timeline %d left timeline %d after LSN %d and goes on at LSN %d",
				uint32(spans[i].timeline), uint32(spans[i-1].timeline), uint64(spans[i-1].to), uint64(spans[i].from))
		}
	}
	return fmt.Sprintf("it is not in the history of timeline %d", uint32(leaf))
}

// latest is the end of the newest timeline, or of the one that was asked for.
// A timeline that wrote nothing yet ends where it forked.
func (r *resolver) latest() (resolved, error) {
	leaf := r.target.Timeline
	if leaf == 0 {
		leaf = slices.Max(r.h.timelines())
	}
	spans := r.h.lineage(leaf)
	for _, s := range slices.Backward(spans) {
		last := min(r.h.branches[s.timeline].last(), s.to)
		if last >= s.from {
			return resolved{leaf: leaf, owner: s.timeline, lsn: last}, nil
		}
	}
	return resolved{}, r.outside(leaf, 0, fmt.Sprintf("nothing of timeline %d was archived", uint32(leaf)))
}

// byPoint reads the footers of all live segments that could hold the name.
func (r *resolver) byPoint(ctx context.Context) (resolved, error) {
	found, known, err := r.findPoint(ctx)
	if err != nil {
		return resolved{}, err
	}
	switch {
	case len(found) == 0:
		reason := "the archive holds no restore points"
		if len(known) > 0 {
			reason = "the archive holds " + closestNames(r.target.Point, known)
		}
		return resolved{}, &OutOfWindowError{Target: r.target, Reason: reason}
	case len(found) > 1:
		return resolved{}, r.ambiguous("several records have that name", found)
	}
	at := r.target
	r.target.Timeline = cmp.Or(at.Timeline, found[0].Timeline)
	defer func() { r.target = at }()
	return r.byLSN(found[0].LSN)
}

func (r *resolver) findPoint(ctx context.Context) (found []Position, known []string, err error) {
	spans := r.everySpan()
	var all []located
	for _, s := range spans {
		for _, run := range r.h.branches[s.timeline].runs {
			for i := range run.segments {
				if seg := &run.segments[i]; seg.lo <= s.to && seg.hi >= s.from {
					all = append(all, located{timeline: s.timeline, segment: seg})
				}
			}
		}
	}
	read, err := r.look.allBounds(ctx, all)
	if err != nil {
		return nil, nil, r.look.coldEnds(err, all)
	}
	for i, b := range read {
		s := all[i].segment
		for _, p := range b.points {
			if p.LSN < s.lo || p.LSN > s.hi || !onSpans(spans, all[i].timeline, p.LSN) {
				continue
			}
			known = append(known, p.Name)
			if p.Name == r.target.Point {
				found = append(found, Position{Timeline: all[i].timeline, LSN: p.LSN, Time: microTime(p.Time)})
			}
		}
	}
	return found, known, nil
}

// everySpan is the wanted timeline's history, or all that any timeline wrote.
func (r *resolver) everySpan() []span {
	if r.target.Timeline != 0 {
		return r.h.lineage(r.target.Timeline)
	}
	var out []span
	for _, id := range r.h.timelines() {
		out = append(out, span{timeline: id, from: 1, to: lsnEnd})
	}
	return out
}

func onSpans(spans []span, tl wal.Timeline, lsn wal.LSN) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.timeline == tl && s.from <= lsn && lsn <= s.to })
}

func (r *resolver) ambiguous(reason string, choices []Position) error {
	return &AmbiguousError{Target: r.target, Reason: reason, Choices: choices}
}

func positions(tls []wal.Timeline, lsn wal.LSN) []Position {
	var out []Position
	for _, tl := range tls {
		out = append(out, Position{Timeline: tl, LSN: lsn})
	}
	return out
}
