package tpc

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// phase is the guarded call that a core's thread is in.
type phase uint8

const (
	phaseNone phase = iota
	phaseStart
	phaseRun
	phaseFail
	phasePoll
	phaseFlush
	phasePending
	phaseMaintain
	phaseRecovered
	phaseStop
)

func (p phase) String() string {
	return [...]string{"none", "start", "run", "fail", "poll", "flush", "pending", "maintain", "recovered", "stop"}[p]
}

const stackBytesMax = 64 << 10

var errGoexit = errors.New("tpc: runtime.Goexit called on a core")

// refusal decides whether a task runs: nil, or the counter to move and what to
// answer.
func (c *Core) refusal(h *Header) (count *atomic.Uint64, err error) {
	if c.stop.Load() == stopNow {
		return &c.counters.rejected, ErrClosed
	}
	if h.Cancelled() {
		return &c.counters.cancelled, context.Canceled
	}
	if !h.Deadline.IsZero() && !c.opts.Clock().Before(h.Deadline) {
		return &c.counters.expired, ErrDeadline
	}
	if left := c.checkHealth(); left > 0 && !h.Control {
		return &c.counters.rejected, &DegradedError{Core: c.id, RetryAfter: left}
	}
	return nil, nil
}

// recoverPhase is deferred around every call into foreign code. phase tells
// whether that call came back.
func (c *Core) recoverPhase() {
	value := recover()
	if c.phase == phaseNone {
		return
	}
	if value == nil {
		value = errGoexit
	}
	c.panicked(value)
}

// panicked accounts for a panic: the driver takes back what the task staged, the
// task is answered, the watchdog decides about the core.
func (c *Core) panicked(value any) {
	n := c.counters.panics.Load() + 1
	c.counters.panics.Store(n)
	p := &PanicError{
		ID:    "c" + strconv.Itoa(c.id) + "-" + strconv.FormatUint(n, 10),
		Core:  c.id,
		Where: c.phase.String(),
		Value: value,
		Stack: make([]byte, stackBytesMax),
	}
	p.Stack = p.Stack[:runtime.Stack(p.Stack, false)]
	at := c.phase
	if at == phaseRun || at == phaseFail {
		p.Task = c.current
	}
	c.phase, c.current = phaseNone, nil

	trace := "" // read before the task is answered: then it is its owner's
	if p.Task != nil {
		trace = p.Task.Header().TraceID
	}
	if at != phaseRecovered && at != phaseStart && at != phaseStop {
		c.recoveredDriver(p)
	}
	if at == phaseRun {
		c.failTask(p.Task, p)
	}
	c.opts.Logger.Error("core recovered from a panic",
		"id", p.ID, "core", c.id, "where", p.Where, "trace", trace, "panic", value, "stack", string(p.Stack))
	c.checkHealth()
	if now := c.opts.Clock(); c.watchdog.record(now) {
		c.degrade(now)
	}
}

// degrade begins or prolongs the cool-down.
func (c *Core) degrade(now time.Time) {
	c.degradedUntil.Store(now.Add(c.opts.CoolDown).UnixNano())
	c.opts.Logger.Error("core is degraded: it refuses all but control tasks",
		"core", c.id, "panics", c.opts.PanicsMax, "window", c.opts.PanicWindow, "cooldown", c.opts.CoolDown)
}

// checkHealth ends the degraded state after the cool-down, and returns how long
// that still is.
func (c *Core) checkHealth() (left time.Duration) {
	if c.degradedUntil.Load() == 0 {
		return 0
	}
	if left = c.coolDownLeft(); left == 0 {
		c.watchdog.reset()
		c.degradedUntil.Store(0)
		c.opts.Logger.Info("core serves again after its cool-down", "core", c.id)
	}
	return left
}

// failTask answers t with err; a panic of Fail is counted, and nobody can be told.
func (c *Core) failTask(t Task, err error) {
	c.phase, c.current = phaseFail, t
	defer c.recoverPhase()
	t.Fail(err)
	c.phase, c.current = phaseNone, nil
}

func (c *Core) startDriver() (err error) {
	// A panic leaves this standing.
	err = ErrInternal
	c.phase = phaseStart
	defer c.recoverPhase()
	err = c.driver.Start(c)
	c.phase = phaseNone
	return err
}

func (c *Core) pollDriver() (worked bool) {
	c.phase = phasePoll
	defer c.recoverPhase()
	worked = c.driver.Poll(c)
	c.phase = phaseNone
	return worked
}

func (c *Core) flushDriver() {
	c.flushDue = false
	c.phase = phaseFlush
	defer c.recoverPhase()
	c.driver.Flush(c, c.inbox.ready())
	c.phase = phaseNone
}

func (c *Core) pendingDriver() (pending bool) {
	c.phase = phasePending
	defer c.recoverPhase()
	pending = c.driver.Pending(c)
	c.phase = phaseNone
	return pending
}

func (c *Core) maintainDriver() (more bool) {
	c.phase = phaseMaintain
	defer c.recoverPhase()
	more = c.driver.Maintain(c, c.opts.MaintainBudget)
	c.phase = phaseNone
	return more
}

func (c *Core) recoveredDriver(p *PanicError) {
	c.phase = phaseRecovered
	defer c.recoverPhase()
	c.driver.Recovered(c, p)
	c.phase = phaseNone
}

func (c *Core) stopDriver() {
	c.phase = phaseStop
	defer c.recoverPhase()
	c.driver.Stop(c)
	c.phase = phaseNone
}
