package tpc

import (
	"context"
	"runtime"
	"sync/atomic"
)

// Waiter is the completion that one client waits on: one Done for one Wait. It
// needs no allocation after its first park and may be used again after Wait
// returned nil. The zero value is ready.
//
// A wait first spins for some microseconds, while recent waits of this Waiter
// were short enough for that to pay and no other goroutine wants the processor.
// A client that is the only one in the process to wait longer than that either
// spins on for as long as a disk takes, yielding to everybody, or parks: it
// learns which of the two is quicker.
type Waiter struct {
	state atomic.Uint32
	ready chan struct{} // capacity 1; made by the client before it parks first
	habit spinHabit
}

const (
	waiterPending uint32 = iota
	waiterParked
	waiterDone
	waiterAbandoned
)

// slowWaiters counts the clients whose short spin was in vain.
var slowWaiters atomic.Int32

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
			// From the swap on the client may return and use the Waiter again;
			// the channel outlives that, and holds one signal per park.
			ready := w.ready
			if w.state.CompareAndSwap(s, waiterDone) {
				ready <- struct{}{}
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
	if w.shortSpin() {
		w.state.Store(waiterPending)
		return nil
	}
	alone := slowWaiters.Add(1) == 1
	defer slowWaiters.Add(-1)
	if !alone {
		return w.park(ctx)
	}
	begin := nanos()
	long := w.habit.long()
	if long {
		done, disturbed := w.longSpin(begin)
		if disturbed {
			begin -= int64(longSpinDislike)
		}
		if done {
			w.habit.observeAlone(long, nanos()-begin)
			w.state.Store(waiterPending)
			return nil
		}
	}
	err := w.park(ctx)
	w.habit.observeAlone(long, nanos()-begin)
	return err
}

// Reset makes an abandoned Waiter usable again. Only the side that saw Done
// report false may call it.
func (w *Waiter) Reset() { w.state.Store(waiterPending) }

// park waits without using the processor.
func (w *Waiter) park(ctx context.Context) error {
	if w.ready == nil {
		w.ready = make(chan struct{}, 1)
	}
	if w.state.CompareAndSwap(waiterPending, waiterParked) {
		select {
		case <-w.ready:
		case <-ctx.Done():
			if w.state.CompareAndSwap(waiterParked, waiterAbandoned) {
				return ctx.Err()
			}
			<-w.ready
		}
	}
	w.state.Store(waiterPending)
	return nil
}

// shortSpin reports whether the wait was over within some microseconds.
func (w *Waiter) shortSpin() bool {
	if w.state.Load() == waiterDone {
		return true
	}
	if !w.habit.short() {
		return false
	}
	for range spinRounds {
		procyield(spinPause)
		if w.state.Load() == waiterDone {
			w.habit.misses = 0
			return true
		}
		if !canSpin(0) {
			break
		}
	}
	w.habit.misses++
	return false
}

// longSpin waits for as long as nobody else waits or wants to run. It yields all
// the time, so that whatever it waits for finds a processor. disturbed says that
// there were others to run, in this process or on this machine.
func (w *Waiter) longSpin(begin int64) (done, disturbed bool) {
	for lap := begin; ; {
		for range longSpinLooks {
			if w.state.Load() == waiterDone {
				return true, false
			}
			procyield(spinPause)
		}
		runtime.Gosched()
		now := nanos()
		if now-lap > int64(spinDisturb) {
			return false, true
		}
		if now-begin > int64(longSpinMax) || slowWaiters.Load() > 1 {
			return false, false
		}
		lap = now
	}
}
