package pitr

import (
	"context"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// standing is how a timeline stands to a time.
type standing uint8

const (
	before standing = iota // history begins after the time
	inside                 // a later record proves what the state was
	live                   // inside, and this timeline was being written
	beyond                 // nothing later was archived, so more may be missing
)

// moment is where a time falls in one history.
type moment struct {
	resolved
	standing standing
	began    int64 // time of the timeline's own first record, µs; 0: none
	lost     *hole // the time falls into LSNs that are not there
}

// byTime finds the last record that is not after the time. Without a timeline
// it takes the one that was being written then; a time between two timelines
// is taken only if they agree.
func (r *resolver) byTime(ctx context.Context) (resolved, error) {
	ids := r.h.timelines()
	if r.target.Timeline != 0 {
		ids = []wal.Timeline{r.target.Timeline}
	}
	var all []moment
	for _, id := range ids {
		m, err := r.moment(ctx, id)
		if err != nil {
			return resolved{}, err
		}
		all = append(all, m)
	}
	us := r.target.microsMax()
	if got := pick(all, func(_ int, m moment) bool { return m.standing == live }); len(got) > 0 {
		return r.single(ctx, got)
	}
	// An abandoned timeline speaks for a time only until the next one began.
	got := pick(all, func(i int, m moment) bool {
		superseded := slices.ContainsFunc(all[i+1:], func(later moment) bool { return later.began != 0 && later.began <= us })
		return m.standing == inside || m.standing == beyond && !superseded
	})
	if slices.ContainsFunc(got, func(m moment) bool { return m.standing == inside }) {
		return r.single(ctx, got)
	}
	return resolved{}, r.timeOutside(ctx)
}

func pick(all []moment, want func(int, moment) bool) []moment {
	var out []moment
	for i, m := range all {
		if want(i, m) {
			out = append(out, m)
		}
	}
	return out
}

// single refuses moments that disagree on the position.
func (r *resolver) single(ctx context.Context, got []moment) (resolved, error) {
	for _, m := range got {
		if m.lost != nil {
			return resolved{}, &GapError{Target: r.target, Timeline: m.lost.timeline, From: m.lost.from, To: m.lost.to,
				Declared: r.h.declared(m.lost), Nearest: r.h.nearest(m.leaf, m.lost.from)}
		}
	}
	var choices []Position
	for _, m := range got {
		at := Position{Timeline: m.owner, LSN: m.lsn}
		if slices.Contains(choices, at) {
			continue
		}
		choices = append(choices, at)
	}
	if len(choices) > 1 {
		for i := range choices {
			at, err := r.look.timeOf(ctx, r.h, choices[i].Timeline, choices[i].LSN)
			if err != nil {
				return resolved{}, err
			}
			choices[i].Time = microTime(at)
		}
		return resolved{}, r.ambiguous("several timelines have an answer", choices)
	}
	return got[0].resolved, nil
}

// moment finds where the target's time falls in the history of leaf.
func (r *resolver) moment(ctx context.Context, leaf wal.Timeline) (moment, error) {
	us := r.target.microsMax()
	spans := r.h.lineage(leaf)
	out := moment{resolved: resolved{leaf: leaf}, standing: before}
	for i := len(spans) - 1; i >= 0; i-- {
		s := spans[i]
		segs := r.h.branches[s.timeline].within(s)
		if len(segs) == 0 {
			continue
		}
		first, _, err := r.look.span(ctx, r.h, s.timeline, &segs[0])
		if err != nil {
			return moment{}, err
		}
		if s.timeline == leaf {
			out.began = first
		}
		if first > us {
			out.standing = inside // if an older span has an answer
			continue
		}
		at, err := r.withinSpan(ctx, s, segs, us)
		if err != nil {
			return moment{}, err
		}
		out.owner, out.lsn, out.lost = s.timeline, at.lsn, at.lost
		switch {
		case at.standing == beyond && out.standing == before:
			out.standing = beyond
		case s.timeline == leaf:
			out.standing = live
		default:
			out.standing = inside
		}
		return out, nil
	}
	return r.beforeFirst(ctx, spans, out, us)
}

// beforeFirst: no record is old enough, but a base may be.
func (r *resolver) beforeFirst(ctx context.Context, spans []span, out moment, us int64) (moment, error) {
	out.standing = before
	for _, s := range spans {
		b := r.h.branches[s.timeline]
		segs := b.within(s)
		for i := range b.bases {
			at := &b.bases[i]
			if len(segs) > 0 && at.lsn+1 != segs[0].lo {
				continue
			}
			when, err := r.look.src.baseTime(ctx, at)
			if err != nil {
				return moment{}, err
			}
			if when != 0 && when <= us && len(segs) > 0 {
				out.owner, out.lsn, out.standing = s.timeline, at.lsn, inside
			}
		}
		if len(segs) > 0 {
			break
		}
	}
	return out, nil
}

// withinSpan finds the last record not after us among segs, whose first record
// is not after us.
func (r *resolver) withinSpan(ctx context.Context, s span, segs []segment, us int64) (moment, error) {
	lo, hi := r.look.bracket(segs, us) // segs[lo] begins at or before us, segs[hi] after
	for lo+1 < hi {
		mid := (lo + hi) / 2
		first, _, err := r.look.span(ctx, r.h, s.timeline, &segs[mid])
		if err != nil {
			return moment{}, r.look.coldEnds(err, allOf(s.timeline, segs[lo:hi]))
		}
		if first <= us {
			lo = mid
		} else {
			hi = mid
		}
	}
	seg := &segs[lo]
	_, last, err := r.look.span(ctx, r.h, s.timeline, seg)
	if err != nil {
		return moment{}, err
	}
	if last > us {
		lsn, _, err := r.look.lastUpTo(ctx, seg, us)
		return moment{resolved: resolved{lsn: lsn}, standing: live}, err
	}
	out := moment{resolved: resolved{lsn: seg.hi}, standing: live}
	switch {
	case hi == len(segs) && last < us && s.to == lsnEnd:
		out.standing = beyond
	case hi < len(segs) && segs[hi].lo != seg.hi+1:
		out.lost = &hole{timeline: s.timeline, from: seg.hi + 1, to: segs[hi].lo - 1}
	case hi == len(segs) && s.to != lsnEnd && seg.hi < s.to:
		out.lost = &hole{timeline: s.timeline, from: seg.hi + 1, to: s.to}
	}
	return out, nil
}

// within lists the live segments of the branch that lie in s, cut to it.
func (b *branch) within(s span) []segment {
	var out []segment
	for _, r := range b.runs {
		for _, seg := range r.segments {
			if seg.hi < s.from || seg.lo > s.to {
				continue
			}
			seg.lo, seg.hi = max(seg.lo, s.from), min(seg.hi, s.to)
			out = append(out, seg)
		}
	}
	return out
}

// timeOutside refuses with the positions whose times are nearest.
func (r *resolver) timeOutside(ctx context.Context) error {
	want := r.target.Time
	var near Nearest
	for _, s := range r.h.candidates(r.target.Timeline) {
		for _, lsn := range []wal.LSN{s.from, s.to} {
			p, err := r.look.shown(ctx, r.h, s.timeline, lsn)
			if err != nil {
				return err
			}
			if p.Time.IsZero() {
				continue
			}
			if !p.Time.After(want) && (near.Before == nil || p.Time.After(near.Before.Time)) {
				near.Before = &p
			}
			if p.Time.After(want) && (near.After == nil || p.Time.Before(near.After.Time)) {
				near.After = &p
			}
		}
	}
	reason := "the archive begins later"
	if near.After == nil {
		reason = "nothing that late was archived, so records before that time may be missing"
	}
	if near.Before != nil && near.After != nil {
		reason = "no timeline that was archived spans it"
	}
	return &OutOfWindowError{Target: r.target, Reason: reason, Nearest: near}
}

func microTime(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
