package node

import (
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/internal/durations"
	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

// A core drives one thread of the node: it stages requests, hands them to the
// log, applies them when they are durable, and answers.
//
// Everything but the immutable part is touched from the core's thread only.
//
// Invariants: every record of open and inflight belongs to a vshard of this
// core; inflight is in LSN order; pending is durable and below inflight.
type core struct {
	// Immutable after Open.
	node   *Node
	id     int
	tpc    *tpc.Core
	app    *wal.Appender
	shards []*shard

	// Owned by the core.
	queue    flightQueue              // appended, not yet durable
	open     *flight                  // being filled; nil when empty
	pending  []*flight                // durable, being applied
	handing  *flight                  // on its way into the log, for Recovered
	touched  []*shard                 // with a batch to commit
	undo     mark                     // open before the request that is being evaluated
	applying *shard                   // whose record is being applied, for Recovered
	record   wal.Record               // that is being applied
	lastWait wal.LSN                  // of the newest flight
	lastTime int64                    // of its records, µs
	cutDone  *cut                     // the cut this core has answered
	idem     map[string]stagedOutcome // of requests in open, queue and pending
	sweep    sweep
	waiters  []applyWaiter
	tx       Tx         // of the update that runs; one at a time
	told     []*Starter // to be woken
	roundAt  int64      // moment of the round's first end outside of a flight; 0: none

	times durations.Live // of updates, from submission to end

	stopped atomic.Bool // by Stop: it answers no more cuts
}

// Start implements tpc.Driver.
func (c *core) Start(*tpc.Core) error { return nil }

// Flush implements tpc.Driver: it hands what was staged to the log.
func (c *core) Flush(_ *tpc.Core, more bool) {
	defer c.wakeTold()
	c.roundAt = 0
	f := c.open
	if f == nil {
		return
	}
	c.open = nil
	if f.empty() {
		c.queue.put(f)
		return
	}
	c.handing = f
	appended := c.append(f)
	c.handing = nil
	if !appended {
		return
	}
	c.queue.push(f)
	if f.batch.Len() == 0 {
		c.Poll(nil)
		return
	}
	c.answerAsync(f)
	c.wakeTold() // before the disk is waited for
	// With nothing of its own under way and nobody else at the log, the core
	// syncs on its own thread: two changes of thread less, and while it waits for
	// the disk the next group gathers in the inbox.
	if !more && c.queue.len() == 1 && c.app.Commit() {
		c.Poll(nil)
		return
	}
	c.node.log.Kick()
}

// append gives the flight its LSNs. When the log refuses, no LSN was taken and
// the flight's requests are answered with the reason.
func (c *core) append(f *flight) bool {
	if f.batch.Len() == 0 {
		f.wait = c.lastWait
		return true
	}
	first, micros, err := c.app.Append(&f.batch)
	if err != nil {
		c.fail(f, c.node.writeError(err))
		c.queue.put(f)
		return false
	}
	f.wait, f.time = first+wal.LSN(f.batch.Len())-1, micros
	c.lastWait, c.lastTime = f.wait, micros
	return true
}

// answerAsync acknowledges the requests that do not wait for durability.
func (c *core) answerAsync(f *flight) {
	now := int64(0)
	for i := range f.ops {
		op := &f.ops[i]
		if op.req != nil && op.req.async && op.record >= 0 {
			if now == 0 {
				now = c.node.moment()
			}
			if op.req.began != 0 {
				c.times.Observe(time.Duration(now - op.req.began))
			}
			op.req.lsn = f.batch.Record(int(op.record)).LSN
			c.settle(op, nil)
		}
	}
}

// settle answers one request of a flight, once.
func (c *core) settle(op *stagedOp, err error) {
	r := op.req
	op.req = nil
	c.tell(r.finish(err))
}

// fail answers all requests of a flight with err.
func (c *core) fail(f *flight, err error) {
	c.count(f, c.node.moment())
	for i := range f.ops {
		if f.ops[i].req != nil {
			c.settle(&f.ops[i], err)
		}
	}
	c.forgetStaged(f.idems)
}

// Poll implements tpc.Driver: it applies and answers what became durable.
func (c *core) Poll(*tpc.Core) bool {
	if c.queue.len() == 0 && len(c.pending) == 0 && c.node.cut.Load() == nil {
		return false
	}
	defer c.wakeTold()
	durable := c.node.log.Durable()
	limit, at := c.cutLimit(durable)
	if len(c.pending) == 0 {
		c.pending = c.queue.popUpTo(limit, c.pending)
	}
	worked := len(c.pending) > 0
	if worked {
		c.apply()
	}
	if at != nil {
		c.takeCut(at)
		worked = true
	}
	if c.queue.len() > 0 {
		worked = c.failPoisoned() || worked
	}
	c.answerWaiters()
	return worked
}

// failPoisoned answers what a poisoned log will never make durable.
func (c *core) failPoisoned() bool {
	err := c.node.log.Err()
	if err == nil || c.queue.items[0].wait <= c.node.log.Durable() {
		return false
	}
	err = c.node.writeError(err)
	c.pending = c.queue.popUpTo(^wal.LSN(0), c.pending)
	for _, f := range c.pending {
		c.fail(f, err)
	}
	c.pending = c.pending[:0]
	return true
}

// Pending implements tpc.Driver.
func (c *core) Pending(*tpc.Core) bool {
	return c.open != nil && !c.open.empty() || c.queue.len() > 0 || len(c.pending) > 0
}

// Recovered implements tpc.Driver. A panic while a request was evaluated takes
// back what the request staged. A panic while records were applied condemns
// the vshard: its store holds nothing of the unfinished batch, but nobody knows
// what else the panic left behind, so it is rebuilt from disk and log before it
// serves again. The other vshards' records are applied by the next Poll.
func (c *core) Recovered(_ *tpc.Core, p *tpc.PanicError) {
	if p.Task != nil {
		if r, ok := p.Task.(*request); ok && r.core == c && c.open != nil {
			c.rewind(c.open, c.undo)
		}
		return
	}
	if p.Where == "maintain" && c.open != nil {
		c.rewind(c.open, c.undo)
	}
	if f := c.handing; f != nil {
		// Nobody knows what the log took of it.
		c.handing = nil
		c.fail(f, p)
	}
	if s := c.applying; s != nil {
		c.applying = nil
		c.condemn(s, p)
	}
	c.wakeTold()
	c.tpc.Wake()
}

// Maintain implements tpc.Driver.
func (c *core) Maintain(_ *tpc.Core, budget time.Duration) bool {
	return c.maintain(budget)
}

// Stop implements tpc.Driver: whatever is left is answered.
func (c *core) Stop(*tpc.Core) {
	left := append(c.pending, c.queue.items...)
	if c.open != nil {
		left = append(left, c.open)
	}
	for _, f := range left {
		c.fail(f, ErrClosed)
	}
	c.pending, c.queue.items, c.open = nil, nil, nil
	c.abandonCut()
	c.failWaiters(ErrClosed)
	c.wakeTold()
}
