package tpc

import (
	"time"
	_ "unsafe" // for go:linkname
)

// procyield executes the processor's pause instruction the given number of times
// without giving the processor back. The runtime keeps this name linkable.
//
//go:linkname procyield runtime.procyield
func procyield(cycles uint32)

// canSpin is the runtime's own judgement for mutexes: another P is running, so
// what is waited for may come without our help, and no goroutine waits in this
// P's queue. The latter is what a locked thread must know: clients that it made
// ready sit in exactly that queue. The runtime keeps this name linkable.
//
//go:linkname canSpin sync.runtime_canSpin
func canSpin(i int) bool

const spinPause = 20 // pauses between two looks

var clockBase = time.Now()

// nanos is monotonic time since the process began, for durations that are
// measured rather than promised; it is not Options.Clock.
func nanos() int64 { return int64(time.Since(clockBase)) }

// spinLearner decides for a client whether spinning pays: after spinMissesMax
// waits in a row that were not over in time it only tries every spinProbe-th.
type spinLearner struct {
	misses uint32
	waits  uint32
}

const (
	spinMissesMax = 4
	spinProbe     = 64
	spinRounds    = 200 // looks of one client spin, about 10 µs
)

func (l *spinLearner) try() bool {
	l.waits++
	return l.misses < spinMissesMax || l.waits%spinProbe == 0
}

func (w *Waiter) spinUntilDone() bool {
	if w.state.Load() == waiterDone {
		return true
	}
	if !w.spin.try() {
		return false
	}
	for range spinRounds {
		procyield(spinPause)
		if w.state.Load() == waiterDone {
			w.spin.misses = 0
			return true
		}
		if !canSpin(0) {
			break
		}
	}
	w.spin.misses++
	return false
}

// waitEstimate is a core's expectation of its next wait, from the last ones.
type waitEstimate struct {
	mean int64 // ns, moving average of waits, each capped
}

const waitWeight = 8 // the last wait counts for 1/waitWeight

func (e *waitEstimate) observe(wait, limit int64) {
	e.mean += (min(wait, 4*limit) - e.mean) / waitWeight
}

// budget is how long to spin, 0 when the wait is likely to outlast limit.
func (e *waitEstimate) budget(limit int64) int64 {
	if e.mean > limit {
		return 0
	}
	return min(2*e.mean+1000, limit)
}
