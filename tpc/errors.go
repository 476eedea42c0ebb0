package tpc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrOverloaded says that the core's queue of the task's class is full. The
	// task was not accepted; try again later, or shed load. The error is an
	// *OverloadedError that names core and class.
	ErrOverloaded = errors.New("tpc: overloaded")

	// ErrClosed says that the runtime is shutting down or was shut down.
	ErrClosed = errors.New("tpc: closed")

	// ErrDeadline answers a task whose deadline passed before it ran, or that
	// noticed it while it ran. It is also a context.DeadlineExceeded.
	ErrDeadline = fmt.Errorf("tpc: task expired: %w", context.DeadlineExceeded)

	// ErrInternal is the class of *PanicError.
	ErrInternal = errors.New("tpc: internal error")

	// ErrCoreDegraded is the class of *DegradedError.
	ErrCoreDegraded = errors.New("tpc: core degraded")

	// ErrArenaFull says that an allocation would exceed the arena's limit.
	ErrArenaFull = errors.New("tpc: arena full")
)

// OverloadedError refuses a task because its class of the core's inbox is full.
type OverloadedError struct {
	Core     int
	Priority Priority
	QueueLen int // tasks the class can hold
}

func (e *OverloadedError) Error() string {
	return fmt.Sprintf("tpc: overloaded: core %d holds %d waiting tasks of priority %s already; retry after some were answered",
		e.Core, e.QueueLen, e.Priority)
}

func (e *OverloadedError) Unwrap() error { return ErrOverloaded }

// DegradedError refuses a task because its core panicked too often lately.
type DegradedError struct {
	Core       int
	RetryAfter time.Duration // when the cool-down ends, as of this answer
}

func (e *DegradedError) Error() string {
	return fmt.Sprintf("tpc: core %d is degraded after repeated panics; retry after %s", e.Core, e.RetryAfter.Round(time.Millisecond))
}

func (e *DegradedError) Unwrap() error { return ErrCoreDegraded }

// PanicError reports a panic that a core recovered from. The ID stands in the
// log beside the stack, so that a client's report finds its cause.
type PanicError struct {
	ID    string // unique within the process, e.g. "c2-7"
	Core  int
	Where string // "run", "poll", "flush", "maintain", "fail", "recovered"
	Task  Task   // nil unless Where is "run" or "fail"
	Value any    // what was passed to panic
	Stack []byte // of the panic
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("tpc: internal error %s: core %d panicked in %s: %v", e.ID, e.Core, e.Where, e.Value)
}

// Unwrap gives ErrInternal and, when the panic value was an error, that too.
func (e *PanicError) Unwrap() []error {
	if err, ok := e.Value.(error); ok {
		return []error{ErrInternal, err}
	}
	return []error{ErrInternal}
}
