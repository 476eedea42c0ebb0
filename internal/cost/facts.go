package cost

import (
	"context"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Facts are what an archive holds and how it grows.
type Facts struct {
	Segments     int   `json:"segments"`
	SegmentBytes int64 `json:"segment_bytes"`
	// What of the log is stored: objects of segments, and packs.
	LogObjects int     `json:"log_objects"`
	LogBytes   int64   `json:"log_bytes"`
	Others     int     `json:"other_objects"` // contents of bases and small documents
	OtherBytes int64   `json:"other_bytes"`
	Days       float64 `json:"days"` // between its first and last segment, at least one
	// A restore to the end reads these.
	RestoreObjects int   `json:"restore_objects"`
	RestoreBytes   int64 `json:"restore_bytes"`
}

// Count reads the listing of an archive and the manifest of its newest base.
func Count(ctx context.Context, a *archive.Archive) (Facts, error) {
	var f Facts
	c, err := a.CatalogWith(ctx, archive.SnapshotContents)
	if err != nil {
		return f, err
	}
	var first, last time.Time
	for _, s := range c.Segments {
		f.Segments++
		f.SegmentBytes += s.Size
		if !s.PackedOnly {
			f.LogObjects++
			f.LogBytes += s.Size
		}
		if first.IsZero() || s.ModTime.Before(first) {
			first = s.ModTime
		}
		if s.ModTime.After(last) {
			last = s.ModTime
		}
	}
	for _, p := range c.Packs {
		f.LogObjects++
		f.LogBytes += p.Size
	}
	f.Days = max(1, last.Sub(first).Hours()/24)
	for _, o := range c.Bases {
		f.other(o.Object)
	}
	for _, o := range c.Claims {
		f.other(o.Object)
	}
	for _, o := range c.Catalogs {
		f.other(o.Object)
	}
	err = a.Objects(ctx, func(o archive.ObjEntry) error {
		f.other(o.Object)
		return nil
	})
	if err != nil {
		return f, err
	}
	return f, f.restore(ctx, a, c)
}

func (f *Facts) other(o archive.Object) {
	f.Others++
	f.OtherBytes += o.Size
}

func (f *Facts) restore(ctx context.Context, a *archive.Archive, c *archive.Catalog) error {
	var from wal.LSN
	var timeline wal.Timeline
	if n := len(c.Bases); n > 0 {
		b := c.Bases[n-1]
		m, err := archive.ReadBase(ctx, a.Store(), a.NodeID(), b.BaseKey)
		if err != nil {
			return err
		}
		files, _, sealed := m.Totals()
		f.RestoreObjects, f.RestoreBytes = 1+files, b.Size+sealed
		from, timeline = b.LSN, b.Timeline
	}
	packs := make(map[string]bool)
	for _, s := range c.Segments {
		if s.Timeline < timeline || s.Timeline == timeline && s.Last <= from {
			continue
		}
		f.RestoreBytes += s.Size
		if s.Packed == nil || !packs[s.Packed.Pack.Object.Key] {
			f.RestoreObjects++
		}
		if s.Packed != nil {
			packs[s.Packed.Pack.Object.Key] = true // one download for all of its segments
		}
	}
	return nil
}
