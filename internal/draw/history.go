package draw

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// History is what is drawn.
type History struct {
	Node     string
	From, To wal.LSN // of all rows
	Rows     []Row   // by timeline
}

// Row is one timeline.
type Row struct {
	Timeline, Parent  wal.Timeline
	Fork, First, Last wal.LSN
	Spans             []Span // by LSN, not overlapping
	Bases             []wal.LSN
	Points            []Mark
}

// Kind is what can be said of a span.
type Kind int

// Kinds, from good to bad.
const (
	Kept    Kind = iota // each LSN can be restored
	Stale               // archived, but nothing leads to it
	Pruned              // deleted by retention
	Lost                // declared lost
	Missing             // absent, and neither a gap object nor the prune log says why
)

// Span is a range of LSNs, inclusive; times are zero when unknown.
type Span struct {
	Kind             Kind
	From, To         wal.LSN
	FromTime, ToTime time.Time
}

// Mark is a named LSN.
type Mark struct {
	Timeline wal.Timeline
	Name     string
	LSN      wal.LSN
}

// New arranges what an archive holds.
func New(d *pitr.Description, points []Mark) *History {
	h := &History{Node: d.NodeID}
	for i := range d.Timelines {
		t := &d.Timelines[i]
		r := Row{Timeline: t.Timeline, Parent: t.Parent, Fork: t.ForkLSN, First: max(t.FirstLSN, 1), Last: t.LastLSN}
		for _, w := range t.Windows {
			r.Spans = append(r.Spans, Span{Kept, w.From, w.To, w.FromTime, w.ToTime})
		}
		for _, g := range t.Gaps {
			r.Spans = append(r.Spans, Span{Kind: Lost, From: g.From, To: g.To})
			r.Last = max(r.Last, g.To)
		}
		for _, g := range t.Missing {
			r.Spans = append(r.Spans, Span{Kind: Missing, From: g.From, To: g.To})
		}
		for _, g := range t.Pruned {
			r.Spans = append(r.Spans, Span{Kind: Pruned, From: g.From, To: g.To})
		}
		for _, b := range t.Bases {
			r.Bases = append(r.Bases, b.LSN)
		}
		for _, p := range points {
			if p.Timeline == r.Timeline {
				r.Points = append(r.Points, p)
			}
		}
		r.fill()
		h.Rows = append(h.Rows, r)
		if h.From == 0 || r.First < h.From {
			h.From = r.First
		}
		h.To = max(h.To, r.First, r.Last)
	}
	return h
}

// fill puts the spans in order and names what lies between them: it is
// archived, or it would be missing.
func (r *Row) fill() {
	slices.SortFunc(r.Spans, func(a, b Span) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Kind, b.Kind)) })
	var out []Span
	next := r.First
	for _, s := range r.Spans {
		if s.To < next {
			continue
		}
		if s.From > next {
			out = append(out, Span{Kind: Stale, From: next, To: s.From - 1})
		}
		if s.From < next {
			s.From, s.FromTime = next, time.Time{}
		}
		out, next = append(out, s), s.To+1
	}
	if next <= r.Last {
		out = append(out, Span{Kind: Stale, From: next, To: r.Last})
	}
	r.Spans = out
}

// has tells whether a span of that kind is drawn.
func (h *History) has(kind Kind) bool {
	return slices.ContainsFunc(h.Rows, func(r Row) bool {
		return slices.ContainsFunc(r.Spans, func(s Span) bool { return s.Kind == kind })
	})
}

// timeAt is about when an LSN was written, zero when nothing tells.
func (h *History) timeAt(lsn wal.LSN) time.Time {
	for _, r := range h.Rows {
		for _, s := range r.Spans {
			if s.From > lsn || lsn > s.To || s.FromTime.IsZero() || s.ToTime.IsZero() {
				continue
			}
			if s.From == s.To {
				return s.FromTime
			}
			part := float64(lsn-s.From) / float64(s.To-s.From)
			return s.FromTime.Add(time.Duration(part * float64(s.ToTime.Sub(s.FromTime))))
		}
	}
	return time.Time{}
}

// ticks are round LSNs of the axis, about n of them, the first and the last LSN
// included.
func (h *History) ticks(n int) []wal.LSN {
	if h.To <= h.From {
		return []wal.LSN{h.From}
	}
	out := []wal.LSN{h.From}
	step := round(uint64(h.To-h.From) / uint64(max(n, 2)-1))
	for at := (uint64(h.From)/step + 1) * step; at < uint64(h.To); at += step {
		// The ends have labels of their own; a tick needs room beside them.
		if at-uint64(h.From) >= step/2 && uint64(h.To)-at >= step/2 {
			out = append(out, wal.LSN(at))
		}
	}
	return append(out, h.To)
}

// round is the least of 1, 2, 5, 10, 20 … that is not below n.
func round(n uint64) uint64 {
	for unit := uint64(1); ; unit *= 10 {
		for _, f := range []uint64{1, 2, 5} {
			if f*unit >= n {
				return f * unit
			}
		}
	}
}

// clock is the layout of an axis's times: as short as they can be told apart.
func (h *History) clock() (layout string) {
	var first, last time.Time
	for _, r := range h.Rows {
		for _, s := range r.Spans {
			if !s.FromTime.IsZero() && (first.IsZero() || s.FromTime.Before(first)) {
				first = s.FromTime
			}
			if s.ToTime.After(last) {
				last = s.ToTime
			}
		}
	}
	switch took := last.Sub(first); {
	case took > 20*24*time.Hour:
		return "2006-01-02"
	case took > 20*time.Hour:
		return "01-02 15:04"
	}
	return "15:04:05"
}
