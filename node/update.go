package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// errIdempotentUpdate: a repeated update could not give again what its function
// saw.
var errIdempotentUpdate = errors.New("node: an update takes no idempotency key; use Apply, or keep the key beside the data")

// A Tx is what the function of an update reads and writes: the keys of one
// vshard. It must not be used after the function has returned.
type Tx struct {
	core  *core
	f     *flight
	r     *request
	probe request // a key that is looked for
	muts  []kv.Mutation
}

// Get is the entry of key or ErrNotFound, with every write before this one in it,
// also those that are not durable yet; its LSN is 0 then. The value must not be
// changed, and not be kept after the function has returned; it may be put again.
func (tx *Tx) Get(key []byte) (Entry, error) {
	if err := tx.check(key); err != nil {
		return Entry{}, err
	}
	for i := len(tx.muts) - 1; i >= 0; i-- {
		if m := &tx.muts[i]; string(m.Key) == string(key) {
			if m.Delete || m.ExpireAt != 0 && m.ExpireAt <= tx.core.node.nowMillis() {
				return Entry{}, ErrNotFound
			}
			return Entry{Value: m.Value, ExpireAt: m.ExpireAt}, nil
		}
	}
	tx.probe.key, tx.probe.hash = key, keyHash(tx.r.tenant, key)
	e, exists, err := tx.core.current(tx.f, &tx.probe)
	if err == nil && !exists {
		err = ErrNotFound
	}
	return e, err
}

// Put sets key to value until at; the zero time means for ever. Both slices must
// stay as they are until the update is answered.
func (tx *Tx) Put(key, value []byte, at time.Time) error {
	return tx.PutMillis(key, value, expiryMillis(at))
}

// PutMillis is Put with the expiry as [Entry] has it.
func (tx *Tx) PutMillis(key, value []byte, expireAt int64) error {
	if err := errors.Join(tx.check(key), kv.CheckValue(value)); err != nil {
		return err
	}
	tx.muts = append(tx.muts, kv.Mutation{Key: key, Value: value, ExpireAt: expireAt})
	return nil
}

// Delete removes key; an absent key is no error.
func (tx *Tx) Delete(key []byte) error {
	if err := tx.check(key); err != nil {
		return err
	}
	tx.muts = append(tx.muts, kv.Mutation{Key: key, Delete: true})
	return nil
}

// Len is the number of changes so far.
func (tx *Tx) Len() int { return len(tx.muts) }

// Rewind takes the changes behind the first n back.
func (tx *Tx) Rewind(n int) { tx.muts = tx.muts[:n] }

// Now is the node's clock.
func (tx *Tx) Now() time.Time { return tx.core.node.opts.Clock() }

func (tx *Tx) check(key []byte) error {
	if err := kv.CheckKey(key); err != nil {
		return err
	}
	n := tx.core.node
	if n.shards[kv.VShardOf(key, len(n.shards))] != tx.r.shard {
		return fmt.Errorf("%w: %q is in another than %q; give the keys one {tag}", ErrCrossVShard, key, tx.r.key)
	}
	return nil
}

// Update runs fn on the core that owns the vshard of key, alone there: between
// what fn reads and what it writes nobody else's write comes. What it writes
// becomes one log record, all or nothing, and Update returns its LSN when that is
// durable, or 0 when nothing was written. An error of fn undoes what it wrote and
// is returned, when what fn has read is durable.
//
// fn must not block: the whole core waits for it. It may still run, or run later,
// when Update has returned the context's error; what it refers to must live on.
// When the vshard's tables are behind, it runs once more after a pause. All its
// keys must be in the vshard of key; see [Batch].
func (db *DB) Update(ctx context.Context, key []byte, o *WriteOptions, fn func(*Tx) error) (wal.LSN, error) {
	r, err := db.updateRequest(key, o, fn)
	if err != nil {
		return 0, err
	}
	gone, err := r.do(ctx)
	if gone {
		return 0, err
	}
	defer r.free()
	return r.lsn, errors.Join(err, r.refused)
}

// VShard is the vshard of a key: keys with the same one can change together.
func (db *DB) VShard(key []byte) uint16 { return kv.VShardOf(key, len(db.node.shards)) }

// An Updating is an update under way.
type Updating struct{ r *request }

// StartUpdate is Update that does not wait. Updates of one vshard that one
// goroutine starts, with one priority, run in the order of their starts, so many
// can share a hop and a flush. Each must be waited for.
func (db *DB) StartUpdate(ctx context.Context, key []byte, o *WriteOptions, fn func(*Tx) error) (Updating, error) {
	r, err := db.updateRequest(key, o, fn)
	if err != nil {
		return Updating{}, err
	}
	r.endWith(ctx)
	r.began = db.node.moment()
	if err := r.start(); err != nil {
		r.free()
		return Updating{}, err
	}
	return Updating{r}, nil
}

// Wait is the second half of an Update, once. ErrStalled is returned at once,
// since a later update may have run.
func (u Updating) Wait(ctx context.Context) (wal.LSN, error) {
	gone, err := u.r.wait(ctx)
	if gone {
		return 0, err
	}
	defer u.r.free()
	return u.r.lsn, errors.Join(err, u.r.refused)
}

func (db *DB) updateRequest(key []byte, o *WriteOptions, fn func(*Tx) error) (*request, error) {
	if o != nil && len(o.IdempotencyKey) > 0 {
		return nil, errIdempotentUpdate
	}
	r, err := db.request(opUpdate, key, nil, nil, o)
	if err == nil {
		r.fn = fn
	}
	return r, err
}

func (c *core) evalUpdate(f *flight, r *request) error {
	r.refused = nil // of an earlier try
	tx := &c.tx
	tx.core, tx.f, tx.r, tx.muts = c, f, r, r.muts[:0]
	tx.probe.core, tx.probe.shard, tx.probe.tenant = c, r.shard, r.tenant
	err := r.fn(tx)
	r.muts = tx.muts
	tx.f, tx.r, tx.muts, tx.probe.shard, tx.probe.key = nil, nil, nil, nil, nil
	if err != nil || len(r.muts) == 0 {
		r.refused = err
		return c.unchanged(f, r, 0)
	}
	if len(r.muts) == 1 {
		return c.oneChange(f, r, &r.muts[0])
	}
	return c.evalBatch(f, r)
}

// oneChange stages the record of a single change, as that of the plain operation.
func (c *core) oneChange(f *flight, r *request, m *kv.Mutation) error {
	var buf []byte
	if m.Delete {
		buf = kv.AppendDelete(f.batch.Begin(kv.TypeDelete, r.tenant, r.shard.id, nil), &kv.Delete{Op: kv.OpDelete, Key: m.Key})
	} else {
		buf = kv.AppendPut(f.batch.Begin(kv.TypePut, r.tenant, r.shard.id, nil), &kv.Put{Op: kv.OpPut, ExpireAt: m.ExpireAt, Key: m.Key, Value: m.Value})
	}
	if err := f.batch.End(buf); err != nil {
		return err
	}
	f.staged(r, keyHash(r.tenant, m.Key))
	return nil
}
