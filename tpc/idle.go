package tpc

import "time"

// idle waits for work: by spinning while that is likely to be short, asleep then.
func (c *Core) idle() {
	estimate := &c.waits[0]
	if c.pendingDriver() {
		estimate = &c.waits[1]
	}
	limit := int64(c.opts.SpinMax)
	begin := nanos()
	c.counters.busyNanos.Store(c.counters.busyNanos.Load() + begin - c.busySince)
	if c.spin(begin, estimate, limit) {
		bump(&c.counters.spinHits, 1)
	} else {
		c.sleep()
	}
	end := nanos()
	c.counters.idleNanos.Store(c.counters.idleNanos.Load() + end - begin)
	c.busySince = end

	// What counts is when the work came, not when the thread was back on a CPU:
	// else a machine that wakes threads slowly would teach the core not to spin,
	// which is when spinning is worth the most.
	came := end
	if at := c.unparkedAt.Load(); at > begin {
		came = min(at, end)
	}
	estimate.observe(came-begin, limit)
}

const spinLooks = 16 // looks at the queues between two looks at the clock

// spin looks for work until the estimate says that it does not pay, or somebody
// else needs the processor. It reports whether there is work.
func (c *Core) spin(begin int64, estimate *waitEstimate, limit int64) bool {
	budget := estimate.budget(limit)
	if budget <= 0 || !canSpin(0) || !c.rt.mayStartSpinning() {
		return false
	}
	defer c.rt.stopSpinning()
	for lap := begin; ; {
		for range spinLooks {
			if c.hasWork() {
				return true
			}
			procyield(spinPause)
		}
		now := nanos()
		if now-lap > int64(spinDisturb) {
			estimate.disturbed()
			return false
		}
		if now-begin > budget || !canSpin(0) {
			return false
		}
		lap = now
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
	} else {
		c.rt.lookAround()
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
