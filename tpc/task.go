package tpc

import (
	"sync/atomic"
	"time"
)

// Priority orders the tasks of one core. The zero value is Normal.
type Priority int8

// The classes, lowest first.
const (
	Background Priority = iota - 1
	Normal
	High
	Critical

	classes = int(Critical-Background) + 1
)

func (p Priority) String() string {
	switch p {
	case Background:
		return "background"
	case Normal:
		return "normal"
	case High:
		return "high"
	case Critical:
		return "critical"
	}
	return "unknown"
}

// class is the index of the ring that holds p, 0 being the lowest. Values out of
// range are brought to the nearest class.
func (p Priority) class() int {
	return int(min(max(p, Background), Critical) - Background)
}

// Header is what the runtime needs to know of a task. Embed it in the task. Set
// its fields before Submit; from then on only Cancel may be called until the
// task was answered.
type Header struct {
	Priority Priority
	Control  bool      // served even while the core is degraded: checkpoints, health
	Deadline time.Time // zero: none
	TraceID  string    // printed with a panic of the task

	cancelled atomic.Bool
}

// Cancel asks the core not to run the task, or to stop it when it looks. Any
// goroutine may call it at any time. The task is answered all the same: with
// context.Canceled when the core gets to it before it ran.
func (h *Header) Cancel() { h.cancelled.Store(true) }

// Cancelled reports whether Cancel was called.
func (h *Header) Cancelled() bool { return h.cancelled.Load() }

// ResetHeader clears the header, so that an answered task can be used again.
func (h *Header) ResetHeader() {
	h.Priority, h.Control, h.Deadline, h.TraceID = Normal, false, time.Time{}, ""
	h.cancelled.Store(false)
}

// Task is a unit of work for one core.
type Task interface {
	// Header returns the task's header; always the same one.
	Header() *Header

	// Run does the work on the core's thread. It answers the requester, or
	// stages the task so that the driver answers it later. It must not block.
	Run(c *Core)

	// Fail answers the requester instead of Run: the task expired, was
	// cancelled, or was refused by a core that is degraded or closing. It is
	// also called after Run panicked, with a *PanicError. It must not block.
	Fail(err error)
}
