package tpc

import "time"

// Driver is the work of one core that is not a task. The runtime calls all its
// methods on the core's thread, never two at a time. Poll, Flush, Pending and
// Maintain may panic: the core survives it and tells Recovered.
type Driver interface {
	// Start is called once, before any task. An error fails New.
	Start(c *Core) error

	// Poll does what became possible since the last call: it answers tasks that
	// were staged and are finished now. It is called once per iteration and after
	// every Wake, so it must be cheap when there is nothing to do. It reports
	// whether it did something.
	Poll(c *Core) bool

	// Flush is called after a run of tasks. more says that the inbox holds
	// further tasks, so that the driver may prefer to wait for a larger group.
	// Every run is followed by a Flush before the core spins or parks.
	Flush(c *Core, more bool)

	// Pending reports whether tasks are staged that a later Poll will answer. A
	// core with pending work is not stopped by a shutdown that still has time.
	Pending(c *Core) bool

	// Maintain does background work for about budget, and reports whether there
	// is more of it. It is called every MaintainInterval, and then again until it
	// reports no more, between other work.
	Maintain(c *Core, budget time.Duration) (more bool)

	// Recovered is called after a panic was caught, before the panicking task
	// (p.Task, nil for a panic of the driver itself) is answered with p. It takes
	// back what that task staged. It must be quick: the requester waits for it,
	// so longer repairs are begun here and done later.
	Recovered(c *Core, p *PanicError)

	// Stop is called once, as the last thing on the core's thread. Tasks that are
	// still staged must be answered.
	Stop(c *Core)
}

// NopDriver is a Driver that does nothing; embed it to implement only a part.
type NopDriver struct{}

// Start does nothing.
func (NopDriver) Start(*Core) error { return nil }

// Poll reports that nothing was done.
func (NopDriver) Poll(*Core) bool { return false }

// Flush does nothing.
func (NopDriver) Flush(*Core, bool) {}

// Pending reports that nothing is staged.
func (NopDriver) Pending(*Core) bool { return false }

// Maintain reports that there is nothing to do.
func (NopDriver) Maintain(*Core, time.Duration) bool { return false }

// Recovered does nothing.
func (NopDriver) Recovered(*Core, *PanicError) {}

// Stop does nothing.
func (NopDriver) Stop(*Core) {}
