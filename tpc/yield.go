package tpc

import (
	"runtime"
	"time"
)

const (
	crowdMin   = 24                    // tasks in a run after a yield that make a crowd
	crowdProbe = 64                    // turns without a yield before one is tried again
	turnLong   = 50 * time.Microsecond // a turn beside which the price of a yield is small
)

// yield lets goroutines run that wait in the queue of this thread's P. Those are
// mostly clients that the last turn answered: a locked thread that goes on
// spinning or working keeps them from the processor until another P steals them.
//
// For a locked goroutine a yield is dear (two threads change places, some 30 µs),
// but it serves all waiting clients, and the requests that they bring back are
// one large run: with many clients, or clients that wait for a disk, that is
// worth 2x in throughput. For a few clients that wait for memory only, parking
// is cheaper, so it is done for
//
//   - answers to work that had to wait (the driver polled some, or has some pending),
//   - turns that were long anyway,
//   - crowds: when the run after the last yield was large. Else it is tried again
//     once in a while, as a crowd shows only after a yield.
func (c *Core) yield(worked bool) {
	if canSpin(0) {
		return
	}
	now := nanos()
	long := now-c.turnSince > int64(turnLong)
	c.turnSince = now
	c.unyielded++
	if !worked && !long && c.crowd < crowdMin && c.unyielded < crowdProbe && !c.pendingDriver() {
		return
	}
	c.unyielded, c.yielded = 0, true
	runtime.Gosched()
	c.turnSince = nanos()
}

// noteCrowd learns from the run of tasks that follows a yield.
func (c *Core) noteCrowd(ran int) {
	if c.yielded {
		c.crowd, c.yielded = ran, false
	}
}
