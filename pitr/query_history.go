package pitr

import (
	"context"
	"errors"
	"regexp"

	"github.com/nodedb-go/nodedb/wal"
)

// found is what was read for one piece of a history.
type found struct {
	versions []Version
	base     *Version // of a hole; OpBase or OpAbsent
}

// History gives every version of a key in the range to emit, in order of LSN:
// the changes by records, and for LSNs that no segment holds an OpUnknown, with
// what a base tells behind it. An expiry that removed nothing is no version.
func (q *Query) History(ctx context.Context, r Range, tenant uint32, key []byte, emit func(*Version) error) error {
	leaf, all, err := q.ranged(ctx, r)
	if err != nil {
		return err
	}
	w := oneKey(tenant, key)
	t := &teller{emit: emit, known: all[0].from == 1 && all[0].segment != nil}
	do := func(ctx context.Context, i int) (f found, err error) {
		if all[i].segment != nil {
			f.versions, err = q.versionsOf(ctx, all[i].segment, w, reading{})
			return f, err
		}
		f.base, err = q.baseOf(ctx, leaf, &all[i], keyID{tenant, string(key)})
		return f, err
	}
	err = inOrder(ctx, q.opts.Parallel, len(all), do, func(i int, f found) error {
		if all[i].segment == nil {
			return t.hole(&all[i], f.base)
		}
		for j := range f.versions {
			if err := t.version(&f.versions[j]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.settle(lsnEnd)
}

// Grep gives the changes of keys that match the pattern to emit, or of those
// whose values do. What an expiry removed is not looked up: every one counts.
func (q *Query) Grep(ctx context.Context, r Range, pattern *regexp.Regexp, values bool, emit func(*Version) error) error {
	_, all, err := q.ranged(ctx, r)
	if err != nil {
		return err
	}
	w := &wanted{match: func(_ uint32, op string, key, value []byte) bool {
		if values {
			return op == OpPut && pattern.Match(value)
		}
		return pattern.Match(key)
	}}
	do := func(ctx context.Context, i int) ([]Version, error) {
		if p := &all[i]; p.segment == nil {
			return []Version{p.unknown()}, nil
		}
		return q.versions(ctx, all[i].segment, w)
	}
	return inOrder(ctx, q.opts.Parallel, len(all), do, func(_ int, got []Version) error {
		for i := range got {
			if err := emit(&got[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// ranged is the pieces of the range, and whose history it is.
func (q *Query) ranged(ctx context.Context, r Range) (wal.Timeline, []piece, error) {
	leaf, err := q.leaf(r.Timeline)
	if err != nil {
		return 0, nil, q.unknownStore("look for records", err)
	}
	from, to, err := q.limits(ctx, leaf, r)
	if err != nil {
		return 0, nil, err
	}
	all, err := q.pieces(leaf, from, to)
	if err != nil {
		return 0, nil, err
	}
	if holes(all) {
		return leaf, all, q.unknownStore("look for records", nil)
	}
	if last := all[len(all)-1]; last.to < to && q.src.unreachable() != nil {
		all = append(all, piece{timeline: leaf, from: last.to + 1, to: to}) // what only that store holds
	}
	return leaf, all, nil
}

func (p *piece) unknown() Version {
	return Version{Position: Position{Timeline: p.timeline, LSN: p.from}, Op: OpUnknown, To: p.to}
}

// teller follows one key through its versions.
type teller struct {
	emit  func(*Version) error
	known bool     // what the key held before the next version
	held  *Version // that, nil: nothing
	// absent waits: it is news only if no record before its base says more.
	absent *Version
}

func (t *teller) hole(p *piece, base *Version) error {
	if err := t.settle(p.from); err != nil {
		return err
	}
	t.known, t.held = false, nil
	u := p.unknown()
	if base == nil {
		return t.emit(&u)
	}
	if base.Base.LSN < p.to { // it lies inside: what came after it is as unknown
		after := u
		u.To, after.LSN = base.Base.LSN, base.Base.LSN+1
		return errors.Join(t.emit(&u), t.emit(base), t.emit(&after))
	}
	if err := t.emit(&u); err != nil {
		return err
	}
	switch {
	case base.Op == OpAbsent:
		t.absent = base
		return nil
	case base.LSN > p.to:
		return nil // its record is in a segment
	}
	t.known, t.held = true, base
	return t.emit(base)
}

// settle tells of an absence that records up to lsn did not contradict.
func (t *teller) settle(lsn wal.LSN) error {
	a := t.absent
	if a == nil {
		return nil
	}
	t.absent = nil
	if lsn <= a.Base.LSN {
		return nil
	}
	t.known, t.held = true, nil
	return t.emit(a)
}

func (t *teller) version(v *Version) error {
	if err := t.settle(v.LSN); err != nil {
		return err
	}
	switch {
	case v.Op == OpPut:
		t.known, t.held = true, v
	case v.Op == OpDelete:
		t.known, t.held = true, nil
	case !t.known:
		v.Unsure = true
	case !v.removes(t.held):
		return nil
	default:
		t.held = nil
	}
	return t.emit(v)
}

// removes tells whether v, an OpExpire, ends old.
func (v *Version) removes(old *Version) bool {
	return old != nil && v.LSN >= old.LSN && old.ExpireAt != 0 && old.ExpireAt <= v.ExpireAt
}
