package archive

import (
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// Window is a range of LSNs of one timeline that its segments cover without a
// hole. From and To are inclusive.
type Window struct {
	Timeline wal.Timeline
	From, To wal.LSN
	Segments []SegmentEntry // each cut to what it alone gives: From and To touch
}

// Windows joins the segments of each timeline, leaving out what dead epochs
// wrote. Where two segments hold the same LSN, the one of the later epoch
// counts. They are ordered by timeline and LSN.
func (c *Catalog) Windows() []Window {
	var out []Window
	var live []SegmentEntry
	for i, s := range c.Segments {
		if !s.Dead() {
			live = append(live, s)
		}
		if last := i == len(c.Segments)-1; last || c.Segments[i+1].Timeline != s.Timeline {
			out = append(out, join(live)...)
			live = live[:0]
		}
	}
	return out
}

// join makes the windows of one timeline.
func join(live []SegmentEntry) []Window {
	slices.SortStableFunc(live, func(x, y SegmentEntry) int {
		if x.From != y.From {
			return compareLSN(x.From, y.From)
		}
		// The later epoch first; of one epoch, whatever reaches further.
		if x.Epoch != y.Epoch {
			return -compareLSN(wal.LSN(x.Epoch), wal.LSN(y.Epoch))
		}
		return -compareLSN(x.To, y.To)
	})
	var out []Window
	for _, s := range live {
		n := len(out)
		if n == 0 || s.From > out[n-1].To+1 {
			out = append(out, Window{Timeline: s.Timeline, From: s.From, To: s.To, Segments: []SegmentEntry{s}})
			continue
		}
		w := &out[n-1]
		if s.To <= w.To {
			continue // nothing new in it
		}
		s.From = w.To + 1
		w.Segments = append(w.Segments, s)
		w.To = s.To
	}
	return out
}

func compareLSN(x, y wal.LSN) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// LSNMax is the highest LSN that anything in the archive speaks of; a
// restored node writes above it (law 9).
func (c *Catalog) LSNMax() wal.LSN {
	var lsn wal.LSN
	for _, s := range c.Segments {
		lsn = max(lsn, s.Last)
	}
	for _, p := range c.Packs {
		lsn = max(lsn, p.Last)
	}
	for _, b := range c.Bases {
		lsn = max(lsn, b.LSN)
	}
	for _, g := range c.Gaps {
		lsn = max(lsn, g.Last)
	}
	for _, e := range c.Epochs {
		lsn = max(lsn, e.FirstLSN-1)
	}
	return lsn
}
