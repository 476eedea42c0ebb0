package archive

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/nodedb-go/nodedb/wal"
)

// SnapshotUse is how far a reader lets a snapshot help.
type SnapshotUse int

// Uses of snapshots.
const (
	// SnapshotIgnored: everything comes from the listing and from objects.
	SnapshotIgnored SnapshotUse = iota
	// SnapshotContents: names come from the listing; what the contents of
	// names say, which never changes, may come from the snapshot.
	SnapshotContents
	// SnapshotNames: names in the front of a snapshot are not listed either;
	// Catalog.Unlisted tells up to where. Confirm before fetching.
	SnapshotNames
)

// newestSnapshot is the last one by sequence.
func (c *Catalog) newestSnapshot() (CatalogEntry, bool) {
	var out CatalogEntry
	for _, e := range c.Catalogs {
		if e.Seq >= out.Seq {
			out = e
		}
	}
	return out, len(c.Catalogs) > 0
}

// loadSnapshot reads the newest snapshot of c. One that is damaged, of a later
// version, or gone since, is a problem and no error.
func (a *Archive) loadSnapshot(ctx context.Context, c *Catalog) error {
	e, ok := c.newestSnapshot()
	if !ok {
		return nil
	}
	s, err := a.readSnapshot(ctx, e)
	switch {
	case err == nil:
		c.known, c.Snapshot = s, &s.SnapshotInfo
		return nil
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrVersion), errors.Is(err, ErrNotFound), errors.Is(err, ErrCold):
		c.Problems = append(c.Problems, err)
		return nil
	}
	return err
}

func (a *Archive) readSnapshot(ctx context.Context, e CatalogEntry) (*snapshot, error) {
	key := e.Object.Key
	if e.Size > snapshotBytesMax {
		return nil, objectErr(a.store, key, "is larger than any snapshot", nil)
	}
	body, err := a.store.ReadRange(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	src := &tailReader{r: body}
	s, err := decodeSnapshot(src, a.nodeID, e.Seq)
	cerr := body.Close()
	switch {
	case src.err != nil:
		return nil, src.err // the store's own: not damage
	case err != nil:
		return nil, objectErr(a.store, key, "is no usable snapshot", err)
	}
	return s, cerr
}

// takeNames adds the front of the snapshot to the catalog and gives the name
// that the listing goes on behind.
func (c *Catalog) takeNames() (after string) {
	if c.known == nil {
		return objEnd
	}
	front := c.known.objects[:max(0, len(c.known.objects)-snapshotAgainMax)]
	prefix := NodePrefix(c.NodeID)
	after = objEnd
	for _, o := range front {
		k, err := ParseKey(o.Key)
		if err != nil || o.Key < objEnd {
			continue
		}
		after, c.Unlisted = o.Key, o.Key
		o.Key = prefix + o.Key
		c.names++
		c.behind++
		c.add(k, o)
	}
	return after
}

func (c *Catalog) knownEpochs() map[wal.Epoch]EpochInfo {
	out := make(map[wal.Epoch]EpochInfo)
	if c.known != nil {
		for _, e := range c.known.epochs {
			out[e.Epoch] = e
		}
	}
	return out
}

// useKnown gives entries what the snapshot knows of their contents.
func (c *Catalog) useKnown() {
	if c.known == nil {
		return
	}
	prefix := NodePrefix(c.NodeID)
	for i := range c.Segments {
		s := &c.Segments[i]
		s.Bounds = c.known.bounds[strings.TrimPrefix(s.Object.Key, prefix)]
	}
	bases := make(map[string]*SnapshotBase, len(c.known.bases))
	for i := range c.known.bases {
		bases[c.known.bases[i].Key] = &c.known.bases[i]
	}
	for i := range c.Bases {
		c.Bases[i].Summary = bases[strings.TrimPrefix(c.Bases[i].Object.Key, prefix)]
	}
	c.known = nil
}

// Confirm lists the archive around segments of c that were not listed, and
// tells whether all that it holds there is what c says, storage classes
// included. If not, what c says is out of date: take Catalog. keys are paths
// below the node's prefix.
func (a *Archive) Confirm(ctx context.Context, c *Catalog, keys []string) (bool, error) {
	// A pack that serves a segment was read a moment ago: that is proof enough.
	packed := make(map[string]bool)
	for i := range c.Segments {
		if c.Segments[i].PackedOnly {
			packed[c.Segments[i].SegmentKey.String()] = true
		}
	}
	type span struct{ first, last string }
	spans := make(map[string]span) // by directory
	for _, k := range keys {
		if k > c.Unlisted || packed[k] {
			continue
		}
		dir := k[:strings.LastIndexByte(k, '/')+1]
		s, ok := spans[dir]
		if !ok {
			s = span{k, k}
		}
		spans[dir] = span{min(s.first, k), max(s.last, k)}
	}
	for dir, s := range spans {
		var want []Object
		for i := range c.Segments {
			path := strings.TrimPrefix(c.Segments[i].Object.Key, NodePrefix(a.nodeID))
			if s.first <= path && path <= s.last && !packed[path] {
				want = append(want, Object{Key: path, Class: c.Segments[i].Class})
			}
		}
		slices.SortFunc(want, func(x, y Object) int { return cmp.Compare(x.Key, y.Key) })
		ok, err := a.holds(ctx, dir, s.last, want)
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// holds tells whether the segments of dir from want[0] up to last are want.
func (a *Archive) holds(ctx context.Context, dir, last string, want []Object) (bool, error) {
	prefix := NodePrefix(a.nodeID)
	if len(want) == 0 {
		return false, nil
	}
	// A key without its last byte sorts right before it.
	for o, err := range a.store.List(ctx, prefix+dir, prefix+want[0].Key[:len(want[0].Key)-1]) {
		if err != nil {
			return false, err
		}
		path := strings.TrimPrefix(o.Key, prefix)
		if path > last {
			break
		}
		if _, err := ParseKey(path); err != nil {
			continue
		}
		if len(want) == 0 || path != want[0].Key || o.Class != want[0].Class {
			return false, nil
		}
		want = want[1:]
	}
	return len(want) == 0, nil
}
