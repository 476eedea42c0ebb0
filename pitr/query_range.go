package pitr

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// piece is a stretch of LSNs of one timeline: in a segment, or in none.
type piece struct {
	timeline wal.Timeline
	from, to wal.LSN
	segment  *segment // nil: a hole
	// next is the last LSN up to which segments follow a hole in this timeline.
	next wal.LSN
}

// limits turns the range into LSNs of the history of leaf.
func (q *Query) limits(ctx context.Context, leaf wal.Timeline, r Range) (from, to wal.LSN, err error) {
	from, to = max(r.From.LSN, 1), r.To.LSN
	if !r.From.Time.IsZero() {
		at, err := q.atTime(ctx, Target{Time: r.From.Time, Exclusive: true, Timeline: leaf})
		if err != nil {
			return 0, 0, err
		}
		from = at.lsn + 1
	}
	switch {
	case !r.To.Time.IsZero():
		t := Target{Time: r.To.Time, Timeline: leaf}
		at, err := q.atTime(ctx, t)
		if err != nil {
			return 0, 0, err
		}
		if at.lsn == 0 {
			return 0, 0, (&resolver{h: q.h, look: q.look, target: t}).timeOutside(ctx)
		}
		to = at.lsn
	case to == 0:
		to = lsnEnd
	}
	if from > to {
		return 0, 0, fmt.Errorf("%w: the range ends at LSN %d, before it begins at LSN %d", ErrTarget, uint64(to), uint64(from))
	}
	return from, to, nil
}

// atTime is the last record not after the time, in the history of one timeline;
// LSN 0 when there is none.
func (q *Query) atTime(ctx context.Context, t Target) (moment, error) {
	return (&resolver{h: q.h, look: q.look, target: t}).moment(ctx, t.Timeline)
}

// pieces cuts from..to of the history of leaf into segments and holes, in order.
func (q *Query) pieces(leaf wal.Timeline, from, to wal.LSN) ([]piece, error) {
	var out []piece
	for i, s := range q.h.lineage(leaf) {
		b := q.h.branches[s.timeline]
		if i == 0 && s.from > 1 && from < s.from { // its parent is not in these archives
			out = append(out, piece{timeline: s.timeline, from: from, to: min(s.from-1, to)})
		}
		if s.to == lsnEnd {
			s.to = b.last() // nobody knows what comes after it
		}
		s.from, s.to = max(s.from, from), min(s.to, to)
		if s.from > s.to {
			continue
		}
		clashed := slices.IndexFunc(b.clashes, func(c clash) bool { return c.from <= s.to && c.to >= s.from })
		if clashed >= 0 {
			return nil, ambiguousClash(Target{LSN: b.clashes[clashed].from, Timeline: leaf}, &b.clashes[clashed])
		}
		out = b.cut(out, s)
	}
	if len(out) == 0 {
		near := q.h.nearest(leaf, from)
		err := &OutOfWindowError{Target: Target{LSN: from, Timeline: leaf}, Nearest: near, Reason: "no records of the range are archived"}
		return nil, q.unknownStore("look for records", err)
	}
	return out, nil
}

// cut adds the pieces of one span.
func (b *branch) cut(out []piece, s span) []piece {
	next := s.from
	hole := -1
	segs := b.within(s)
	for i := range segs {
		seg := &segs[i]
		if seg.lo > next {
			hole = len(out)
			out = append(out, piece{timeline: b.id, from: next, to: seg.lo - 1})
		} else if i == 0 {
			hole = -1
		}
		out = append(out, piece{timeline: b.id, from: seg.lo, to: seg.hi, segment: seg})
		if hole >= 0 {
			out[hole].next = seg.hi
		}
		next = seg.hi + 1
	}
	if next <= s.to {
		out = append(out, piece{timeline: b.id, from: next, to: s.to})
	}
	return out
}

// holes tells whether a piece is in no segment.
func holes(all []piece) bool {
	return slices.ContainsFunc(all, func(p piece) bool { return p.segment == nil })
}
