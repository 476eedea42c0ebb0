package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

// recordStream walks over the records of one history in LSN order.
type recordStream struct {
	archives []*archive.Archive
	timeline wal.Timeline // 0: the newest
	from, to wal.LSN      // inclusive

	parts []part
}

// part is what one segment gives to the range.
type part struct {
	archive  *archive.Archive
	segment  archive.SegmentEntry
	from, to wal.LSN
}

// open finds the segments. A hole in the range is an error, told before the
// first record is printed.
func (s *recordStream) open(c *cli.Call) error {
	var epochs []archive.EpochInfo
	var windows []part
	for _, a := range s.archives {
		catalog, err := a.Catalog(c.Context())
		if err != nil {
			return err
		}
		if len(catalog.Epochs) == 0 {
			if err := c.CheckNode(a); err != nil {
				return err
			}
		}
		epochs = append(epochs, catalog.Epochs...)
		for _, w := range catalog.Windows() {
			for _, e := range w.Segments {
				windows = append(windows, part{a, e, e.From, e.To})
			}
		}
	}
	slices.SortFunc(epochs, func(x, y archive.EpochInfo) int { return cmp.Compare(x.Epoch, y.Epoch) })
	epochs = slices.CompactFunc(epochs, func(x, y archive.EpochInfo) bool { return x.Epoch == y.Epoch })
	if s.timeline == 0 {
		for _, e := range epochs {
			s.timeline = max(s.timeline, e.Timeline)
		}
	}
	branches, err := archive.Ancestry(epochs, s.timeline)
	if err != nil {
		return err
	}
	slices.SortFunc(windows, func(x, y part) int { return cmp.Compare(x.from, y.from) })
	for _, b := range branches {
		if err := s.cover(b, windows); err != nil {
			return err
		}
	}
	if len(s.parts) == 0 {
		return &cli.Error{Code: cli.CodeOutside, Err: fmt.Errorf("the archive holds no records of timeline %d in this range", s.timeline),
			Hint: "pitr-restore windows shows what it holds"}
	}
	return nil
}

// cover takes the segments of one branch that lie in the range. all is sorted
// by first LSN.
func (s *recordStream) cover(b archive.Branch, all []part) error {
	next, end := max(b.From, s.from), min(b.To, s.to)
	for _, p := range all {
		if p.segment.Timeline != b.Timeline || p.to < next {
			continue
		}
		if next > end || p.from > end {
			return nil
		}
		if p.from > next && (s.from != 0 || len(s.parts) > 0) {
			return &cli.Error{Code: cli.CodeGap, Err: fmt.Errorf("no store holds LSN %d to %d of timeline %d", next, p.from-1, b.Timeline)}
		}
		p.from, p.to = max(next, p.from), min(p.to, end)
		s.parts = append(s.parts, p)
		next = p.to + 1
	}
	return nil
}

// each calls f with every record of the range, in order.
func (s *recordStream) each(ctx context.Context, f func(*wal.Record) error) error {
	for _, p := range s.parts {
		if err := p.each(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func (p *part) each(ctx context.Context, f func(*wal.Record) error) error {
	body, err := p.archive.OpenSegment(ctx, p.segment)
	if err != nil {
		return err
	}
	defer body.Close()
	r := wal.NewSegmentReader(body, p.segment.String())
	for {
		rec, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case rec.LSN > p.to:
			return nil
		case rec.LSN < p.from:
			continue
		}
		if err := f(&rec); err != nil {
			return err
		}
	}
}
