package tpc

import (
	"context"
	"sync/atomic"
)

// Waiter is the completion that one client waits on: one Done for one Wait. It
// needs no allocation after its first park and may be used again after Wait
// returned nil. The zero value is ready.
//
// A wait first spins, while recent waits of this Waiter were short enough for
// that to pay and no other goroutine wants the processor, and parks then.
type Waiter struct {
	state atomic.Uint32
	ready chan struct{} // capacity 1; made by the client before it parks first
	spin  spinLearner   // owned by the client
}

const (
	waiterPending uint32 = iota
	waiterParked
	waiterDone
	waiterAbandoned
)

// Done completes the wait; everything written before it is visible after Wait.
// It never blocks. It reports false when the client has gone: Wait returned its
// context's error, and whoever called Done now owns what the two shared.
func (w *Waiter) Done() bool {
	for {
		switch s := w.state.Load(); s {
		case waiterPending:
			if w.state.CompareAndSwap(s, waiterDone) {
				return true
			}
		case waiterParked:
			if w.state.CompareAndSwap(s, waiterDone) {
				w.ready <- struct{}{}
				return true
			}
		case waiterAbandoned:
			return false
		default:
			panic("tpc: Waiter completed twice")
		}
	}
}

// Wait returns nil after Done. When ctx ends first it returns ctx.Err(), and the
// Waiter and whatever the core may still write belong to the other side, until
// its Done reports false; only Reset makes the Waiter usable again.
func (w *Waiter) Wait(ctx context.Context) error {
	if w.spinUntilDone() {
		w.state.Store(waiterPending)
		return nil
	}
	if w.ready == nil {
		w.ready = make(chan struct{}, 1)
	}
	if !w.state.CompareAndSwap(waiterPending, waiterParked) {
		w.state.Store(waiterPending)
		return nil
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		if w.state.CompareAndSwap(waiterParked, waiterAbandoned) {
			return ctx.Err()
		}
		<-w.ready
	}
	w.state.Store(waiterPending)
	return nil
}

// Reset makes an abandoned Waiter usable again. Only the side that saw Done
// report false may call it.
func (w *Waiter) Reset() { w.state.Store(waiterPending) }
