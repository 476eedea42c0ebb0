package tpc

import (
	"runtime"
	"runtime/debug"
)

// launch runs the core on a new goroutine that is locked to a thread other than
// the process's first: that one cannot end, so it would stay behind with the
// core's affinity.
func (c *Core) launch() {
	runtime.LockOSThread()
	if !onMainThread() {
		c.thread()
		return // locked, so the thread ends here
	}
	elsewhere := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(elsewhere)
		c.thread()
	}()
	<-elsewhere // until then the first thread is taken
	runtime.UnlockOSThread()
}

// thread is the life of a core. It never unlocks its thread.
func (c *Core) thread() {
	debug.SetPanicOnFault(true)
	if !c.begin() {
		return
	}
	finished := false
	defer func() {
		if !finished {
			// runtime.Goexit in a task: it was answered as a panic, and this
			// thread ends. Another one takes over the core as it stands.
			go c.launch()
		}
	}()
	c.loop()
	c.stopDriver()
	finished = true
	c.exit()
}

// begin prepares the thread and, the first time, starts the driver. It reports
// whether the core is to run.
func (c *Core) begin() bool {
	var err error
	if c.cpu >= 0 {
		err = pinThread(c.cpu)
	}
	if c.hasStarted {
		if err != nil {
			c.opts.Logger.Warn("core lost its cpu affinity", "core", c.id, "err", err)
		}
		return true
	}
	c.hasStarted = true
	if err == nil {
		err = c.startDriver()
	}
	c.busySince = nanos()
	c.maintainAt = c.opts.Clock().Add(c.opts.MaintainInterval)
	c.startErr = err
	if err != nil {
		c.exit()
	}
	close(c.started)
	return err == nil
}

// exit refuses what is left and gives everything back. The gate is shut first,
// so that nothing can be accepted and forgotten.
func (c *Core) exit() {
	c.inbox.close()
	c.raiseStop(stopNow)
	for !c.inbox.drained() {
		if c.runTasks(c.opts.TasksPerIteration) == 0 {
			runtime.Gosched() // a producer took a position and has not filled it
		}
	}
	c.inbox.publish()
	c.awaitUnparks()
	c.park.close()
	c.arena.release()
	close(c.done)
}

func (c *Core) loop() {
	for {
		n := c.counters.iterations.Load() + 1
		c.counters.iterations.Store(n)
		c.signalled.Store(0)
		worked := c.pollDriver()
		ran := c.runTasks(c.opts.TasksPerIteration)
		if c.flushDue {
			c.flushDriver()
		}
		if worked || ran > 0 {
			c.yield()
		}
		if (ran == 0 && !worked) || n%maintainLook == 0 {
			worked = c.maintain(ran > 0) || worked
		}
		switch {
		case worked || ran > 0 || c.hasWork():
		case c.stop.Load() != stopNone && c.mayStop():
			return
		default:
			c.idle()
		}
	}
}

// hasWork reports whether the loop must go round again instead of sleeping.
func (c *Core) hasWork() bool {
	return c.signalled.Load() != 0 || c.inbox.ready()
}

func (c *Core) mayStop() bool {
	return c.inbox.drained() && (c.stop.Load() == stopNow || !c.pendingDriver())
}

// runTasks runs up to limit tasks and reports how many it took.
func (c *Core) runTasks(limit int) (ran int) {
	for again := true; again && ran < limit; {
		var n int
		n, again = c.runGuarded(limit - ran)
		ran += n
	}
	if ran == 0 {
		return 0
	}
	c.flushDue = true
	c.inbox.publish()
	depth := int64(ran)
	if ran == limit {
		depth += int64(c.inbox.depth())
	}
	if depth > c.counters.depthMax.Load() {
		c.counters.depthMax.Store(depth)
	}
	return ran
}

// runGuarded runs tasks until limit, an empty inbox, or a panic; after a panic
// it asks to be called again. One recover stands around the whole run, current
// tells which task was in progress.
func (c *Core) runGuarded(limit int) (ran int, again bool) {
	again = true
	c.phase = phaseRun
	defer c.recoverPhase()
	for ran < limit {
		t := c.inbox.pop()
		if t == nil {
			break
		}
		ran++
		c.current = t
		c.serve(t)
	}
	c.current = nil
	c.phase = phaseNone
	return ran, false
}

func (c *Core) serve(t Task) {
	count, err := c.refusal(t.Header())
	if err == nil {
		t.Run(c)
		bump(&c.counters.tasks, 1)
		return
	}
	bump(count, 1)
	c.phase = phaseFail
	t.Fail(err)
	c.phase = phaseRun
}
