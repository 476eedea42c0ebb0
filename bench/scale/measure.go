package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine/kv"
)

const nodeID = "shop"

// spent is what something takes of the store, and of a CPU.
type spent struct {
	archivetest.Requests
	Seconds float64
}

func (c spent) sub(o spent) spent { return spent{c.Requests.Sub(o.Requests), c.Seconds - o.Seconds} }

// per divides by n. Requests that do not divide are rounded to the nearest.
func (c spent) per(n int) unit {
	f := float64(n)
	return unit{Puts: float64(c.Puts) / f, Gets: float64(c.Gets+c.Heads) / f, Lists: float64(c.Lists) / f,
		Deletes: float64(c.Deletes) / f, Seconds: max(0, c.Seconds) / f}
}

// measured is what one of each costs.
type measured struct {
	Start   unit `json:"start"`   // of a node, once
	Segment unit `json:"segment"` // uploaded and proven
	Base    unit `json:"base"`
	Index   unit `json:"index"` // of one segment
	Sweep   unit `json:"sweep"` // without its listing and what is new
	Footer  unit `json:"footer"`
	Merge   unit `json:"merge"` // of one segment into a pack, and its deletion
	Pack    unit `json:"pack"`

	SegmentBytes int64 `json:"segment_bytes"` // stored
	IndexBytes   int64 `json:"index_bytes"`
	BaseBytes    int64 `json:"base_bytes"` // that one more base adds
}

// life is one archive that a real node wrote.
type life struct {
	a        *archive.Archive
	store    *archivetest.Counted
	segments int
	spent    spent
}

// live runs a node that writes segments of records each, takes bases, and stops.
func live(ctx context.Context, segments, bases, records int) (l *life, err error) {
	mem, _, err := archive.OpenStore(ctx, "mem://")
	if err != nil {
		return nil, err
	}
	l = &life{store: archivetest.NewCounted(mem), segments: segments}
	if l.a, err = archive.Open(l.store, nodeID); err != nil {
		return nil, err
	}
	began := time.Now()
	n, err := node.Open("node", &node.Options{NodeID: nodeID, VShards: 4, Cores: 1, FS: vfs.NewMem(), BallastBytes: -1,
		SegmentBytes: 1 << 20, ArchiveTimeout: -1, CheckpointInterval: -1, Stores: []archive.StoreConfig{{Store: l.store}}})
	if err != nil {
		return nil, err
	}
	err = write(ctx, n, segments, bases, records)
	if err = errors.Join(err, n.Close()); err != nil {
		return nil, fmt.Errorf("a node of %d segments: %w", segments, err)
	}
	l.spent = spent{l.store.Requests(), time.Since(began).Seconds()}
	return l, nil
}

func write(ctx context.Context, n *node.Node, segments, bases, records int) error {
	value := make([]byte, 128)
	for s := range segments {
		for r := range records {
			for i := range value {
				value[i] = byte(s*r+i) & 63
			}
			if _, err := n.Tenant(0).Put(ctx, fmt.Appendf(nil, "key-%06d", (s*records+r)%10_000), value, nil); err != nil {
				return err
			}
		}
		lsn, err := n.Seal(ctx)
		if err != nil {
			return err
		}
		if err := n.WaitArchived(ctx, lsn); err != nil {
			return err
		}
	}
	for range bases {
		if _, err := n.Backup(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step is what f costs over the life's archive.
func (l *life) step(f func() error) (spent, error) {
	before, began := l.store.Requests(), time.Now()
	err := f()
	return spent{l.store.Requests().Sub(before), time.Since(began).Seconds()}, err
}

// measure takes differences between a short and a long life.
func measure(ctx context.Context, short, long, records int) (m measured, err error) {
	a, err := live(ctx, short, 0, records)
	if err != nil {
		return m, err
	}
	b, err := live(ctx, long, 0, records)
	if err != nil {
		return m, err
	}
	based, err := live(ctx, short, 1, records)
	if err != nil {
		return m, err
	}
	n := long - short
	m.Segment = b.spent.sub(a.spent).per(n)
	m.SegmentBytes = (b.spent.BytesIn - a.spent.BytesIn) / int64(n)
	m.Start = a.spent.per(1).minus(m.Segment.times(float64(short)))
	m.Base = based.spent.sub(a.spent).per(1)
	m.BaseBytes = based.spent.BytesIn - a.spent.BytesIn
	return m, functions(ctx, &m, a, b, n)
}

// functions measures what the functions do to both archives.
func functions(ctx context.Context, m *measured, a, b *life, n int) error {
	var err error
	both := func(f func(l *life) error) (x, y spent) {
		for _, one := range []struct {
			l   *life
			out *spent
		}{{a, &x}, {b, &y}} {
			if err == nil {
				*one.out, err = one.l.step(func() error { return f(one.l) })
			}
		}
		return x, y
	}
	x, y := both(func(l *life) error { return indexAll(ctx, l.a) })
	m.Index, m.IndexBytes = y.sub(x).per(n), (y.BytesIn-x.BytesIn)/int64(n)
	snapshot := func(l *life) error {
		_, _, err := archive.WriteSnapshot(ctx, l.a, nil)
		return err
	}
	x, y = both(snapshot)
	m.Footer = y.sub(x).per(n)
	x, _ = both(snapshot) // the second one knows all ends
	m.Sweep = x.per(1)
	merge := func(l *life) error {
		_, err := archive.Compact(ctx, l.a, &archive.CompactOptions{MinObjects: 2, DeleteSmall: true, Grace: -1})
		return err
	}
	x, y = both(merge)
	m.Merge = y.sub(x).per(n)
	m.Pack = x.per(1).minus(m.Merge.times(float64(a.segments)))
	return err
}

// indexAll indexes each segment as an event for it would, without its listing.
func indexAll(ctx context.Context, a *archive.Archive) error {
	c, err := a.Catalog(ctx)
	if err != nil {
		return err
	}
	for _, s := range c.Segments {
		if _, err := index.Build(ctx, a, s, &index.Options{Decode: kv.Changes}); err != nil {
			return err
		}
	}
	return nil
}
