package archive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SnapshotOptions of WriteSnapshot. Nil and the zero value work.
type SnapshotOptions struct {
	// NamesOnly leaves out what footers say, which costs two requests for each
	// segment that no earlier snapshot knows; those of the last segments, where
	// most restores end, are read all the same.
	NamesOnly bool
	Clock     func() time.Time
	// Progress is called after each footer, from several goroutines.
	Progress func(done, total int)
}

// snapshotTries bounds the races for a sequence number with another writer.
const snapshotTries = 3

// WriteSnapshot lists the archive and writes a snapshot of what it holds. It
// lists everything: a snapshot is never made from another, though what an
// earlier one knows of the same names is taken over. The object's name is
// returned.
func WriteSnapshot(ctx context.Context, a *Archive, o *SnapshotOptions) (CatalogKey, SnapshotInfo, error) {
	var opts SnapshotOptions
	if o != nil {
		opts = *o
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	c, err := a.catalog(ctx, SnapshotContents, true)
	if err != nil {
		return CatalogKey{}, SnapshotInfo{}, err
	}
	if len(c.Claims) == 0 {
		return CatalogKey{}, SnapshotInfo{}, fmt.Errorf("snapshot of node %s: %w: it has no archive in %s", a.nodeID, ErrNotFound, a.store.URL())
	}
	if err := a.readContents(ctx, c, opts); err != nil {
		return CatalogKey{}, SnapshotInfo{}, err
	}
	s := c.snapshot()
	s.CreatedAt = opts.Clock().UTC()
	k := CatalogKey{Timeline: 1}
	for _, e := range c.Epochs {
		k.Timeline = max(k.Timeline, e.Timeline)
	}
	for _, e := range c.Catalogs {
		k.Seq = max(k.Seq, e.Seq)
	}
	for range snapshotTries {
		k.Seq++
		s.Seq = k.Seq
		data, eerr := encodeSnapshot(s)
		if eerr != nil {
			return CatalogKey{}, SnapshotInfo{}, eerr
		}
		if err = createSmallFrom(ctx, a.store, Join(a.nodeID, k), data); !errors.Is(err, ErrExists) {
			break
		}
	}
	if err != nil {
		return CatalogKey{}, SnapshotInfo{}, fmt.Errorf("write snapshot: %w", err)
	}
	return k, s.SnapshotInfo, nil
}

func createSmallFrom(ctx context.Context, s Store, key string, data []byte) error {
	return s.Create(ctx, key, bytes.NewReader(data), int64(len(data)))
}

// readContents asks for what no snapshot knew. Segments that are encrypted are
// left out, and so is what is damaged: a reader will meet that by itself.
func (a *Archive) readContents(ctx context.Context, c *Catalog, opts SnapshotOptions) error {
	var todo []int
	for i, s := range c.Segments {
		last := i == len(c.Segments)-1 || c.Segments[i+1].Timeline != s.Timeline
		if opts.NamesOnly && !last {
			continue
		}
		if s.Bounds == nil && !s.Age.Encrypted() && !s.Class.Cold() {
			todo = append(todo, i)
		}
	}
	done := make(chan struct{}, len(todo))
	err := forEach(ctx, len(todo), func(ctx context.Context, n int) error {
		s := &c.Segments[todo[n]]
		info, err := a.SegmentInfo(ctx, *s)
		if leftOut(err) {
			return nil
		}
		if err != nil {
			return err
		}
		s.Bounds = &SegmentBounds{FirstTime: info.Footer.FirstTime, LastTime: info.Footer.LastTime, Points: info.Footer.Points}
		done <- struct{}{}
		if opts.Progress != nil {
			opts.Progress(len(done), len(todo))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return forEach(ctx, len(c.Bases), func(ctx context.Context, i int) error {
		b := &c.Bases[i]
		if b.Summary != nil || b.Class.Cold() {
			return nil
		}
		m, err := ReadBase(ctx, a.store, a.nodeID, b.BaseKey)
		if leftOut(err) {
			return nil
		}
		if err != nil {
			return err
		}
		b.Summary = new(m.Summary())
		return nil
	})
}

func leftOut(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrCold)
}

// snapshot puts the catalog into the form that is written.
func (c *Catalog) snapshot() *snapshot {
	s := &snapshot{bounds: make(map[string]*SegmentBounds), epochs: c.Epochs}
	prefix := NodePrefix(c.NodeID)
	for _, o := range c.tail {
		o.Key, o.MD5 = strings.TrimPrefix(o.Key, prefix), nil
		s.objects = append(s.objects, o)
	}
	for _, e := range c.Segments {
		if e.Bounds != nil && !e.Age.Encrypted() {
			s.bounds[strings.TrimPrefix(e.Object.Key, prefix)] = e.Bounds
		}
	}
	for _, b := range c.Bases {
		if b.Summary != nil {
			s.bases = append(s.bases, *b.Summary)
		}
	}
	slices.SortFunc(s.objects, func(x, y Object) int { return cmp.Compare(x.Key, y.Key) })
	slices.SortFunc(s.bases, func(x, y SnapshotBase) int { return cmp.Compare(x.Key, y.Key) })
	s.SnapshotInfo = SnapshotInfo{Version: snapshotVersion, NodeID: c.NodeID,
		Epochs: len(s.epochs), Bases: len(s.bases), Objects: len(s.objects)}
	return s
}
