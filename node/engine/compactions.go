package engine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets the stores of all vshards share one limit of running
// compactions. Without it each store would start its own, and on a small machine
// they would take the CPUs from the cores. It has no timer: an idle node stays
// idle.
//
// Lock order: a store's own mutex, then mu. The store is never called with mu
// held.
type compactions struct {
	limit int

	mu       sync.Mutex
	cond     sync.Cond // calls fell to zero, or granting ended
	running  int
	members  []*compactor
	granting bool
	again    bool // grant was asked for while granting
}

// compactor is one store's place in compactions. It is both the scheduler and
// the grant handle that Pebble wants.
type compactor struct {
	pool *compactions
	db   pebble.DBForCompaction // set by Register, before any other call

	// guarded by pool.mu
	running int
	paused  bool
	closed  bool
	calls   int // of the pool into db
}

func newCompactions(limit int) *compactions {
	c := &compactions{limit: limit}
	c.cond.L = &c.mu
	return c
}

func (c *compactions) member() *compactor { return &compactor{pool: c} }

// grant starts waiting compactions, the most urgent first, as far as the limit
// allows.
func (c *compactions) grant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.granting {
		c.again = true
		return
	}
	c.granting = true
	for more := true; more; {
		c.again = false
		for c.grantOneLocked() {
		}
		more = c.again
	}
	c.granting = false
	c.cond.Broadcast()
}

func (c *compactions) grantOneLocked() bool {
	if c.running >= c.limit {
		return false
	}
	var best *compactor
	var bestWait pebble.WaitingCompaction
	for _, m := range append([]*compactor(nil), c.members...) {
		if !m.mayRunLocked() {
			continue
		}
		m.calls++
		c.mu.Unlock()
		waiting, w := m.db.GetWaitingCompaction()
		c.mu.Lock()
		c.endCallLocked(m)
		if waiting && (best == nil || moreUrgent(w, bestWait)) {
			best, bestWait = m, w
		}
	}
	if best == nil || !best.mayRunLocked() || c.running >= c.limit {
		return false
	}
	best.calls++
	best.running++
	c.running++
	c.mu.Unlock()
	ok := best.db.Schedule(best)
	c.mu.Lock()
	if !ok {
		best.running--
		c.running--
	}
	c.endCallLocked(best)
	return ok
}

func (c *compactions) endCallLocked(m *compactor) {
	m.calls--
	c.cond.Broadcast()
}

func moreUrgent(a, b pebble.WaitingCompaction) bool {
	if a.Optional != b.Optional {
		return b.Optional
	}
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	return a.Score > b.Score
}

func (m *compactor) mayRunLocked() bool {
	return !m.closed && !m.paused && m.running < m.db.GetAllowedWithoutPermission()
}

// pause keeps new compactions of the store from starting; those that run go on.
func (m *compactor) pause() {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	m.paused = true
}

func (m *compactor) resume() {
	m.pool.mu.Lock()
	m.paused = false
	m.pool.mu.Unlock()
	m.pool.grant()
}

// Register is part of pebble.CompactionScheduler.
func (m *compactor) Register(_ int, db pebble.DBForCompaction) {
	m.db = db
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	m.pool.members = append(m.pool.members, m)
}

// Unregister is part of pebble.CompactionScheduler. After it the pool calls the
// store no more.
func (m *compactor) Unregister() {
	c := m.pool
	c.mu.Lock()
	defer c.mu.Unlock()
	m.closed = true
	for m.calls > 0 {
		c.cond.Wait()
	}
	for i, o := range c.members {
		if o == m {
			c.members = append(c.members[:i:i], c.members[i+1:]...)
			break
		}
	}
}

// TrySchedule is part of pebble.CompactionScheduler; the store's mutex is held.
func (m *compactor) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c := m.pool
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running >= c.limit || !m.mayRunLocked() {
		return false, nil
	}
	m.running++
	c.running++
	return true, m
}

// UpdateGetAllowedWithoutPermission is part of pebble.CompactionScheduler. The
// store's mutex is held, so the store must not be called from here; Pebble calls
// TrySchedule right after, or has a compaction waiting that Done will start.
func (m *compactor) UpdateGetAllowedWithoutPermission() {}

// Done is part of pebble.CompactionGrantHandle; no lock is held.
func (m *compactor) Done() {
	m.pool.mu.Lock()
	m.running--
	m.pool.running--
	m.pool.mu.Unlock()
	m.pool.grant()
}

// Started is part of pebble.CompactionGrantHandle.
func (m *compactor) Started() {}

// MeasureCPU is part of pebble.CompactionGrantHandle.
func (m *compactor) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats is part of pebble.CompactionGrantHandle.
func (m *compactor) CumulativeStats(pebble.CompactionGrantHandleStats) {}
