package pitr

import (
	"context"
	"errors"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// bounds is what the footer of a segment tells about its records.
type bounds struct {
	first, last int64 // times, µs since the Unix epoch
	points      []wal.Point
}

// lookup reads what names do not tell, and keeps it. It may be used by many
// goroutines.
type lookup struct {
	src *sources

	mu struct {
		sync.Mutex
		known    map[string]bounds
		requests int
	}
}

func newLookup(src *sources) *lookup {
	l := &lookup{src: src}
	l.mu.known = make(map[string]bounds)
	return l
}

// bounds reads the footer of a segment. The times are those of the whole
// object, also when a part of it is no longer history.
func (l *lookup) bounds(ctx context.Context, s *segment) (bounds, error) {
	l.mu.Lock()
	b, ok := l.mu.known[s.key]
	l.mu.Unlock()
	if ok {
		return b, nil
	}
	b, err := l.src.segmentBounds(ctx, s)
	if err != nil {
		return bounds{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.known[s.key] = b
	return b, nil
}

// timeOf is the time of the record lsn, 0 when no segment holds it.
func (l *lookup) timeOf(ctx context.Context, h *history, tl wal.Timeline, lsn wal.LSN) (int64, error) {
	b := h.branches[tl]
	if b == nil {
		return 0, nil
	}
	s := b.segmentWith(lsn)
	if s == nil {
		return 0, nil
	}
	if lsn == s.first || lsn == s.last {
		at, err := l.bounds(ctx, s)
		if lsn == s.first {
			return at.first, err
		}
		return at.last, err
	}
	var found int64
	err := l.src.scan(ctx, s, func(r *wal.Record) bool {
		if r.LSN == lsn {
			found = r.Time
		}
		return r.LSN < lsn
	})
	return found, err
}

// lastUpTo is the newest record of the history part of s whose time is at most
// us; 0 when there is none.
func (l *lookup) lastUpTo(ctx context.Context, s *segment, us int64) (lsn wal.LSN, at int64, err error) {
	err = l.src.scan(ctx, s, func(r *wal.Record) bool {
		if r.Time > us || r.LSN > s.hi {
			return false
		}
		if r.LSN >= s.lo {
			lsn, at = r.LSN, r.Time
		}
		return true
	})
	return lsn, at, err
}

// span is the first and last time of the history part of s.
func (l *lookup) span(ctx context.Context, h *history, tl wal.Timeline, s *segment) (first, last int64, err error) {
	b, err := l.bounds(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	first, last = b.first, b.last
	if s.lo != s.first {
		if first, err = l.timeOf(ctx, h, tl, s.lo); err != nil {
			return 0, 0, err
		}
	}
	if s.hi != s.last {
		last, err = l.timeOf(ctx, h, tl, s.hi)
	}
	return first, last, err
}

// bracket narrows a search among segs by what snapshots say, without a request:
// the answer is in segs[lo:hi], of which the first begins at or before us.
func (l *lookup) bracket(segs []segment, us int64) (lo, hi int) {
	hi = len(segs)
	for i := range segs {
		b, ok := l.src.knownBounds(&segs[i])
		switch {
		case !ok || i == 0 || segs[i].lo != segs[i].first:
		case b.first <= us:
			lo = i
		default:
			return lo, i
		}
	}
	return lo, hi
}

// located is a segment and where it was written.
type located struct {
	timeline wal.Timeline
	segment  *segment
}

// lookupParallel bounds the footers that are read at a time.
const lookupParallel = 16

// allBounds reads many footers; the answers are in the order of all.
func (l *lookup) allBounds(ctx context.Context, all []located) ([]bounds, error) {
	out := make([]bounds, len(all))
	err := parallel(ctx, lookupParallel, len(all), func(ctx context.Context, i int) (err error) {
		out[i], err = l.bounds(ctx, all[i].segment)
		return err
	})
	return out, err
}

// shown is position for people: a time that only cold storage knows is left out.
func (l *lookup) shown(ctx context.Context, h *history, tl wal.Timeline, lsn wal.LSN) (Position, error) {
	p, err := l.position(ctx, h, tl, lsn)
	if errors.Is(err, archive.ErrCold) {
		err = nil
	}
	return p, err
}

// position fills in the time of an LSN, from whatever knows it.
func (l *lookup) position(ctx context.Context, h *history, tl wal.Timeline, lsn wal.LSN) (Position, error) {
	p := Position{Timeline: tl, LSN: lsn}
	b := h.branches[tl]
	for i := range b.bases {
		if b.bases[i].lsn != lsn {
			continue
		}
		us, err := l.src.baseTime(ctx, &b.bases[i])
		if err == nil && us != 0 {
			p.Time = microTime(us)
			return p, nil
		}
	}
	us, err := l.timeOf(ctx, h, tl, lsn)
	if err == nil {
		p.Time = microTime(us)
	}
	return p, err
}
