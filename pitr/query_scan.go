package pitr

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// wanted says which changes a query asks for.
type wanted struct {
	keys  map[keyID]bool // nil: match decides
	match func(tenant uint32, op string, key, value []byte) bool
}

func oneKey(tenant uint32, key []byte) *wanted {
	return &wanted{keys: map[keyID]bool{{tenant, string(key)}: true}}
}

func (w *wanted) takes(tenant uint32, op string, key, value []byte) bool {
	if w.keys != nil {
		return w.keys[keyID{tenant, string(key)}]
	}
	return w.match(tenant, op, key, value)
}

// versions are the wanted changes of the history part of a segment, in order.
// Nothing of it is handed on before the whole segment was compared with its
// SHA-256.
func (q *Query) versions(ctx context.Context, sg *segment, w *wanted) ([]Version, error) {
	var out []Version
	err := q.src.retry(ctx, q.ask, sg.stores, func(store int) error {
		within, cancel := context.WithTimeout(ctx, q.ask.AttemptTimeout+time.Duration(sg.bytes>>20)*time.Second)
		defer cancel()
		got, err := firstOf(q.src.entries[store][sg.key], func(e archive.SegmentEntry) ([]Version, error) {
			return q.scanEither(within, store, e, sg, w)
		})
		if err != nil && within.Err() != nil && ctx.Err() == nil {
			// A store that hangs is not known to lack anything.
			return &archive.StoreError{Op: "read", Store: q.src.archives[store].Store().URL(),
				Key: archive.NodePrefix(q.src.node) + sg.key, Class: archive.ErrUnreachable, Err: err}
		}
		out = got
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read segment with LSNs %d to %d: %w", uint64(sg.lo), uint64(sg.hi), err)
	}
	return out, nil
}

// scanEither reads a segment's own object, or else the pack that holds it too.
func (q *Query) scanEither(ctx context.Context, store int, e archive.SegmentEntry, sg *segment, w *wanted) ([]Version, error) {
	out, err := q.scan(ctx, store, e, sg, w)
	if err == nil || e.Packed == nil || e.PackedOnly || ctx.Err() != nil {
		return out, err
	}
	e.PackedOnly = true
	if packed, perr := q.scan(ctx, store, e, sg, w); perr == nil {
		return packed, nil
	}
	return nil, err
}

func (q *Query) scan(ctx context.Context, store int, e archive.SegmentEntry, sg *segment, w *wanted) ([]Version, error) {
	name, err := segmentKey(sg.name)
	if err != nil {
		return nil, err
	}
	key := e.Object.Key
	if e.PackedOnly {
		key = e.Packed.Pack.Object.Key
	}
	body, err := q.src.archives[store].OpenSegment(ctx, e)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	var out []Version
	hd, err := readWhole(ctx, body, key, func(r *wal.Record) (err error) {
		if r.LSN >= sg.lo && r.LSN <= sg.hi {
			out, err = appendVersions(out, sg.timeline, r, w)
		}
		return err
	})
	if err == nil {
		err = name.Check(hd.seg, q.src.node)
	}
	if err != nil && ctx.Err() == nil && !archive.Retryable(err) {
		return nil, q.src.damage(store, key, err)
	}
	return out, err
}

// appendVersions decodes one record.
func appendVersions(out []Version, tl wal.Timeline, r *wal.Record, w *wanted) ([]Version, error) {
	if r.VShard == wal.VShardNone {
		return out, nil
	}
	err := kv.Changes(r, func(tenant uint32, op string, key, value []byte, expireAt int64) error {
		if w.takes(tenant, op, key, value) {
			out = append(out, Version{Position: Position{Timeline: tl, LSN: r.LSN, Time: microTime(r.Time)},
				Tenant: tenant, Key: bytes.Clone(key), Op: op, Type: r.Type, Value: bytes.Clone(value), ExpireAt: expireAt})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("record LSN %d: %w", uint64(r.LSN), err)
	}
	return out, nil
}
