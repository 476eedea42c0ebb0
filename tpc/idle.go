package tpc

import "time"

const (
	maintainLook  = 64 // iterations of a busy core between two looks at the clock
	maintainShare = 9  // a busy core works that many times as long as it maintains
)

// maintain calls the driver's Maintain when it is due, and reports whether there
// is more of it. A busy core pauses between two slices; an idle one does not.
func (c *Core) maintain(busy bool) (more bool) {
	if c.opts.MaintainInterval < 0 {
		return false
	}
	begin := c.opts.Clock()
	if begin.Before(c.maintainAt) {
		return false
	}
	more = c.maintainDriver()
	bump(&c.counters.maintains, 1)
	end := c.opts.Clock()
	switch {
	case !more:
		c.maintainAt = end.Add(c.opts.MaintainInterval)
	case busy:
		c.maintainAt = end.Add(maintainShare * end.Sub(begin))
	default:
		c.maintainAt = end
	}
	return more
}

// idle waits for work: by spinning while that is likely to be short, asleep then.
func (c *Core) idle() {
	estimate := &c.waits[0]
	if c.pendingDriver() {
		estimate = &c.waits[1]
	}
	limit := int64(c.opts.SpinMax)
	begin := nanos()
	c.counters.busyNanos.Store(c.counters.busyNanos.Load() + begin - c.busySince)
	if c.spin(begin, estimate.budget(limit)) {
		bump(&c.counters.spinHits, 1)
	} else {
		c.sleep()
	}
	end := nanos()
	c.counters.idleNanos.Store(c.counters.idleNanos.Load() + end - begin)
	c.busySince = end
	estimate.observe(end-begin, limit)
}

const spinLooks = 16 // looks at the queues between two looks at the clock

// spin looks for work until budget has passed since begin, or somebody else
// needs the processor. It reports whether there is work.
func (c *Core) spin(begin, budget int64) bool {
	if budget <= 0 || !canSpin(0) || !c.rt.mayStartSpinning() {
		return false
	}
	defer c.rt.stopSpinning()
	for {
		for range spinLooks {
			if c.hasWork() {
				return true
			}
			procyield(spinPause)
		}
		if !canSpin(0) || nanos()-begin > budget {
			return false
		}
	}
}

// sleep parks the thread until it is woken or it is time to look around.
func (c *Core) sleep() {
	timeout := c.opts.IdlePoll
	if c.opts.MaintainInterval >= 0 {
		timeout = min(timeout, max(0, c.maintainAt.Sub(c.opts.Clock())))
	}
	c.parked.Store(1)
	// What was published before parked was set is seen here; who publishes after
	// it sees parked.
	if c.hasWork() {
		c.unpark()
		return
	}
	bump(&c.counters.parks, 1)
	signals := c.park.sleep(timeout)
	c.unpark()
	c.unparksOwed -= signals
	if signals > 0 {
		bump(&c.counters.wakes, 1)
	}
}

// unpark takes parked back. When somebody else did so first, that one writes to
// the eventfd, if it has not done so yet.
func (c *Core) unpark() {
	if !c.parked.CompareAndSwap(1, 0) {
		c.unparksOwed++
	}
}

// awaitUnparks returns when nobody is about to write to the eventfd any more, so
// that its number can be given back. parked stays 0 from here on.
func (c *Core) awaitUnparks() {
	for c.unparksOwed > 0 {
		c.unparksOwed -= c.park.sleep(time.Second)
	}
}
