package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

type opCode uint8

const (
	opPut opCode = iota + 1
	opDelete
	opIncrement
	opCompareAndSwap
	opPutIfAbsent
	opExpire
	opBatch
	opUpdate
)

// requestBytesKept bounds the buffer that an idle request keeps.
const requestBytesKept = 64 << 10

// A request is one write on its way through a core. The client fills it, then
// owns nothing of it until its waiter is done; a client that gives up leaves it
// to the core.
type request struct {
	hdr    tpc.Header
	waiter tpc.Waiter
	// began is when the client submitted it, by Node.moment. 0: the core does not
	// count it. Here, since the core reads it right before it answers the waiter.
	began int64

	// Set by the client.
	core  *core
	shard *shard
	op    opCode
	async bool
	// patient: the client tries again after ErrStalled, which ends nothing.
	patient bool
	tenant  uint32
	hash    uint64 // of the whole key
	delta   int64
	expire  int64 // ms since the Unix epoch, 0 for never
	key     []byte
	value   []byte // new value
	old     []byte // expected value of a compare-and-swap; nil: must not exist
	idem    []byte
	muts    []kv.Mutation
	fn      func(*Tx) error
	buf     []byte // backs key, value, old and idem
	// Who is to be told when it is answered, and by whom; both or neither.
	starter *Starter
	end     Ender

	// Set by the core before the waiter is done.
	lsn wal.LSN
	num int64
	ok  bool
	err error
	// refused is the error of fn, which answers the client in its turn.
	refused error
}

var requests = sync.Pool{New: func() any { return new(request) }}

func newRequest(op opCode, tenant uint32) *request {
	r := requests.Get().(*request)
	r.op, r.tenant = op, tenant
	return r
}

// free gives the request back. Only who owns it alone may call it.
func (r *request) free() {
	buf, muts := r.buf[:0], r.muts[:0]
	if cap(buf) > requestBytesKept {
		buf = nil
	}
	clear(r.muts)
	r.hdr.ResetHeader()
	r.core, r.shard, r.key, r.value, r.old, r.idem = nil, nil, nil, nil, nil, nil
	r.async, r.patient, r.began, r.delta, r.expire, r.hash = false, false, 0, 0, 0, 0
	r.lsn, r.num, r.ok, r.err = 0, 0, false, nil
	r.fn, r.refused, r.starter, r.end = nil, nil, nil, nil
	r.buf, r.muts = buf, muts
	requests.Put(r)
}

// own copies the caller's slices into the request: a caller that gives up may
// reuse them while the core still reads.
func (r *request) own(key, value, old, idem []byte) {
	need := len(key) + len(value) + len(old) + len(idem)
	if cap(r.buf) < need {
		r.buf = make([]byte, 0, need)
	}
	b := r.buf[:0]
	take := func(p []byte) []byte {
		if p == nil {
			return nil
		}
		start := len(b)
		b = append(b, p...)
		return b[start:len(b):len(b)]
	}
	r.key, r.value, r.old, r.idem = take(key), take(value), take(old), take(idem)
	r.buf = b
}

// ownBatch copies the changes and everything they refer to.
func (r *request) ownBatch(muts []kv.Mutation, idem []byte) {
	need := len(idem)
	for i := range muts {
		need += len(muts[i].Key) + len(muts[i].Value)
	}
	if cap(r.buf) < need {
		r.buf = make([]byte, 0, need)
	}
	b := r.buf[:0]
	take := func(p []byte) []byte {
		start := len(b)
		b = append(b, p...)
		return b[start:len(b):len(b)]
	}
	for _, m := range muts {
		m.Key, m.Value = take(m.Key), take(m.Value)
		r.muts = append(r.muts, m)
	}
	r.idem = take(idem)
	r.buf = b
}

// keyHash is the hash of a tenant's key by which staged changes are found.
func keyHash(tenant uint32, key []byte) uint64 {
	return xxhash.Sum64(key) ^ uint64(tenant)*0x9E3779B97F4A7C15
}

// Header implements tpc.Task.
func (r *request) Header() *tpc.Header { return &r.hdr }

// Run implements tpc.Task.
func (r *request) Run(*tpc.Core) { r.core.stage(r) }

// Fail implements tpc.Task.
func (r *request) Fail(err error) {
	r.core.countAlone(r, err)
	if s := r.finish(err); s != nil {
		s.wake() // the core may be about to end
	}
}

// finish answers the client, on the core's thread. It returns the Starter that is
// to be woken, if there is one.
func (r *request) finish(err error) *Starter {
	r.err = err
	s, end := r.starter, r.end
	// A client that has gone may still cancel the request, so that is not given
	// back: another client's would be cancelled instead.
	r.waiter.Done()
	if end != nil {
		end.UpdateEnded() // r may be another's by now
	}
	return s
}

// A store that is behind with its flushes is waited for: that is back-pressure,
// not an error, unless it lasts.
const (
	stallWait    = 2 * time.Millisecond
	stallWaitMax = 30 * time.Second
)

// endWith takes over the deadline of ctx.
func (r *request) endWith(ctx context.Context) {
	if dl, ok := ctx.Deadline(); ok {
		r.hdr.Deadline = dl
	}
}

// do sends the request to its core and waits for the answer. When gone, the
// request belongs to the core and must not be touched.
func (r *request) do(ctx context.Context) (gone bool, err error) {
	r.endWith(ctx)
	r.began, r.patient = r.core.node.moment(), true
	gone, err = r.once(ctx)
	if gone || err == nil || !errors.Is(err, engine.ErrStalled) {
		return gone, err
	}
	return r.again(ctx, err)
}

// again tries until the store has caught up with its flushes. It counts the time of
// the update itself, pauses and all.
func (r *request) again(ctx context.Context, err error) (gone bool, _ error) {
	c, began := r.core, r.began
	r.began = 0
	defer func() { c.times.Observe(time.Duration(c.node.moment() - began)) }()
	for waited := time.Duration(0); !gone && errors.Is(err, engine.ErrStalled) && waited < stallWaitMax; waited += stallWait {
		c.node.noteDiskFull(err)
		timer := time.NewTimer(stallWait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		gone, err = r.once(ctx)
	}
	return gone, err
}

func (r *request) once(ctx context.Context) (gone bool, err error) {
	if err := r.start(); err != nil {
		return false, err
	}
	return r.wait(ctx)
}

// start sends the request to its core. Then wait must follow.
func (r *request) start() error {
	if !r.core.node.calls.enter() {
		return ErrClosed
	}
	if err := r.core.tpc.Submit(r); err != nil {
		r.core.node.calls.leave()
		return r.core.node.submitError(err)
	}
	return nil
}

func (r *request) wait(ctx context.Context) (gone bool, err error) {
	defer r.core.node.calls.leave()
	if err := r.waiter.Wait(ctx); err != nil {
		r.hdr.Cancel()
		return true, fmt.Errorf("wait for the write, whose outcome is unknown: %w", err)
	}
	return false, r.err
}
