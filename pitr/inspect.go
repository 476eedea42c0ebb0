package pitr

import (
	"context"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Inspection is what one archive's listing tells of a node's history.
type Inspection struct {
	Catalog   *archive.Catalog
	Timelines []Timeline // in order; their windows have no times
	Overlaps  []Overlap
	Fenced    []Fenced

	// End is the newest position that can be restored of the newest timeline with
	// anything in it; zero when there is none. Its time is zero when EndErr says why
	// it could not be read.
	End    Position
	EndErr error
}

// Overlap is a range of LSNs that two live segments of one epoch hold: of two
// writers, only one can have been right, and nothing in the archive says which.
type Overlap struct {
	Timeline wal.Timeline
	From, To wal.LSN
	Keys     [2]string // of the objects
}

// Fenced is what an epoch archived behind the end of its part of the history.
type Fenced struct {
	Timeline wal.Timeline
	Epoch    wal.Epoch
	From, To wal.LSN // the range that these records are in
	Segments int
}

// Inspect lists one archive. It reads no segment but the footer at the end of the
// history, and the prune log where LSNs are absent.
func Inspect(ctx context.Context, a *archive.Archive) (*Inspection, error) {
	src, h, err := survey(ctx, []*archive.Archive{a}, archive.SnapshotContents)
	if err != nil {
		return nil, err
	}
	in := &Inspection{Catalog: src.catalogs[0], Timelines: []Timeline{}}
	for _, id := range h.timelines() {
		b := h.branches[id]
		t := describe(b)
		src.describeEpochs(&t)
		for _, s := range h.reachable(id) {
			t.Windows = append(t.Windows, Window{Timeline: id, From: s.from, To: s.to})
		}
		in.Timelines = append(in.Timelines, t)
		in.disputed(h, b)
	}
	// A log that cannot be read is no answer at all: nobody is to be woken for LSNs
	// that may only have been pruned.
	if err := tellPruned(ctx, []*archive.Archive{a}, in.Timelines, readPruneLog); err != nil {
		return nil, err
	}
	return in, in.findEnd(ctx, src, h)
}

// disputed adds what more than one writer claims of a timeline.
func (in *Inspection) disputed(h *history, b *branch) {
	prefix := archive.NodePrefix(h.node)
	for _, c := range b.clashes {
		in.Overlaps = append(in.Overlaps, Overlap{Timeline: b.id, From: c.from, To: c.to, Keys: [2]string{prefix + c.a, prefix + c.b}})
	}
	for _, s := range slices.Concat(b.dead, b.segments) {
		if s.hi == s.last {
			continue
		}
		from := max(s.first, s.hi+1)
		i := slices.IndexFunc(in.Fenced, func(f Fenced) bool { return f.Timeline == b.id && f.Epoch == s.epoch })
		if i < 0 {
			in.Fenced = append(in.Fenced, Fenced{Timeline: b.id, Epoch: s.epoch, From: from, To: s.last, Segments: 1})
			continue
		}
		f := &in.Fenced[i]
		f.From, f.To, f.Segments = min(f.From, from), max(f.To, s.last), f.Segments+1
	}
}

// findEnd looks for the newest position. Only the end of ctx is an error.
func (in *Inspection) findEnd(ctx context.Context, src *sources, h *history) error {
	for _, t := range slices.Backward(in.Timelines) {
		if t.LastLSN == 0 {
			continue // claimed, and nothing archived yet
		}
		if n := len(t.Windows); n > 0 {
			at := Position{Timeline: t.Timeline, LSN: t.Windows[n-1].To}
			in.End, in.EndErr = newLookup(src).position(ctx, h, at.Timeline, at.LSN)
			if in.EndErr != nil {
				in.End = at
			}
		}
		return ctx.Err()
	}
	return nil
}
