package pitr

import (
	"cmp"
	"math"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// lsnEnd is above every LSN: the open end of a history.
const lsnEnd = wal.LSN(math.MaxUint64)

// history is what the listings of a node's archives say, merged. It is built
// once and never changes, so the planner that works on it does no I/O.
type history struct {
	node     string
	branches map[wal.Timeline]*branch

	// lsnMax is the highest LSN that any object of any timeline speaks of; a
	// restored node writes above it (law 9).
	lsnMax wal.LSN
}

// branch is one timeline: what was written on it, not what it inherited.
type branch struct {
	id     wal.Timeline
	parent wal.Timeline // 0: a root
	fork   wal.LSN      // last LSN inherited from parent
	first  wal.LSN      // first LSN that was written here; 0: unknown

	epochs   []epochStart // by epoch
	segments []segment    // live ones, clipped by the dead-epoch rule; by lo
	dead     []segment    // wholly dead ones
	runs     []run        // contiguous stretches of segments
	clashes  []clash
	bases    []base // by LSN
	gaps     []gap
}

type epochStart struct {
	epoch wal.Epoch
	first wal.LSN
}

// segment is one object under wal/. lo to hi (inclusive) is the part of it that
// is history; records above hi were written by a fenced epoch.
type segment struct {
	key         string // of its content, below the node's prefix
	name        string // of the first object that holds it, below the node's prefix
	timeline    wal.Timeline
	epoch       wal.Epoch
	first, last wal.LSN // as the name says
	lo, hi      wal.LSN
	bytes       int64                // stored size
	stores      []int                // which archives hold it, by index; those that must thaw it come last
	class       archive.StorageClass // in the first of them
}

func (s *segment) clipped() bool { return s.hi < s.last }

type base struct {
	key      string // key of the manifest
	id       string
	timeline wal.Timeline
	lsn      wal.LSN // the cut
	low      wal.LSN // what every vshard has applied: replay goes on after it
	stores   []int
	class    archive.StorageClass  // of the manifest, in the first of stores
	summary  *archive.SnapshotBase // nil: read the manifest
}

// clash: two live segments of one epoch hold from..to. Only one writer can have
// been right, and nothing in the archive says which.
type clash struct {
	from, to wal.LSN
	a, b     string // keys
}

type gap struct {
	key      string
	from, to wal.LSN
}

// run is a stretch from..to that segments cover without a hole.
type run struct {
	from, to wal.LSN
	segments []segment
}

// finish computes what is derived, after all objects were added.
func (h *history) finish() {
	for _, b := range h.branches {
		b.finish()
	}
}

func (b *branch) finish() {
	slices.SortFunc(b.epochs, func(x, y epochStart) int { return cmp.Compare(x.epoch, y.epoch) })
	slices.SortFunc(b.bases, func(x, y base) int { return cmp.Or(cmp.Compare(x.lsn, y.lsn), cmp.Compare(x.id, y.id)) })
	slices.SortFunc(b.gaps, func(x, y gap) int { return cmp.Compare(x.from, y.from) })
	live := make([]segment, 0, len(b.segments))
	for _, s := range b.segments {
		s.lo, s.hi = s.first, min(s.last, b.deadFrom(s.epoch)-1)
		if s.hi < s.lo {
			b.dead = append(b.dead, s)
			continue
		}
		live = append(live, s)
	}
	// At one start the natural end goes before a clipped one, then the longer:
	// the segment that the later epoch's hash chain refers to comes first.
	slices.SortFunc(live, func(x, y segment) int {
		return cmp.Or(cmp.Compare(x.lo, y.lo), compareBool(x.clipped(), y.clipped()),
			cmp.Compare(y.hi, x.hi), cmp.Compare(y.epoch, x.epoch), cmp.Compare(x.key, y.key))
	})
	b.segments = live
	if b.first == 0 && len(live) > 0 {
		b.first = live[0].lo
	}
	b.findRuns()
}

// deadFrom is the first LSN at which segments of epoch e are no longer history:
// the lowest first LSN of a later epoch of this timeline.
func (b *branch) deadFrom(e wal.Epoch) wal.LSN {
	dead := lsnEnd
	for _, later := range b.epochs {
		if later.epoch > e {
			dead = min(dead, later.first)
		}
	}
	return dead
}

// findRuns walks the live segments by LSN and joins what touches.
func (b *branch) findRuns() {
	for _, s := range b.segments {
		n := len(b.runs)
		if n == 0 || s.lo > b.runs[n-1].to+1 {
			b.runs = append(b.runs, run{from: s.lo, to: s.hi, segments: []segment{s}})
			continue
		}
		r := &b.runs[n-1]
		prev := &r.segments[len(r.segments)-1]
		if s.lo <= prev.hi && s.epoch == prev.epoch && !s.clipped() && !prev.clipped() {
			b.clashes = append(b.clashes, clash{from: s.lo, to: min(s.hi, prev.hi), a: prev.key, b: s.key})
		}
		if s.hi <= r.to {
			continue // nothing new in it
		}
		s.lo = r.to + 1
		r.segments = append(r.segments, s)
		r.to = s.hi
	}
}

// runWith is the run that holds lsn, nil if none does.
func (b *branch) runWith(lsn wal.LSN) *run {
	i, found := slices.BinarySearchFunc(b.runs, lsn, func(r run, l wal.LSN) int {
		switch {
		case r.to < l:
			return -1
		case r.from > l:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &b.runs[i]
}

// last is the highest LSN that was archived on this timeline, 0 if none was.
func (b *branch) last() wal.LSN {
	var last wal.LSN
	if n := len(b.runs); n > 0 {
		last = b.runs[n-1].to
	}
	if n := len(b.bases); n > 0 {
		last = max(last, b.bases[n-1].lsn)
	}
	return last
}

// span is the part of one timeline that belongs to a history: LSNs from..to.
type span struct {
	timeline wal.Timeline
	from, to wal.LSN
}

// lineage is the history of timeline leaf, root first. The last span is open
// (to is the maximum); the others end at the fork that left them.
func (h *history) lineage(leaf wal.Timeline) []span {
	var spans []span
	to := lsnEnd
	for id := leaf; id != 0; {
		b := h.branches[id]
		if b == nil {
			break // its objects are not in these archives: history begins at its child
		}
		if b.first <= to {
			spans = append(spans, span{timeline: id, from: max(b.first, 1), to: to})
		}
		to = min(to, b.fork)
		id = b.parent // always lower: checked when the epoch objects are read
	}
	slices.Reverse(spans)
	return spans
}

// spanWith is the index of the span that holds lsn, -1 if none does.
func spanWith(spans []span, lsn wal.LSN) int {
	return slices.IndexFunc(spans, func(s span) bool { return s.from <= lsn && lsn <= s.to })
}

// timelines are the known ones in order.
func (h *history) timelines() []wal.Timeline {
	ids := make([]wal.Timeline, 0, len(h.branches))
	for id := range h.branches {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

// segmentWith is the segment whose history part holds lsn, nil if none does.
func (b *branch) segmentWith(lsn wal.LSN) *segment {
	r := b.runWith(lsn)
	if r == nil {
		return nil
	}
	for i := range r.segments {
		if s := &r.segments[i]; s.lo <= lsn && lsn <= s.hi {
			return s
		}
	}
	return nil
}

// declared is the key of the gap object that covers a part of the hole.
func (h *history) declared(m *hole) string {
	b := h.branches[m.timeline]
	if b == nil {
		return ""
	}
	for _, g := range b.gaps {
		if g.from <= m.to && g.to >= m.from {
			return g.key
		}
	}
	return ""
}
