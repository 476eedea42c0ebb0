package pitr

import (
	"context"
	"io"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// packJobs are the packs whose index can be read; the others are problems
// already.
func (v *verifier) packJobs(c *archive.Catalog, add func(job, archive.Age)) {
	only := make(map[string]bool) // contents of segments that have no object of their own
	for _, s := range c.Segments {
		if s.PackedOnly {
			only[s.Content().String()] = true
		}
	}
	for _, p := range c.Packs {
		if slices.ContainsFunc(v.report.Problems, func(b Problem) bool { return b.Key == p.Object.Key }) {
			continue
		}
		add(job{obj: p.Object, key: p.PackKey.String(), plain: true,
			read: func(ctx context.Context) error { return v.pack(ctx, p, only) }}, p.Age)
	}
}

// pack reads a whole pack, and the records of each segment in it.
func (v *verifier) pack(ctx context.Context, p archive.PackEntry, only map[string]bool) error {
	heads := make(map[string]head)
	err := v.a.ReadPack(ctx, p, func(k archive.SegmentKey, r io.Reader) error {
		hd, err := readWhole(ctx, r, p.Object.Key, func(*wal.Record) error { return nil })
		if err == nil {
			err = k.Check(hd.seg, v.a.NodeID())
		}
		heads[k.Content().String()] = hd
		return err
	})
	v.done(p.Size)
	if err != nil {
		if ctx.Err() != nil || archive.Retryable(err) {
			return err
		}
		v.problem(p.Object.Key, v.src.damage(0, p.Object.Key, err))
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Packs++
	for key, hd := range heads {
		if only[key] {
			v.report.Segments++
			v.report.Records += hd.seg.Records
		}
		v.heads[key] = hd
	}
	return nil
}
