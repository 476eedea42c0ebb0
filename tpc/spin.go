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

const (
	spinPause   = 20                    // pauses between two looks
	spinDisturb = 50 * time.Microsecond // a lap between two looks at the clock that took longer was interrupted
)

var clockBase = time.Now()

// nanos is monotonic time since the process began, for durations that are
// measured rather than promised; it is not Options.Clock.
func nanos() int64 { return int64(time.Since(clockBase)) }

// waitEstimate is a core's expectation of its next wait, from the last ones. It
// keeps how often waits were short apart from how short those were: on a busy
// machine a thread loses its processor for milliseconds now and then, and one
// average over all waits would let few such accidents outweigh many short waits.
type waitEstimate struct {
	score int64 // counts up on short waits and down on long ones, within ±waitScoreMax
	short int64 // ns, moving average of the short ones
}

const (
	waitScoreMax  = 16
	waitScoreLong = 2    // a long wait weighs as much as so many short ones
	waitWeight    = 8    // the last short wait counts for 1/waitWeight
	waitSpinMore  = 1000 // ns on top of the multiple of the average
	waitSpinTimes = 4
)

// disturbed notes that the thread lost its processor while it spun: the machine
// has better use for it.
func (e *waitEstimate) disturbed() { e.score = max(e.score-waitScoreMax/2, -waitScoreMax) }

func (e *waitEstimate) observe(wait, limit int64) {
	if wait > limit {
		e.score = max(e.score-waitScoreLong, -waitScoreMax)
		return
	}
	e.score = min(e.score+1, waitScoreMax)
	e.short += (wait - e.short) / waitWeight
}

// budget is how long to spin, 0 when the wait is likely to outlast limit.
func (e *waitEstimate) budget(limit int64) int64 {
	if e.score < 0 {
		return 0
	}
	return min(waitSpinTimes*e.short+waitSpinMore, limit)
}

// spinHabit is what one Waiter learned about its own waits. It is owned by the
// client that waits.
type spinHabit struct {
	misses uint32 // short spins in a row that were in vain
	waits  uint32
	alone  uint32   // slow waits while nobody else waited
	mean   [2]int64 // ns of those: that parked, that spun on
}

const (
	spinRounds    = 200 // looks of a short spin, about 10 µs
	spinMissesMax = 4   // then only every spinProbe-th wait tries it
	spinProbe     = 64

	longSpinMax     = 250 * time.Microsecond // as a disk may take
	longSpinLooks   = 20                     // between two yields
	longSpinDislike = time.Millisecond       // added to what a disturbed spin took, so that it looks bad
	aloneFirst      = 8                      // waits that try both ways in turn
	aloneProbe      = 32                     // then every so many the other way
	aloneGain       = 16                     // spinning on must be quicker by 1/aloneGain
)

// short reports whether a short spin is worth while.
func (h *spinHabit) short() bool {
	h.waits++
	return h.misses < spinMissesMax || h.waits%spinProbe == 0
}

// long reports whether a lone client had better spin on than park.
func (h *spinHabit) long() bool {
	h.alone++
	if h.alone <= aloneFirst {
		return h.alone%2 == 0
	}
	better := h.mean[1] < h.mean[0]-h.mean[0]/aloneGain
	return better != (h.alone%aloneProbe == 0)
}

func (h *spinHabit) observeAlone(long bool, wait int64) {
	mean := &h.mean[0]
	if long {
		mean = &h.mean[1]
	}
	wait = min(wait, int64(4*longSpinMax))
	if *mean == 0 {
		*mean = wait
		return
	}
	*mean += (wait - *mean) / waitWeight
}
