package retain

import (
	"cmp"
	"math"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

const lsnEnd = wal.LSN(math.MaxUint64)

// span is LSNs from..to (inclusive) of one timeline.
type span struct {
	timeline wal.Timeline
	from, to wal.LSN
}

// branch is one timeline: what was written on it.
type branch struct {
	parent      wal.Timeline
	fork, first wal.LSN
	lastEpoch   wal.Epoch
	runs        []span
}

// history is the facts in order.
type history struct {
	f        *Facts
	branches map[wal.Timeline]*branch
}

func newHistory(f *Facts) *history {
	h := &history{f: f, branches: make(map[wal.Timeline]*branch)}
	for _, e := range f.Epochs {
		b := h.branch(e.Timeline)
		if b.first == 0 || e.FirstLSN < b.first {
			b.first = e.FirstLSN
		}
		b.lastEpoch = max(b.lastEpoch, e.Epoch)
		if e.ParentTimeline != 0 {
			b.parent, b.fork = e.ParentTimeline, e.ForkLSN
		}
	}
	live := make(map[wal.Timeline][]span)
	for _, s := range f.Segments {
		if !s.Dead() {
			live[s.Timeline] = append(live[s.Timeline], span{s.Timeline, s.From, s.To})
		}
	}
	for tl, spans := range live {
		h.branch(tl).runs = join(spans)
	}
	for _, b := range f.Bases {
		h.branch(b.Timeline)
	}
	for _, b := range h.branches {
		if b.first == 0 && len(b.runs) > 0 {
			b.first = b.runs[0].from
		}
	}
	return h
}

func (h *history) branch(tl wal.Timeline) *branch {
	if h.branches[tl] == nil {
		h.branches[tl] = &branch{}
	}
	return h.branches[tl]
}

func join(spans []span) []span {
	slices.SortFunc(spans, func(x, y span) int { return cmp.Or(cmp.Compare(x.from, y.from), cmp.Compare(x.to, y.to)) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to+1 {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// lineage is the history of leaf, root first; the last span is open.
func (h *history) lineage(leaf wal.Timeline) []span {
	var out []span
	to := lsnEnd
	for tl := leaf; tl != 0; {
		b := h.branches[tl]
		if b == nil || len(out) > len(h.branches) { // unknown, or a circle
			break
		}
		if b.first <= to {
			out = append(out, span{tl, max(b.first, 1), to})
		}
		to, tl = min(to, b.fork), b.parent
	}
	slices.Reverse(out)
	return out
}

// slice cuts a lineage to LSNs from..to. LSNs grow along a lineage.
func slice(line []span, from, to wal.LSN) []span {
	var out []span
	for _, s := range line {
		s.from, s.to = max(s.from, from), min(s.to, to)
		if s.from <= s.to {
			out = append(out, s)
		}
	}
	return out
}

// covered tells whether segments hold every LSN of the spans.
func (h *history) covered(spans []span) bool {
	for _, s := range spans {
		in := func(r span) bool { return r.from <= s.from && s.to <= r.to }
		if !slices.ContainsFunc(h.branches[s.timeline].runs, in) {
			return false
		}
	}
	return true
}

// on tells whether a position is part of a lineage.
func on(line []span, tl wal.Timeline, lsn wal.LSN) bool {
	return slices.ContainsFunc(line, func(s span) bool { return s.timeline == tl && s.from <= lsn && lsn <= s.to })
}

// point is a base on a lineage that is whole: manifest, contents, and the log
// that its files need.
type point struct {
	Base
	low wal.LSN // replay goes on after it
}

func (h *history) points(line []span) []point {
	var out []point
	for _, b := range h.f.Bases {
		// The first base of a timeline may lie at the LSN before its own first.
		if !on(line, b.Timeline, b.LSN) && !on(line, b.Timeline, b.LSN+1) || !h.f.whole(b.Manifest) {
			continue
		}
		p := point{b, b.LSN}
		for _, v := range b.Manifest.VShards {
			p.low = min(p.low, v.Applied)
		}
		if h.covered(slice(line, p.low+1, b.LSN)) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y point) int { return cmp.Or(cmp.Compare(x.LSN, y.LSN), cmp.Compare(x.ID, y.ID)) })
	return out
}

// whole tells whether everything that a manifest names is there.
func (f *Facts) whole(m *archive.Manifest) bool {
	if m == nil {
		return false
	}
	for i := range m.VShards {
		for j := range m.VShards[i].Files {
			k, err := m.VShards[i].Files[j].Object()
			if err != nil || !f.Contents[k.SHA256] {
				return false
			}
		}
	}
	return true
}
