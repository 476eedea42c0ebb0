package tpc

import (
	"context"
	"sync/atomic"
	"time"
)

// Core is one thread and what belongs to it. Methods are safe on any goroutine
// unless they say otherwise.
type Core struct {
	// Immutable.
	id     int
	cpu    int // to pin to, or -1
	rt     *Runtime
	opts   *Options
	driver Driver
	inbox  *inbox
	park   *parker
	arena  *Arena

	started  chan struct{} // closed once startErr is set
	startErr error
	done     chan struct{} // closed by the core's thread as its last act

	// Owned by the core's thread.
	hasStarted bool
	current    Task      // in Run or Fail; what a panic belongs to
	phase      phase     // guarded call in progress; what a panic belongs to
	flushDue   bool      // tasks ran since the last Flush
	maintainAt time.Time // next round, or next slice
	watchdog   watchdog
	busySince  int64           // nanos; end of the last idle time
	waits      [2]waitEstimate // without and with pending work of the driver
	// unparksOwed counts who turned parked to 0 and was not seen on the eventfd yet.
	unparksOwed uint64

	_ [64]byte
	// parked is 1 while the thread sleeps or is about to. Whoever turns it back
	// to 0 owns the duty to make the sleep end. See doc.go for the protocol.
	parked atomic.Uint32
	// signalled is set by Wake and cleared by the core before it polls its driver.
	signalled atomic.Uint32
	// unparkedAt is when the last sleep was ended by somebody, in nanos.
	unparkedAt atomic.Int64
	_          [48]byte

	// Read by every Submit, written seldom.
	degradedUntil atomic.Int64 // Unix ns; 0: healthy
	stop          atomic.Uint32
	_             [52]byte

	counters counters
}

const (
	stopNone  uint32 = iota
	stopDrain        // run what was accepted, then exit
	stopNow          // fail what was accepted, then exit
)

func newCore(r *Runtime, id, cpu int) (*Core, error) {
	park, err := newParker()
	if err != nil {
		return nil, err
	}
	c := &Core{
		id: id, cpu: cpu, rt: r, opts: r.opts,
		inbox:    newInbox(r.opts.QueueLen),
		park:     park,
		arena:    newArena(r.opts.ArenaBytes),
		started:  make(chan struct{}),
		done:     make(chan struct{}),
		watchdog: newWatchdog(r.opts.PanicsMax, r.opts.PanicWindow),
	}
	c.driver = r.opts.NewDriver(id)
	return c, nil
}

// ID returns the core's number, from 0.
func (c *Core) ID() int { return c.id }

// Arena returns the core's memory outside the Go heap. Core's thread only.
func (c *Core) Arena() *Arena { return c.arena }

// Now reads the runtime's clock.
func (c *Core) Now() time.Time { return c.opts.Clock() }

// Submit hands t to the core, which owns it from then on. It never waits. On an
// error (ErrOverloaded, ErrCoreDegraded, ErrClosed) the task still belongs to
// the caller and nothing was done.
func (c *Core) Submit(t Task) error {
	h := t.Header()
	if c.degradedUntil.Load() != 0 && !h.Control {
		if left := c.coolDownLeft(); left > 0 {
			c.counters.refused.Add(1)
			return &DegradedError{Core: c.id, RetryAfter: left}
		}
	}
	if res := c.inbox.rings[h.Priority.class()].push(t); res != pushed {
		return c.refuse(res, h.Priority)
	}
	c.unparkIfParked()
	return nil
}

// SubmitAll hands the tasks over in order, waking the core at most once. It
// returns how many were accepted; the error tells why the next one was not.
// Tasks of one priority that stand together cost one step of the queue.
func (c *Core) SubmitAll(tasks []Task) (n int, err error) {
	defer c.unparkIfParked()
	for n < len(tasks) {
		h := tasks[n].Header()
		if c.degradedUntil.Load() != 0 && !h.Control {
			if left := c.coolDownLeft(); left > 0 {
				c.counters.refused.Add(1)
				return n, &DegradedError{Core: c.id, RetryAfter: left}
			}
		}
		end := n + 1
		for end < len(tasks) {
			next := tasks[end].Header()
			if next.Priority != h.Priority || next.Control != h.Control {
				break
			}
			end++
		}
		took, res := c.inbox.rings[h.Priority.class()].pushAll(tasks[n:end])
		n += took
		if res != pushed {
			return n, c.refuse(res, h.Priority)
		}
	}
	return n, nil
}

func (c *Core) refuse(res pushResult, p Priority) error {
	c.counters.refused.Add(1)
	if res == pushClosed {
		return ErrClosed
	}
	return &OverloadedError{Core: c.id, Priority: p, QueueLen: len(c.inbox.rings[p.class()].slots)}
}

// Wake makes the core call its driver's Poll soon. It is cheap when the core is
// awake, and never blocks.
func (c *Core) Wake() {
	// Already set means that the core has not cleared it yet, and it polls after
	// clearing: it will see what the caller published before this call.
	if c.signalled.Load() == 0 {
		c.signalled.Store(1)
	}
	c.unparkIfParked()
}

func (c *Core) unparkIfParked() {
	if c.parked.Load() == 1 && c.parked.CompareAndSwap(1, 0) {
		c.unparkedAt.Store(nanos())
		c.park.unpark()
	}
}

func (c *Core) raiseStop(to uint32) {
	for {
		now := c.stop.Load()
		if now >= to || c.stop.CompareAndSwap(now, to) {
			break
		}
	}
	c.Wake()
}

// Degraded reports whether the core refuses everything but control tasks now.
func (c *Core) Degraded() bool { return c.coolDownLeft() > 0 }

// coolDownLeft is how long the core stays degraded; 0 when it is not.
func (c *Core) coolDownLeft() time.Duration {
	until := c.degradedUntil.Load()
	if until == 0 {
		return 0
	}
	return max(0, time.Duration(until-c.opts.Clock().UnixNano()))
}

// Do runs fn on the core's thread as a control task of the highest priority and
// waits for it. It works while the core is degraded. When ctx ends first, fn may
// still run later.
func (c *Core) Do(ctx context.Context, fn func(*Core) error) error {
	call := &call{fn: fn, done: make(chan error, 1)}
	call.header.Priority, call.header.Control = Critical, true
	if err := c.Submit(call); err != nil {
		return err
	}
	select {
	case err := <-call.done:
		return err
	case <-ctx.Done():
		call.header.Cancel()
		return ctx.Err()
	}
}

type call struct {
	header Header
	fn     func(*Core) error
	done   chan error // capacity 1
}

func (t *call) Header() *Header { return &t.header }
func (t *call) Run(c *Core)     { t.done <- t.fn(c) }
func (t *call) Fail(err error)  { t.done <- err }

// Check tells long work on the core's thread whether to go on: nil, ErrDeadline
// when the task's deadline has passed, context.Canceled when it was cancelled.
func (c *Core) Check(h *Header) error {
	if h.Cancelled() {
		return context.Canceled
	}
	if !h.Deadline.IsZero() && !c.opts.Clock().Before(h.Deadline) {
		return ErrDeadline
	}
	return nil
}

// Expired reports whether Check gives an error.
func (c *Core) Expired(h *Header) bool { return c.Check(h) != nil }

// Metrics returns a snapshot of the core's counters.
func (c *Core) Metrics() CoreMetrics {
	n := &c.counters
	return CoreMetrics{
		Core:       c.id,
		Tasks:      n.tasks.Load(),
		Panics:     n.panics.Load(),
		Expired:    n.expired.Load(),
		Cancelled:  n.cancelled.Load(),
		Refused:    n.refused.Load(),
		Rejected:   n.rejected.Load(),
		Depth:      c.inbox.depth(),
		DepthMax:   int(n.depthMax.Load()),
		Iterations: n.iterations.Load(),
		Maintains:  n.maintains.Load(),
		Parks:      n.parks.Load(),
		Wakes:      n.wakes.Load(),
		SpinHits:   n.spinHits.Load(),
		Busy:       time.Duration(n.busyNanos.Load()),
		Idle:       time.Duration(n.idleNanos.Load()),
		Degraded:   c.Degraded(),
		Arena:      c.arena.Stats(),
	}
}
