package kv

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
)

// Engine is the key-value engine. The zero value works, with default options.
type Engine struct {
	opts Options
}

// Options of the engine. The zero value works.
type Options struct {
	// IdempotencyTTL is how long the outcomes of requests with an idempotency key
	// are kept, at least. Default 24 hours; negative: for ever.
	IdempotencyTTL time.Duration
}

// New returns the engine; opts may be nil.
func New(opts *Options) Engine {
	if opts == nil {
		return Engine{}
	}
	return Engine{opts: *opts}
}

var _ engine.Engine = Engine{}

const (
	idempotencyTTLDefault = 24 * time.Hour

	// A slice of maintenance is one record of each kind; applying it takes less
	// than 2 ms.
	expireKeysMax = 256
	purgeMax      = 256
)

// Name is part of engine.Engine.
func (Engine) Name() string { return "kv" }

// AddDigest is part of engine.Engine. An entry is hashed as
//
//	"kv1" | tenant u32 LE | key length u32 LE | key | expiry i64 LE | value
//
// The LSN is not in it, so that equal data has an equal digest however it came to
// be. Indexes and outcomes are not in it either.
func (Engine) AddDigest(ctx context.Context, r engine.Reader, d *engine.Digest) error {
	it, err := r.NewIter([]byte{spaceEntry}, []byte{spaceEntry + 1})
	if err != nil {
		return err
	}
	err = addDigest(ctx, it, d)
	return errors.Join(err, it.Err(), it.Close())
}

func addDigest(ctx context.Context, it *engine.Iterator, d *engine.Digest) error {
	const entriesPerCheck = 4096
	buf := []byte(digestMark)
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%entriesPerCheck == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		_, expireAt, value, err := splitValue(it.Value())
		if err != nil {
			return err
		}
		k := it.Key()
		buf = appendDigestEntry(buf, binary.BigEndian.Uint32(k[1:]), k[entryPrefixLen:], expireAt, value)
		d.AddEntry(buf)
	}
	return nil
}

const digestMark = "kv1"

// appendDigestEntry replaces what follows the mark in buf by an entry.
func appendDigestEntry(buf []byte, tenant uint32, key []byte, expireAt int64, value []byte) []byte {
	buf = binary.LittleEndian.AppendUint32(buf[:len(digestMark)], tenant)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(key)))
	buf = append(buf, key...)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(expireAt))
	return append(buf, value...)
}

// Maintain is part of engine.Engine: it proposes to remove expired entries and
// old outcomes, one record of each. What it proposed is found again until it is
// applied, so the core calls it again only then.
func (e Engine) Maintain(m *engine.Maintenance) (more bool, err error) {
	ref, err := m.VShard.Acquire()
	if err != nil {
		return false, err
	}
	defer ref.Release()
	keys, err := Expired(ref.Reader(), m.Now.UnixMilli(), expireKeysMax)
	if err != nil {
		return false, m.VShard.Damage(err)
	}
	if len(keys) > 0 {
		payload := AppendExpire(nil, &Expire{Op: OpMaintenance, Keys: keys})
		if err := m.Emit(TypeExpire, 0, payload); err != nil {
			return true, err
		}
	}
	old, err := e.purgeOld(m, ref.Reader())
	return old || len(keys) == expireKeysMax, err
}

func (e Engine) purgeOld(m *engine.Maintenance, r engine.Reader) (bool, error) {
	keep := e.opts.IdempotencyTTL
	if keep == 0 {
		keep = idempotencyTTLDefault
	}
	if keep < 0 {
		return false, nil
	}
	before := m.Now.Add(-keep).UnixMicro()
	oldest, ok, err := OldestOutcome(r)
	if err != nil {
		return false, m.VShard.Damage(err)
	}
	if !ok || oldest >= before || before <= 0 {
		return false, nil
	}
	payload := AppendIdemPurge(nil, &IdemPurge{Op: OpMaintenance, Limit: purgeMax, BeforeMicros: before})
	return true, m.Emit(TypeIdemPurge, 0, payload)
}

// Expired returns up to limit keys that may have expired at nowMillis, in the
// order of their time. Some may have been written again since; the Expire record
// that they go into sorts that out.
func Expired(r engine.Reader, nowMillis int64, limit int) ([]Due, error) {
	if nowMillis < 0 || limit <= 0 {
		return nil, nil
	}
	it, err := r.NewIter([]byte{spaceDue}, appendIndexKey(nil, spaceDue, nowMillis+1, 0, nil))
	if err != nil {
		return nil, err
	}
	keys, err := collectDue(it, limit)
	return keys, errors.Join(err, it.Err(), it.Close())
}

func collectDue(it *engine.Iterator, limit int) ([]Due, error) {
	const bytesMax = 1 << 20 // of keys in one record
	var keys []Due
	size := 0
	for ok := it.First(); ok && len(keys) < limit && size < bytesMax; ok = it.Next() {
		at, tenant, key, err := splitIndexKey(it.Key())
		if err != nil {
			return nil, err
		}
		keys = append(keys, Due{Millis: at, Tenant: tenant, Key: append([]byte(nil), key...)})
		size += len(key)
	}
	return keys, nil
}
