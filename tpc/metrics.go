package tpc

import (
	"sync/atomic"
	"time"
)

// CoreMetrics is a snapshot of one core's counters since it started. The fields
// are read one after the other, so sums across them may be off by what happened
// in between.
type CoreMetrics struct {
	Core       int
	Tasks      uint64 // ran to their end
	Panics     uint64 // of tasks and of the driver
	Expired    uint64 // answered with ErrDeadline without having run
	Cancelled  uint64 // answered with context.Canceled without having run
	Refused    uint64 // not accepted: queue full, degraded, or closed
	Rejected   uint64 // accepted, then answered with ErrCoreDegraded or ErrClosed
	Depth      int    // tasks waiting, those of the run in progress included
	DepthMax   int    // most tasks that were found waiting at the start of an iteration
	Iterations uint64
	Maintains  uint64        // slices of maintenance
	Parks      uint64        // times the thread went to sleep
	Wakes      uint64        // sleeps that a signal ended, not the idle timeout
	SpinHits   uint64        // waits that ended while spinning
	Busy, Idle time.Duration // Idle: spinning and parked
	Degraded   bool
	Arena      ArenaStats
}

// Utilisation is the share of its time that the core was busy, 0 to 1.
func (m CoreMetrics) Utilisation() float64 {
	if m.Busy+m.Idle == 0 {
		return 0
	}
	return float64(m.Busy) / float64(m.Busy+m.Idle)
}

// counters are written by the core's thread alone (but refused, by clients) and
// read by anyone. A single writer needs no read-modify-write: see bump.
type counters struct {
	tasks, panics, expired, cancelled, rejected atomic.Uint64
	iterations, maintains                       atomic.Uint64
	parks, wakes, spinHits                      atomic.Uint64
	depthMax                                    atomic.Int64
	busyNanos, idleNanos                        atomic.Int64
	_                                           [64]byte
	refused                                     atomic.Uint64
}

// bump adds to a counter that only the core's thread writes.
func bump(counter *atomic.Uint64, n uint64) { counter.Store(counter.Load() + n) }
