package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

// An Entry is a key's value with its expiry and the LSN that set it.
type Entry = kv.Entry

// Priority orders the requests of one core.
type Priority = tpc.Priority

// WriteOptions are the options of one write; nil is all defaults.
type WriteOptions struct {
	// TTL and ExpireAt limit the life of what is written; at most one is set.
	// A TTL counts from now on the node's clock and is stored as a time.
	TTL      time.Duration
	ExpireAt time.Time
	// IdempotencyKey makes a repeated request return the outcome of the first
	// that was executed, also after a restart, for Options.IdempotencyTTL. It
	// is scoped to the tenant and to the vshard of the request's key.
	IdempotencyKey []byte
	// Async acknowledges the write once it is in the log's buffer. A crash may
	// lose it. It becomes visible when it is durable, as any other write.
	Async bool
	// Priority is the request's class in the core's inbox.
	Priority Priority
	// TraceID is printed with a panic of the request.
	TraceID string
}

// A DB is one tenant's keys. It is a small handle; make as many as you like.
type DB struct {
	node   *Node
	tenant uint32
}

// Tenant returns the handle of a tenant's key space. Tenants need not be
// created; they share nothing but the node.
func (n *Node) Tenant(id uint32) *DB { return &DB{n, id} }

// ReadAfter waits until every write up to lsn is visible; see [Node.ReadAfter].
func (db *DB) ReadAfter(ctx context.Context, lsn wal.LSN) error { return db.node.ReadAfter(ctx, lsn) }

// Get returns the value of key, or ErrNotFound. The slice is the caller's.
func (db *DB) Get(ctx context.Context, key []byte) ([]byte, error) {
	e, err := db.Lookup(ctx, key)
	return e.Value, err
}

// Lookup returns the entry of key, or ErrNotFound. It reads on the caller's
// goroutine and never waits for a core; ctx is only looked at.
func (db *DB) Lookup(ctx context.Context, key []byte) (Entry, error) {
	return db.AppendLookup(ctx, nil, key)
}

// AppendLookup is Lookup with the value appended to dst, which becomes Entry.Value
// also when there is an error.
func (db *DB) AppendLookup(ctx context.Context, dst, key []byte) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{Value: dst}, err
	}
	if err := kv.CheckKey(key); err != nil {
		return Entry{Value: dst}, err
	}
	s := db.node.shards[kv.VShardOf(key, len(db.node.shards))]
	for {
		// As shard.intact, without a closure: this is the hot path.
		outages := s.outages.Load()
		if s.state.Load() != shardServing {
			return Entry{Value: dst}, s.failure()
		}
		e, err := kv.AppendRead(dst, s.v, db.tenant, key, 0)
		if s.outages.Load() != outages {
			continue
		}
		if err != nil && errors.Is(err, engine.ErrClosed) {
			err = s.failure()
		}
		// The clock is asked only where it matters.
		if err == nil && e.ExpireAt != 0 && e.ExpireAt <= db.node.nowMillis() {
			return Entry{Value: dst}, ErrNotFound
		}
		return e, err
	}
}

// Exists reports whether key has a value.
func (db *DB) Exists(ctx context.Context, key []byte) (bool, error) {
	_, err := db.Lookup(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Put sets key to value and returns the LSN of the change.
func (db *DB) Put(ctx context.Context, key, value []byte, o *WriteOptions) (wal.LSN, error) {
	r, err := db.request(opPut, key, value, nil, o)
	if err != nil {
		return 0, err
	}
	gone, err := r.do(ctx)
	if gone {
		return 0, err
	}
	defer r.free()
	return r.lsn, err
}

// Delete removes key and reports whether it existed.
func (db *DB) Delete(ctx context.Context, key []byte, o *WriteOptions) (existed bool, err error) {
	return db.conditional(ctx, opDelete, key, nil, nil, o)
}

// PutIfAbsent sets key to value unless it has a value, and reports whether it did.
func (db *DB) PutIfAbsent(ctx context.Context, key, value []byte, o *WriteOptions) (put bool, err error) {
	return db.conditional(ctx, opPutIfAbsent, key, value, nil, o)
}

// CompareAndSwap sets key to value if its value is old, and reports whether it
// did. A nil old means that the key must not exist; an empty one is a value.
func (db *DB) CompareAndSwap(ctx context.Context, key, old, value []byte, o *WriteOptions) (swapped bool, err error) {
	return db.conditional(ctx, opCompareAndSwap, key, value, old, o)
}

// Expire sets the time at which key ceases to exist, or with the zero time
// removes it, and reports whether the key exists. The value stays.
func (db *DB) Expire(ctx context.Context, key []byte, at time.Time, o *WriteOptions) (exists bool, err error) {
	c := WriteOptions{}
	if o != nil {
		c = *o
	}
	c.TTL, c.ExpireAt = 0, at
	return db.conditional(ctx, opExpire, key, nil, nil, &c)
}

func (db *DB) conditional(ctx context.Context, op opCode, key, value, old []byte, o *WriteOptions) (bool, error) {
	r, err := db.request(op, key, value, old, o)
	if err != nil {
		return false, err
	}
	gone, err := r.do(ctx)
	if gone {
		return false, err
	}
	defer r.free()
	return r.ok, err
}

// Increment adds delta to the decimal 64-bit integer at key, taking an absent
// key as 0, and returns the sum. The expiry stays unless o gives one.
func (db *DB) Increment(ctx context.Context, key []byte, delta int64, o *WriteOptions) (int64, error) {
	r, err := db.request(opIncrement, key, nil, nil, o)
	if err != nil {
		return 0, err
	}
	r.delta = delta
	gone, err := r.do(ctx)
	if gone {
		return 0, err
	}
	defer r.free()
	return r.num, err
}

// Apply makes all changes of the batch or none, in one log record, and returns
// its LSN. ErrCrossVShard: the keys do not share a vshard.
func (db *DB) Apply(ctx context.Context, b *Batch, o *WriteOptions) (wal.LSN, error) {
	if b.Len() == 0 {
		return 0, fmt.Errorf("%w: the batch is empty", ErrKeyEmpty)
	}
	r, err := db.batchRequest(b, o)
	if err != nil {
		return 0, err
	}
	gone, err := r.do(ctx)
	if gone {
		return 0, err
	}
	defer r.free()
	return r.lsn, err
}

// request prepares a write; everything that can be refused without a core is.
func (db *DB) request(op opCode, key, value, old []byte, o *WriteOptions) (*request, error) {
	if err := kv.CheckKey(key); err != nil {
		return nil, err
	}
	if err := kv.CheckValue(value); err != nil {
		return nil, err
	}
	r := newRequest(op, db.tenant)
	if err := db.prepare(r, key, o); err != nil {
		r.free()
		return nil, err
	}
	var idem []byte
	if o != nil {
		idem = o.IdempotencyKey
	}
	r.own(key, value, old, idem)
	r.hash = keyHash(db.tenant, key)
	return r, nil
}

func (db *DB) batchRequest(b *Batch, o *WriteOptions) (*request, error) {
	n := len(db.node.shards)
	home := kv.VShardOf(b.muts[0].Key, n)
	for i := range b.muts {
		m := &b.muts[i]
		if err := errors.Join(kv.CheckKey(m.Key), kv.CheckValue(m.Value)); err != nil {
			return nil, fmt.Errorf("batch entry %d: %w", i, err)
		}
		if v := kv.VShardOf(m.Key, n); v != home {
			return nil, fmt.Errorf("%w: %q and %q; give the keys one {tag}", ErrCrossVShard, b.muts[0].Key, m.Key)
		}
	}
	r := newRequest(opBatch, db.tenant)
	if err := db.prepare(r, b.muts[0].Key, o); err != nil {
		r.free()
		return nil, err
	}
	var idem []byte
	if o != nil {
		idem = o.IdempotencyKey
	}
	r.ownBatch(b.muts, idem)
	return r, nil
}

func (db *DB) prepare(r *request, key []byte, o *WriteOptions) error {
	n := db.node
	if err := n.admit(); err != nil {
		return err
	}
	r.shard = n.shards[kv.VShardOf(key, len(n.shards))]
	r.core = r.shard.core
	if o == nil {
		return nil
	}
	if len(o.IdempotencyKey) > wal.IdemBytesMax {
		return ErrIdempotencyKey
	}
	if o.TTL != 0 && !o.ExpireAt.IsZero() || o.TTL < 0 {
		return fmt.Errorf("node: give a positive TTL or ExpireAt, not both")
	}
	r.expire = expiryMillis(o.ExpireAt)
	if o.TTL > 0 {
		r.expire = expiryMillis(n.opts.Clock().Add(o.TTL))
	}
	r.async, r.hdr.Priority, r.hdr.TraceID = o.Async, o.Priority, o.TraceID
	return nil
}

// nowMillis is the node's clock as reads compare it with expiries.
func (n *Node) nowMillis() int64 { return n.opts.Clock().UnixMilli() }
