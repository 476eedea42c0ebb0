package pitr

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// baseError is a base that could not be read; an older one may do.
type baseError struct {
	key string
	err error
}

func (e *baseError) Error() string { return fmt.Sprintf("read base %s: %v", e.key, e.err) }
func (e *baseError) Unwrap() error { return e.err }

// baseOf is what a base tells about a key for a hole; nil when there is no base.
func (q *Query) baseOf(ctx context.Context, leaf wal.Timeline, p *piece, id keyID) (*Version, error) {
	at := q.h.branches[p.timeline].baseFor(p)
	if at == nil {
		return nil, nil
	}
	held, applied, err := q.inBase(ctx, at, []keyID{id})
	if err != nil {
		return nil, err
	}
	when, err := q.src.baseTime(ctx, at)
	if err != nil {
		return nil, err
	}
	v := held[id]
	if v == nil {
		v = &Version{Position: Position{Timeline: p.timeline}, Tenant: id.tenant, Key: []byte(id.key), Op: OpAbsent}
		v.LSN = applied[id]
	}
	v.Base = &Position{Timeline: at.timeline, LSN: applied[id]}
	if applied[id] == at.lsn {
		v.Base.Time = microTime(when)
	}
	spans := q.h.lineage(leaf)
	if i := spanWith(spans, v.LSN); i >= 0 {
		v.Timeline = spans[i].timeline
	}
	return v, nil
}

// baseFor is the oldest base at the end of a hole or behind it, from which
// segments go on, else the newest one inside of it.
func (b *branch) baseFor(p *piece) *base {
	var inside *base
	for i := range b.bases {
		at := &b.bases[i]
		if at.lsn >= p.to && at.lsn <= max(p.next, p.to) {
			return at
		}
		if at.lsn >= p.from && at.lsn < p.to {
			inside = at
		}
	}
	return inside
}

// inBase reads keys out of a base, and up to which LSN their vshards go. Keys
// that it does not hold are not in the answer.
func (q *Query) inBase(ctx context.Context, at *base, keys []keyID) (map[keyID]*Version, map[keyID]wal.LSN, error) {
	out, applied := make(map[keyID]*Version), make(map[keyID]wal.LSN)
	m, err := q.src.manifest(ctx, at)
	if err != nil {
		return nil, nil, &baseError{at.key, err}
	}
	byShard := make(map[uint16][]keyID)
	for _, id := range keys {
		v := kv.VShardOf([]byte(id.key), len(m.VShards))
		byShard[v] = append(byShard[v], id)
		applied[id] = m.VShards[v].Applied
	}
	for v, ids := range byShard {
		if err := q.inVShard(ctx, at, &m.VShards[v], ids, out); err != nil {
			if ctx.Err() != nil {
				return nil, nil, context.Cause(ctx)
			}
			return nil, nil, &baseError{at.key, err}
		}
	}
	return out, applied, nil
}

func (q *Query) inVShard(ctx context.Context, at *base, v *archive.ManifestVShard, ids []keyID, out map[keyID]*Version) (err error) {
	files, err := q.files(ctx, q.src.contentStores(at.stores), v)
	if err != nil {
		return err
	}
	store, err := engine.OpenFrozen(files, baseRoom, v.ID)
	if err != nil {
		return files.blame(err)
	}
	defer func() {
		if cerr := store.Close(); err == nil {
			err = cerr
		}
	}()
	for _, id := range ids {
		e, err := kv.Get(store.Reader(), id.tenant, []byte(id.key), math.MinInt64)
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return files.blame(fmt.Errorf("read vshard %d: %w", v.ID, err))
		}
		out[id] = &Version{Position: Position{Timeline: at.timeline, LSN: e.LSN}, Tenant: id.tenant, Key: []byte(id.key),
			Op: OpBase, Value: e.Value, ExpireAt: e.ExpireAt}
	}
	return nil
}
