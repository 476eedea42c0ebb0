package kv

import (
	"encoding/binary"
	"errors"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// Owns is part of engine.Engine.
func (Engine) Owns(t wal.Type) bool { return t >= typeFirst && t <= typeLast }

// Apply is part of engine.Engine: the one place where kv data changes.
func (Engine) Apply(b *engine.Batch, r *wal.Record) error {
	switch r.Type {
	case TypePut:
		return applyPut(b, r)
	case TypeDelete:
		return applyDelete(b, r)
	case TypeBatch:
		return applyBatch(b, r)
	case TypeExpire:
		return applyExpire(b, r)
	case TypeIdemPurge:
		return applyIdemPurge(b, r)
	case TypeResult:
		return applyResult(b, r)
	}
	return &wal.UnknownTypeError{LSN: r.LSN, Type: r.Type}
}

func applyPut(b *engine.Batch, r *wal.Record) error {
	p, err := DecodePut(r.Payload)
	if err != nil {
		return err
	}
	put(b, r, p.Key, p.Value, p.ExpireAt)
	keepOutcome(b, r, p.Op, p.Result)
	return nil
}

func applyDelete(b *engine.Batch, r *wal.Record) error {
	d, err := DecodeDelete(r.Payload)
	if err != nil {
		return err
	}
	remove(b, r.Tenant, d.Key)
	keepOutcome(b, r, d.Op, d.Result)
	return nil
}

func applyBatch(b *engine.Batch, r *wal.Record) error {
	h, walk, err := decodeBatch(r.Payload)
	if err != nil {
		return err
	}
	for {
		c, ok, err := walk.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if c.Delete {
			remove(b, r.Tenant, c.Key)
		} else {
			put(b, r, c.Key, c.Value, c.ExpireAt)
		}
	}
	keepOutcome(b, r, h.op, h.result)
	return nil
}

func put(b *engine.Batch, r *wal.Record, key, value []byte, expireAt int64) {
	k, v := b.Set(entryPrefixLen+len(key), valueLen(expireAt, value))
	putEntryKey(k, spaceEntry, r.Tenant, key)
	putValue(v, uint64(r.LSN), expireAt, value)
	if expireAt != 0 {
		k, _ := b.Set(indexPrefixLen+len(key), 0)
		putIndexKey(k, spaceDue, dueMillis(expireAt), r.Tenant, key)
	}
}

func remove(b *engine.Batch, tenant uint32, key []byte) {
	putEntryKey(b.Delete(entryPrefixLen+len(key)), spaceEntry, tenant, key)
}

// applyExpire removes entries whose time has come and has not been moved since
// the record was proposed, and the index entries in any case.
func applyExpire(b *engine.Batch, r *wal.Record) error {
	e, err := DecodeExpire(r.Payload)
	if err != nil {
		return err
	}
	var key []byte
	for i := range e.Keys {
		d := &e.Keys[i]
		due := d.Millis
		key = appendEntryKey(key[:0], spaceEntry, d.Tenant, d.Key)
		err := b.DeleteIf(key, func(stored []byte) bool {
			_, expireAt, _, err := splitValue(stored)
			return err == nil && expireAt != 0 && expireAt <= due
		})
		if err != nil {
			return err
		}
	}
	for i := range e.Keys {
		d := &e.Keys[i]
		putIndexKey(b.Delete(indexPrefixLen+len(d.Key)), spaceDue, d.Millis, d.Tenant, d.Key)
	}
	keepOutcome(b, r, e.Op, e.Result)
	return nil
}

// keepOutcome remembers what the request was answered, if it has an idempotency
// key.
func keepOutcome(b *engine.Batch, r *wal.Record, op Op, result []byte) {
	if len(r.Idem) == 0 {
		return
	}
	k, v := b.Set(entryPrefixLen+len(r.Idem), outcomePrefixLen+len(result))
	putEntryKey(k, spaceOutcome, r.Tenant, r.Idem)
	putOutcome(v, r, op, result)
	k, _ = b.Set(indexPrefixLen+len(r.Idem), 0)
	putIndexKey(k, spaceOutcomes, r.Time, r.Tenant, r.Idem)
}

func applyResult(b *engine.Batch, r *wal.Record) error {
	res, err := DecodeResult(r.Payload)
	if err != nil {
		return err
	}
	keepOutcome(b, r, res.Op, res.Result)
	return nil
}

// applyIdemPurge removes the oldest outcomes. An outcome that was replaced by a
// younger one of the same key stays; only its old index entry goes.
func applyIdemPurge(b *engine.Batch, r *wal.Record) error {
	p, err := DecodeIdemPurge(r.Payload)
	if err != nil {
		return err
	}
	state, err := b.Before()
	if err != nil {
		return err
	}
	it, err := state.NewIter([]byte{spaceOutcomes}, appendIndexKey(nil, spaceOutcomes, p.BeforeMicros, 0, nil))
	if err != nil {
		return err
	}
	err = purge(b, state, it, p.Limit)
	if err := errors.Join(err, it.Err(), it.Close()); err != nil {
		return b.VShard().Damage(err)
	}
	keepOutcome(b, r, p.Op, p.Result)
	return nil
}

func purge(b *engine.Batch, state engine.Reader, it *engine.Iterator, limit uint32) error {
	var key []byte
	for ok := it.First(); ok && limit > 0; ok = it.Next() {
		limit--
		at, tenant, idem, err := splitIndexKey(it.Key())
		if err != nil {
			return err
		}
		key = appendEntryKey(key[:0], spaceOutcome, tenant, idem)
		same, err := outcomeIsOf(state, key, at)
		if err != nil {
			return err
		}
		if same {
			copy(b.Delete(len(key)), key)
		}
		copy(b.Delete(len(it.Key())), it.Key())
	}
	return nil
}

func outcomeIsOf(state engine.Reader, key []byte, micros int64) (bool, error) {
	v, closer, err := state.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer closer.Close()
	return len(v) >= outcomePrefixLen && int64(binary.LittleEndian.Uint64(v[8:])) == micros, nil
}
