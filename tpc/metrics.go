package tpc

import (
	"sync/atomic"
	"time"
)

// CoreMetrics is a snapshot of one core's counters since it started. The fields
// are read one after the other, so sums across them may be off by what happened
// in between.
type CoreMetrics struct {
	Core       int           `json:"core"`
	Tasks      uint64        `json:"tasks"`     // ran to their end
	Panics     uint64        `json:"panics"`    // of tasks and of the driver
	Expired    uint64        `json:"expired"`   // answered with ErrDeadline without having run
	Cancelled  uint64        `json:"cancelled"` // answered with context.Canceled without having run
	Refused    uint64        `json:"refused"`   // not accepted: queue full, degraded, or closed
	Rejected   uint64        `json:"rejected"`  // accepted, then answered with ErrCoreDegraded or ErrClosed
	Depth      int           `json:"depth"`     // tasks waiting, those of the run in progress included
	DepthMax   int           `json:"depth_max"` // most tasks that were found waiting at the start of an iteration
	Iterations uint64        `json:"iterations"`
	Maintains  uint64        `json:"maintains"` // slices of maintenance
	Parks      uint64        `json:"parks"`     // times the thread went to sleep
	Wakes      uint64        `json:"wakes"`     // sleeps that a signal ended, not the idle timeout
	SpinHits   uint64        `json:"spin_hits"` // waits that ended while spinning
	Busy       time.Duration `json:"busy_ns"`
	Idle       time.Duration `json:"idle_ns"` // spinning and parked
	Degraded   bool          `json:"degraded"`
	Arena      ArenaStats    `json:"arena"`
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
