package pitr

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// published is a digest that the node published, and of which state.
type published struct {
	PlanDigest
	at Position
}

// draw takes a random LSN out of all that can be restored.
func (d *drill) draw() (Target, error) {
	ids := d.h.timelines()
	if d.opts.Timeline != 0 {
		ids = []wal.Timeline{d.opts.Timeline}
	}
	var all []stretch
	total := uint64(0)
	for _, id := range ids {
		if d.h.branches[id] == nil {
			continue
		}
		for _, s := range d.h.reachable(id) {
			all = append(all, s)
			total += uint64(s.to - s.from + 1)
		}
	}
	if total == 0 {
		return Target{}, &OutOfWindowError{Target: Target{Latest: true, Timeline: d.opts.Timeline}, Reason: "nothing in this archive can be restored"}
	}
	n := rand.New(rand.NewPCG(d.opts.Seed, 0)).Uint64N(total)
	for _, s := range all {
		if size := uint64(s.to - s.from + 1); n >= size {
			n -= size
			continue
		}
		return Target{LSN: s.from + wal.LSN(n), Timeline: s.timeline}, nil
	}
	panic("pitr: the draw is outside of what it was drawn from")
}

// published looks for digests around a position, on its history: the nearest at
// or before it first, then the nearest behind it.
func (d *drill) published(ctx context.Context, asked *Plan) ([]published, error) {
	var out []published
	left := d.opts.SearchSegments
	spans := d.h.lineage(asked.Timeline)
	for i := len(spans) - 1; i >= 0; i-- {
		s := spans[i]
		b := d.h.branches[s.timeline]
		bases, err := d.baseDigests(ctx, b, s)
		if err != nil {
			return nil, err
		}
		logged, err := d.loggedDigests(ctx, b, s, asked.Reached.LSN, &left)
		if err != nil {
			return nil, err
		}
		out = append(append(out, bases...), logged...)
	}
	near := func(p published) uint64 {
		if p.at.LSN <= asked.Reached.LSN {
			return uint64(asked.Reached.LSN - p.at.LSN)
		}
		return 1<<63 + uint64(p.at.LSN-asked.Reached.LSN)
	}
	slices.SortStableFunc(out, func(x, y published) int { return cmp.Compare(near(x), near(y)) })
	return out, nil
}

// baseDigests are those of the bases of one span of a history.
func (d *drill) baseDigests(ctx context.Context, b *branch, s span) ([]published, error) {
	var out []published
	for i := range b.bases {
		at := &b.bases[i]
		if at.lsn < s.from || at.lsn > s.to {
			continue
		}
		m, err := d.src.manifest(ctx, at)
		if err != nil {
			if passOver(err) {
				continue // the restore warns if it would have needed it
			}
			return nil, err
		}
		if m.Digest != "" {
			out = append(out, published{PlanDigest{Sum: m.Digest, Entries: m.Entries, Source: at.key}, Position{Timeline: b.id, LSN: at.lsn}})
		}
	}
	return out, nil
}

// loggedDigests reads segments around lsn until one of them holds the digest of
// a state at or before it: the one behind lsn first, since a digest is logged
// after its LSN, then downwards, then what is left upwards.
func (d *drill) loggedDigests(ctx context.Context, b *branch, s span, lsn wal.LSN, left *int) ([]published, error) {
	at := slices.IndexFunc(b.segments, func(g segment) bool { return g.hi >= lsn })
	if at < 0 {
		at = len(b.segments) - 1
	}
	var order []int
	for i := min(at+1, len(b.segments)-1); i >= 0; i-- {
		order = append(order, i)
	}
	for i := at + 2; i < len(b.segments); i++ {
		order = append(order, i)
	}
	var out []published
	for _, i := range order {
		if *left == 0 {
			break
		}
		*left--
		found, err := d.digestsIn(ctx, b, s, &b.segments[i])
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
		below := slices.ContainsFunc(found, func(p published) bool { return p.at.LSN <= lsn })
		if below && i <= at || len(out) > 0 && i > at+1 {
			break
		}
	}
	return out, nil
}

func (d *drill) digestsIn(ctx context.Context, b *branch, s span, g *segment) ([]published, error) {
	var out []published
	err := d.src.scan(ctx, g, func(r *wal.Record) bool {
		if r.LSN > g.hi {
			return false
		}
		if r.Type != wal.TypeDigest {
			return true
		}
		dg, err := wal.DecodeDigest(r.Payload)
		if err == nil && dg.LSN >= s.from && dg.LSN <= s.to {
			out = append(out, published{PlanDigest{Sum: hex.EncodeToString(dg.Sum[:]), Entries: dg.Entries,
				Source: fmt.Sprintf("the digest record with LSN %d", uint64(r.LSN))}, Position{Timeline: b.id, LSN: dg.LSN}})
		}
		return true
	})
	if err != nil && damaged(err) {
		return nil, nil // a segment that the restore may not need; verify names it
	}
	return out, err
}
