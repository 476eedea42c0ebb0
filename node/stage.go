package node

import (
	"errors"
	"fmt"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// stage evaluates one request on the core's thread: what it changes is encoded
// into the open flight, in the order in which requests arrive.
func (c *core) stage(r *request) {
	f := c.filling()
	if f.batch.Size() > flightBytesMax {
		c.Flush(nil, true)
		f = c.filling()
	}
	c.undo = f.mark()
	if err := c.evaluate(f, r); err != nil {
		c.rewind(f, c.undo)
		c.countAlone(r, err)
		c.tell(r.finish(err))
	}
}

func (c *core) evaluate(f *flight, r *request) error {
	s := r.shard
	if s.state.Load() != shardServing {
		return s.failure()
	}
	if err := s.v.Admit(); err != nil {
		return err
	}
	if len(r.idem) > 0 {
		if done, err := c.repeat(f, r); done || err != nil {
			return err
		}
	}
	switch r.op {
	case opPut:
		return c.change(f, r, kv.OpPut, r.value, r.expire)
	case opDelete:
		return c.evalDelete(f, r)
	case opIncrement:
		return c.evalIncrement(f, r)
	case opCompareAndSwap:
		return c.evalCompareAndSwap(f, r)
	case opPutIfAbsent:
		return c.evalPutIfAbsent(f, r)
	case opExpire:
		return c.evalExpire(f, r)
	case opBatch:
		return c.evalBatch(f, r)
	case opUpdate:
		return c.evalUpdate(f, r)
	}
	panic(fmt.Sprintf("node: unknown operation %d", r.op))
}

func (c *core) evalDelete(f *flight, r *request) error {
	_, exists, err := c.current(f, r)
	if err != nil {
		return err
	}
	r.ok = exists
	if !exists {
		return c.unchanged(f, r, kv.OpDelete)
	}
	buf := f.batch.Begin(kv.TypeDelete, r.tenant, r.shard.id, r.idem)
	buf = kv.AppendDelete(buf, &kv.Delete{Op: kv.OpDelete, Result: r.result(), Key: r.key})
	if err := f.batch.End(buf); err != nil {
		return err
	}
	f.staged(r, r.hash)
	return nil
}

func (c *core) evalIncrement(f *flight, r *request) error {
	e, exists, err := c.current(f, r)
	if err != nil {
		return err
	}
	var n int64
	if exists {
		if n, err = parseInteger(e.Value); err != nil {
			return err
		}
	}
	if n, err = addInteger(n, r.delta); err != nil {
		return err
	}
	r.num, r.ok = n, true
	expire := e.ExpireAt
	if r.expire != 0 {
		expire = r.expire
	}
	var digits [20]byte
	return c.change(f, r, kv.OpIncrement, appendInteger(digits[:0], n), expire)
}

func (c *core) evalCompareAndSwap(f *flight, r *request) error {
	e, exists, err := c.current(f, r)
	if err != nil {
		return err
	}
	if exists != (r.old != nil) || exists && string(e.Value) != string(r.old) {
		return c.unchanged(f, r, kv.OpCompareAndSwap)
	}
	r.ok = true
	return c.change(f, r, kv.OpCompareAndSwap, r.value, r.expire)
}

func (c *core) evalPutIfAbsent(f *flight, r *request) error {
	_, exists, err := c.current(f, r)
	if err != nil {
		return err
	}
	if exists {
		return c.unchanged(f, r, kv.OpPutIfAbsent)
	}
	r.ok = true
	return c.change(f, r, kv.OpPutIfAbsent, r.value, r.expire)
}

func (c *core) evalExpire(f *flight, r *request) error {
	e, exists, err := c.current(f, r)
	if err != nil {
		return err
	}
	r.ok = exists
	if !exists || e.ExpireAt == r.expire {
		return c.unchanged(f, r, kv.OpExpire)
	}
	return c.change(f, r, kv.OpExpire, e.Value, r.expire)
}

func (c *core) evalBatch(f *flight, r *request) error {
	r.ok = true
	b := kv.Batch{Op: kv.OpBatch, Result: r.result(), Mutations: r.muts}
	buf := f.batch.Begin(kv.TypeBatch, r.tenant, r.shard.id, r.idem)
	if err := f.batch.End(kv.AppendBatch(buf, &b)); err != nil {
		return err
	}
	f.stagedBatch(r)
	return nil
}

// change stages the record that gives r.key a value.
func (c *core) change(f *flight, r *request, op kv.Op, value []byte, expire int64) error {
	buf := f.batch.Begin(kv.TypePut, r.tenant, r.shard.id, r.idem)
	buf = kv.AppendPut(buf, &kv.Put{Op: op, ExpireAt: expire, Result: r.result(), Key: r.key, Value: value})
	if err := f.batch.End(buf); err != nil {
		return err
	}
	f.staged(r, r.hash)
	return nil
}

// unchanged stages a request that changes nothing. What it saw may not be
// durable yet, so it is answered in its turn. With an idempotency key its
// outcome is logged, as that of any request that was executed.
func (c *core) unchanged(f *flight, r *request, op kv.Op) error {
	if len(r.idem) == 0 {
		f.ops = append(f.ops, stagedOp{r, -1})
		return nil
	}
	buf := f.batch.Begin(kv.TypeResult, r.tenant, r.shard.id, r.idem)
	if err := f.batch.End(kv.AppendResult(buf, &kv.Result{Op: op, Result: r.result()})); err != nil {
		return err
	}
	record := int32(f.batch.Len() - 1)
	f.ops = append(f.ops, stagedOp{r, record})
	c.rememberStaged(f, r, record)
	return nil
}

// current is the entry of r.key with everything that was staged before r:
// first what is not applied yet, newest first, then the store.
func (c *core) current(f *flight, r *request) (e kv.Entry, exists bool, err error) {
	now := c.node.nowMillis()
	if m, ok, err := c.findStaged(f, r); ok || err != nil {
		dead := m.Delete || m.ExpireAt != 0 && m.ExpireAt <= now
		return kv.Entry{Value: m.Value, ExpireAt: m.ExpireAt}, !dead && err == nil, err
	}
	e, err = kv.Read(r.shard.v, r.tenant, r.key, now)
	if errors.Is(err, kv.ErrNotFound) {
		return kv.Entry{}, false, nil
	}
	return e, err == nil, err
}

// findStaged returns the newest staged change of r.key.
func (c *core) findStaged(f *flight, r *request) (kv.Mutation, bool, error) {
	if m, ok, err := f.find(r); ok || err != nil {
		return m, ok, err
	}
	for i := len(c.queue.items) - 1; i >= 0; i-- {
		if m, ok, err := c.queue.items[i].find(r); ok || err != nil {
			return m, ok, err
		}
	}
	for i := len(c.pending) - 1; i >= 0; i-- {
		if m, ok, err := c.pending[i].find(r); ok || err != nil {
			return m, ok, err
		}
	}
	return kv.Mutation{}, false, nil
}

// staged notes the record that was encoded last as r's.
func (f *flight) staged(r *request, hash uint64) {
	record := int32(f.batch.Len() - 1)
	f.ops = append(f.ops, stagedOp{r, record})
	f.keys = append(f.keys, stagedKey{hash: hash, record: record, shard: r.shard})
	if len(r.idem) > 0 {
		r.core.rememberStaged(f, r, record)
	}
}

func (f *flight) stagedBatch(r *request) {
	record := int32(f.batch.Len() - 1)
	f.ops = append(f.ops, stagedOp{r, record})
	for i := range r.muts {
		f.keys = append(f.keys, stagedKey{hash: keyHash(r.tenant, r.muts[i].Key), record: record, sub: int32(i), shard: r.shard})
	}
	if len(r.idem) > 0 {
		r.core.rememberStaged(f, r, record)
	}
}

// find returns the newest change of r.key in the flight.
func (f *flight) find(r *request) (kv.Mutation, bool, error) {
	for i := len(f.keys) - 1; i >= 0; i-- {
		k := &f.keys[i]
		if k.hash != r.hash || k.shard != r.shard {
			continue
		}
		rec := f.batch.Record(int(k.record))
		m, key, err := mutationOf(&rec, int(k.sub))
		if err != nil {
			return kv.Mutation{}, false, err
		}
		if rec.Tenant == r.tenant && string(key) == string(r.key) {
			return m, true, nil
		}
	}
	return kv.Mutation{}, false, nil
}

// mutationOf decodes the change that a staged record makes.
func mutationOf(rec *wal.Record, sub int) (kv.Mutation, []byte, error) {
	switch rec.Type {
	case kv.TypePut:
		p, err := kv.DecodePut(rec.Payload)
		return kv.Mutation{Key: p.Key, Value: p.Value, ExpireAt: p.ExpireAt}, p.Key, err
	case kv.TypeDelete:
		d, err := kv.DecodeDelete(rec.Payload)
		return kv.Mutation{Key: d.Key, Delete: true}, d.Key, err
	case kv.TypeBatch:
		b, err := kv.DecodeBatch(rec.Payload)
		if err != nil {
			return kv.Mutation{}, nil, err
		}
		return b.Mutations[sub], b.Mutations[sub].Key, nil
	}
	panic(fmt.Sprintf("node: staged key of a record of type %s", rec.Type))
}
