package retain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Facts are what decisions are made from: of one store, or of several together.
type Facts struct {
	Epochs   []archive.EpochInfo
	Segments []archive.SegmentEntry
	Bases    []Base
	Pins     []archive.PinInfo
	Contents map[[32]byte]bool // SHA-256 of the contents that are there
	LSNMax   wal.LSN

	// Unclear are objects that cannot be read, so what they need is not known.
	Unclear []string
}

// Base is a base and its manifest, nil when that cannot be read.
type Base struct {
	archive.BaseKey
	Manifest *archive.Manifest
}

// view is one store as it was listed.
type view struct {
	a        *archive.Archive
	catalog  *archive.Catalog
	contents []archive.ObjEntry
	log      *archive.PruneLog
	facts    *Facts

	// proven are the segments that a pack was proven to hold a moment ago; nil
	// when nobody looked.
	proven map[string]bool
}

// covers tells whether a segment's own object may go because of a pack.
func (v *view) covers(s archive.SegmentEntry) bool {
	if s.Packed == nil || s.PackedOnly || s.Last >= v.facts.LSNMax {
		return false
	}
	return v.proven == nil || v.proven[s.Object.Key]
}

// prove reads the packs again that hold the segments that keys name.
func (v *view) prove(ctx context.Context, now time.Time, keys map[string]bool) error {
	c := *v.catalog
	c.Segments = slices.DeleteFunc(slices.Clone(c.Segments), func(s archive.SegmentEntry) bool {
		return !keys[strings.TrimPrefix(s.Object.Key, archive.NodePrefix(v.a.NodeID()))] || !v.covers(s)
	})
	covered, err := v.a.Covered(ctx, &c, now, 0, nil)
	v.proven = make(map[string]bool, len(covered))
	for _, s := range covered {
		v.proven[s.Object.Key] = true
	}
	return err
}

// look lists one store: the log first, then contents, then all else, so that a
// base whose manifest comes meanwhile is seen as one under way.
func look(ctx context.Context, a *archive.Archive) (*view, error) {
	v := &view{a: a}
	var err error
	if v.log, err = archive.ReadPruneLog(ctx, a.Store(), a.NodeID()); err != nil {
		return nil, err
	}
	err = a.Objects(ctx, func(o archive.ObjEntry) error { v.contents = append(v.contents, o); return nil })
	if err != nil {
		return nil, err
	}
	if v.catalog, err = a.Catalog(ctx); err != nil {
		return nil, err
	}
	v.facts, err = v.read(ctx)
	return v, err
}

func (v *view) read(ctx context.Context) (*Facts, error) {
	c, s := v.catalog, v.a.Store()
	f := &Facts{Epochs: c.Epochs, Segments: c.Segments, Contents: make(map[[32]byte]bool), LSNMax: c.LSNMax()}
	for _, err := range c.Problems {
		f.Unclear = append(f.Unclear, err.Error())
	}
	for _, o := range v.contents {
		f.Contents[o.SHA256] = true
	}
	for _, b := range c.Bases {
		m, err := archive.ReadBase(ctx, s, v.a.NodeID(), b.BaseKey)
		if errors.Is(err, archive.ErrNotFound) {
			return nil, fmt.Errorf("%w: %s was listed and is gone", ErrBusy, b.BaseKey)
		}
		if err != nil && !f.unclear(b.String(), err) {
			return nil, err
		}
		f.Bases = append(f.Bases, Base{b.BaseKey, m})
	}
	for _, p := range c.Pins {
		pin, err := archive.ReadPin(ctx, s, v.a.NodeID(), p.Name)
		switch {
		case err == nil:
			f.Pins = append(f.Pins, pin)
		case errors.Is(err, archive.ErrNotFound): // taken off since the listing
		case !f.unclear(p.String(), err):
			return nil, err
		}
	}
	return f, nil
}

// unclear notes an object that is damaged or of a later version; anything else
// is an error of the store.
func (f *Facts) unclear(key string, err error) bool {
	if !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrVersion) {
		return false
	}
	f.Unclear = append(f.Unclear, fmt.Sprintf("%s: %v", key, err))
	return true
}

// merge is what all stores hold together.
func merge(views []*view) *Facts {
	out := &Facts{Contents: make(map[[32]byte]bool)}
	epochs, segments := make(map[wal.Epoch]bool), make(map[string]bool)
	bases, pins := make(map[string]int), make(map[string]bool)
	for _, v := range views {
		f := v.facts
		for _, e := range f.Epochs {
			if !epochs[e.Epoch] {
				epochs[e.Epoch] = true
				out.Epochs = append(out.Epochs, e)
			}
		}
		for _, s := range f.Segments {
			if !segments[s.String()] {
				segments[s.String()] = true
				out.Segments = append(out.Segments, s)
			}
		}
		for _, b := range f.Bases {
			if i, ok := bases[b.String()]; !ok {
				bases[b.String()] = len(out.Bases)
				out.Bases = append(out.Bases, b)
			} else if out.Bases[i].Manifest == nil {
				out.Bases[i] = b
			}
		}
		for _, p := range f.Pins {
			if id := fmt.Sprintf("%+v", p); !pins[id] {
				pins[id] = true
				out.Pins = append(out.Pins, p)
			}
		}
		maps.Copy(out.Contents, f.Contents)
		out.LSNMax = max(out.LSNMax, f.LSNMax)
		out.Unclear = append(out.Unclear, f.Unclear...)
	}
	for i := range out.Segments {
		s := &out.Segments[i] // one store may know of an epoch that another lacks
		s.From, s.To = s.First, min(s.Last, archive.DeadFrom(out.Epochs, s.Timeline, s.Epoch)-1)
	}
	slices.SortFunc(out.Epochs, func(x, y archive.EpochInfo) int { return cmp.Compare(x.Epoch, y.Epoch) })
	return out
}
