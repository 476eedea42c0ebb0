package pitr

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// Difference is a key that does not hold the same at two positions. nil: the key
// was not there.
type Difference struct {
	Tenant   uint32
	Key      []byte
	Old, New *Version
}

// DiffReport is what differs between two states of one history.
type DiffReport struct {
	From, To Position
	Keys     []Difference // by tenant and key
}

// Diff compares the states at two targets of one history, for keys with a
// prefix: what records between them touched, against what those keys held at
// from. It speaks of what is stored, as a digest does: a key whose time has come
// is there until the record that removes it.
//
// Keys and values are held in memory, up to QueryOptions.MemoryBytes
// (ErrQueryTooLarge).
func (q *Query) Diff(ctx context.Context, from, to Target, prefix []byte) (*DiffReport, error) {
	p := q.planner()
	old, late, err := q.ends(ctx, p, from, to)
	if err != nil {
		return nil, p.explain(ctx, err, to)
	}
	out := &DiffReport{Keys: []Difference{}}
	if out.From, err = q.look.position(ctx, q.h, old.owner, old.lsn); err != nil {
		return nil, err
	}
	if out.To, err = q.look.position(ctx, q.h, late.owner, late.lsn); err != nil {
		return nil, err
	}
	touched, err := q.touched(ctx, late, old.lsn+1, prefix)
	if err != nil {
		return nil, p.explain(ctx, err, to)
	}
	if len(touched) == 0 {
		return out, nil
	}
	w := &wanted{keys: make(map[keyID]bool, len(touched))}
	for id := range touched {
		w.keys[id] = true
	}
	before, err := q.state(ctx, p, from, old, w)
	if err != nil {
		return nil, p.explain(ctx, err, from)
	}
	out.compare(before, touched)
	return out, nil
}

// ends are the two positions, which must lie on one history.
func (q *Query) ends(ctx context.Context, p *planner, from, to Target) (old, late resolved, err error) {
	for _, t := range []Target{from, to} {
		if err := t.valid(); err != nil {
			return old, late, err
		}
	}
	if late, err = p.locate(ctx, to); err != nil {
		return old, late, err
	}
	if from.Timeline == 0 {
		from.Timeline = late.leaf
	}
	if old, err = p.locate(ctx, from); err != nil {
		return old, late, err
	}
	if old.lsn > late.lsn {
		err = fmt.Errorf("%w: the difference is from LSN %d to LSN %d, which comes before it", ErrTarget, uint64(old.lsn), uint64(late.lsn))
	}
	return old, late, err
}

// touched is what the records from an LSN up to a position do to keys.
func (q *Query) touched(ctx context.Context, late resolved, from wal.LSN, prefix []byte) (trails, error) {
	out := make(trails)
	if from > late.lsn {
		return out, nil
	}
	all, err := q.pieces(late.leaf, from, late.lsn)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if p := &all[i]; p.segment == nil {
			h := &hole{timeline: p.timeline, from: p.from, to: p.to}
			return nil, &GapError{Target: Target{LSN: late.lsn, Timeline: late.leaf}, Timeline: p.timeline, From: p.from, To: p.to,
				Declared: q.h.declared(h), Nearest: q.h.nearest(late.leaf, p.from)}
		}
	}
	w := &wanted{match: func(_ uint32, _ string, key, _ []byte) bool { return bytes.HasPrefix(key, prefix) }}
	held := int64(0)
	do := func(ctx context.Context, i int) ([]Version, error) { return q.versions(ctx, all[i].segment, w) }
	err = inOrder(ctx, q.opts.Parallel, len(all), do, func(_ int, got []Version) error {
		for i := range got {
			held += int64(len(got[i].Key) + len(got[i].Value))
			out.add(&got[i])
		}
		if held > q.opts.MemoryBytes {
			return fmt.Errorf("%w: more than %d bytes of keys and values were written; ask for a shorter range or a longer prefix",
				ErrQueryTooLarge, q.opts.MemoryBytes)
		}
		return nil
	})
	return out, err
}

// compare takes the keys whose content is not the same.
func (r *DiffReport) compare(before map[keyID]*Version, touched trails) {
	for id, tr := range touched {
		d := Difference{Tenant: id.tenant, Key: []byte(id.key), Old: before[id].stored()}
		if tr.last == nil {
			tr.behind(&trail{last: before[id]})
		}
		d.New = tr.last.stored()
		if !d.Old.same(d.New) {
			r.Keys = append(r.Keys, d)
		}
	}
	slices.SortFunc(r.Keys, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), bytes.Compare(x.Key, y.Key))
	})
}

// stored is the version if a value is stored because of it, else nil.
func (v *Version) stored() *Version {
	if v == nil || v.Op != OpPut && v.Op != OpBase {
		return nil
	}
	return v
}

func (v *Version) same(o *Version) bool {
	if v == nil || o == nil {
		return v == o
	}
	return bytes.Equal(v.Value, o.Value) && v.ExpireAt == o.ExpireAt
}
