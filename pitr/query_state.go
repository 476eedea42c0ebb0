package pitr

import (
	"context"
	"errors"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Value is what a key held at one position.
type Value struct {
	At     Position // of the state
	Tenant uint32
	Key    []byte

	// Found: a read at that position would have given Value.
	Found    bool
	Value    []byte
	ExpireAt int64   // ms since the Unix epoch; 0: never
	Written  wal.LSN // of the record that wrote the value, or removed it; 0: unknown, or none did
	Op       string  // what that record did; OpBase when a base told; empty: nothing is known to have been written
	Expired  bool    // it is stored still, and hidden since ExpireAt
}

// Get tells what a key held at the target, without a restore: the newest version
// in the segments behind a usable base, or else what the base holds, of which
// only the blocks that may have the key are read. Whether it had expired is
// judged by the time of the target.
//
// Errors are those of NewPlan for the same target, and of reading.
func (q *Query) Get(ctx context.Context, t Target, tenant uint32, key []byte) (*Value, error) {
	if err := t.valid(); err != nil {
		return nil, err
	}
	p := q.planner()
	at, err := p.locate(ctx, t)
	if err != nil {
		return nil, p.explain(ctx, err, t)
	}
	id := keyID{tenant, string(key)}
	got, err := q.state(ctx, p, t, at, &wanted{keys: map[keyID]bool{id: true}})
	if err != nil {
		return nil, p.explain(ctx, err, t)
	}
	v := &Value{Tenant: tenant, Key: slices.Clone(key)}
	if v.At, err = q.look.position(ctx, q.h, at.owner, at.lsn); err != nil {
		return nil, err
	}
	now := v.At.Time
	if t.Time.After(now) {
		now = t.Time
	}
	v.describe(got[id], now.UnixMilli())
	return v, nil
}

func (v *Value) describe(got *Version, nowMillis int64) {
	if got == nil {
		return
	}
	v.Op, v.Written = got.Op, got.LSN
	if got.Op != OpPut && got.Op != OpBase {
		return
	}
	v.Value, v.ExpireAt = got.Value, got.ExpireAt
	v.Expired = got.ExpireAt != 0 && got.ExpireAt <= nowMillis
	v.Found = !v.Expired
}

func (q *Query) planner() *planner {
	return &planner{src: q.src, h: q.h, look: q.look, refused: make(map[string]bool), plan: &Plan{}}
}

// locate is where a target is, refused as a plan refuses it.
func (p *planner) locate(ctx context.Context, t Target) (resolved, error) {
	if down := p.src.unreachable(); down != nil && t.Latest {
		down.Op = "find the latest LSN"
		return resolved{}, down
	}
	return (&resolver{h: p.h, look: p.look, target: t}).resolve(ctx)
}

// state is what the wanted keys hold at a position: their last versions, an
// OpBase out of a base. A base that is damaged is passed over for an older one.
func (q *Query) state(ctx context.Context, p *planner, t Target, at resolved, w *wanted) (map[keyID]*Version, error) {
	for {
		rt, _, err := p.chooseRoute(ctx, t, at)
		if err != nil {
			return nil, err
		}
		out, err := q.along(ctx, rt, w, reading{lazy: true})
		if errors.Is(err, errNotAsIndexed) {
			q.ask.Logger.Warn("index is no help, segments are read whole", "err", err)
			out, err = q.along(ctx, rt, w, reading{noIndex: true})
		}
		if err == nil {
			return out, nil
		}
		broken := as[*baseError](err)
		lost := errors.Is(err, archive.ErrCorrupt) || errors.Is(err, archive.ErrNotFound)
		if broken == nil || !lost {
			return nil, err
		}
		p.refused[broken.key] = true
		q.ask.Logger.Warn("base is damaged, an older way is taken", "base", broken.key, "err", err)
		if _, missing := p.h.route(at.leaf, at.lsn, func(b *base) bool { return !p.refused[b.key] }); missing != nil {
			return nil, err // there is no older way: the damage says more than the gap
		}
	}
}

// along reads the segments of a route from the newest on, until all keys are
// decided, and the base for those that are not. errNotAsIndexed when a value is not
// where an index says.
func (q *Query) along(ctx context.Context, rt *route, w *wanted, how reading) (map[keyID]*Version, error) {
	all := make(trails)
	for id := range w.keys {
		all[id] = &trail{}
	}
	left := len(all)
	var segs []segment
	for _, l := range rt.legs {
		segs = append(segs, l.segments...)
	}
	slices.Reverse(segs)
	do := func(ctx context.Context, i int) ([]Version, error) { return q.versionsOf(ctx, &segs[i], w, how) }
	err := inOrder(ctx, q.opts.Parallel, len(segs), do, func(_ int, got []Version) error {
		older := make(trails)
		for i := range got {
			older.add(&got[i])
		}
		for id, o := range older {
			if newer := all[id]; newer.last == nil {
				newer.behind(o)
				if newer.last != nil {
					left--
				}
			}
		}
		if left == 0 {
			return errEnough
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.finish(ctx, rt, all)
}

// finish asks the base for what no record has decided.
func (q *Query) finish(ctx context.Context, rt *route, all trails) (map[keyID]*Version, error) {
	var ask []keyID
	for id, tr := range all {
		if tr.last == nil && rt.base != nil {
			ask = append(ask, id)
		}
	}
	held := make(map[keyID]*Version)
	if len(ask) > 0 {
		var err error
		if held, _, err = q.inBase(ctx, rt.base, ask); err != nil {
			return nil, err
		}
	}
	out := make(map[keyID]*Version, len(all))
	for id, tr := range all {
		if tr.last == nil {
			tr.behind(&trail{last: held[id]})
		}
		if tr.last == nil {
			continue
		}
		if err := tr.last.loaded(ctx); err != nil {
			return nil, err
		}
		out[id] = tr.last
	}
	return out, nil
}

// loaded reads the value if it was left where it is.
func (v *Version) loaded(ctx context.Context) (err error) {
	if v.load == nil {
		return nil
	}
	if v.Value, err = v.load(ctx); err == nil {
		v.load = nil
	}
	return err
}

// trail is what records do to one key: the last that decides what it holds, and
// expiries behind it that depend on what came before.
type trail struct {
	last *Version
	dues []*Version
}

// trails are those of several keys.
type trails map[keyID]*trail

// add takes the next version of a key.
func (t trails) add(v *Version) {
	id := keyID{v.Tenant, string(v.Key)}
	if t[id] == nil {
		t[id] = &trail{}
	}
	t[id].add(v)
}

func (t *trail) add(v *Version) {
	switch {
	case v.Op != OpExpire:
		t.last, t.dues = v, nil
	case t.last == nil:
		t.dues = append(t.dues, v)
	case t.last.Op != OpDelete && t.last.Op != OpExpire && v.removes(t.last):
		t.last = v
	}
}

// behind takes what came before, for a trail that nothing has decided yet.
func (t *trail) behind(older *trail) {
	dues := t.dues
	t.last, t.dues = older.last, older.dues
	for _, d := range dues {
		t.add(d)
	}
}
