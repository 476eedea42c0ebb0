package engine

import (
	"fmt"
	"sync"
)

// admission remembers what Admit found when it last looked at the tables.
type admission struct {
	mu     sync.Mutex
	tables error
}

const (
	admitFrozenMax     = 4 // fronts that wait to become tables
	admitL0SublevelMax = 40
)

// Admit says whether the vshard should take more writes: nil, ErrStalled with
// the reason, a *StoreError, or ErrClosed. It is cheap enough to ask for every
// run of requests. What was logged already must be applied in any case: Commit
// never waits, so this is the only limit on memory.
func (v *VShard) Admit() error {
	ref, err := v.Acquire()
	if err != nil {
		return err
	}
	defer ref.Release()
	if err := v.storeErr(); err != nil {
		return err
	}
	n := len(v.view.Load().frozen)
	if n > admitFrozenMax {
		return stalled(fmt.Sprintf("%d full memtables wait to be written, the limit is %d", n, admitFrozenMax), v.spiller.lastErr())
	}
	// Others may hold all of it and be unable to write: that is not the trouble of a
	// vshard that has nothing there.
	if all, limit := v.shared.frozen.Load(), v.shared.frozenMax(); n > 0 && all >= limit {
		return stalled(fmt.Sprintf("%d bytes of full memtables wait to be written, the limit is %d", all, limit), v.spiller.lastErr())
	}
	a := &v.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.store.changed.Swap(false) {
		a.tables = nil
		if n := v.store.db.Metrics().Levels[0].Sublevels; n > admitL0SublevelMax {
			a.tables = stalled(fmt.Sprintf("%d layers of tables wait for compaction, the limit is %d", n, admitL0SublevelMax), nil)
		}
	}
	return a.tables
}

// frozenMax is the limit on bytes of fronts that wait to become tables.
func (s *Shared) frozenMax() int64 {
	if s.opts.FrozenBytes > 0 {
		return s.opts.FrozenBytes
	}
	return int64(s.open.Load()) * s.opts.MemtableBytes * 3 / 2
}

// MemoryBytes is what the caches and all memtables may take, in bytes; a value
// more for each vshard, at its largest, can be on top of it.
func (s *Shared) MemoryBytes() int64 {
	return s.opts.CacheBytes + int64(s.open.Load())*s.opts.MemtableBytes + s.frozenMax()
}

func stalled(why string, cause error) error {
	if cause != nil {
		return fmt.Errorf("%w: %s: %w", ErrStalled, why, cause)
	}
	return fmt.Errorf("%w: %s", ErrStalled, why)
}

// Stats describe a store.
type Stats struct {
	DiskBytes   uint64 `json:"disk_bytes"`   // of tables
	MemoryBytes uint64 `json:"memory_bytes"` // of what is not in tables yet
	Frozen      int    `json:"frozen"`       // memtables that wait to be written
	Tables      int64  `json:"tables"`
	L0Sublevels int    `json:"l0_sublevels"`
	Compacting  int64  `json:"compacting"` // compactions that run
	ReadAmp     int    `json:"read_amp"`
}

// Stats looks at the store. It takes the store's mutex; ask once a second, not
// per request.
func (v *VShard) Stats() (Stats, error) {
	ref, err := v.Acquire()
	if err != nil {
		return Stats{}, err
	}
	defer ref.Release()
	m := v.store.db.Metrics()
	w := v.view.Load()
	s := Stats{
		Frozen:      len(w.frozen),
		L0Sublevels: int(m.Levels[0].Sublevels),
		Compacting:  m.Compact.NumInProgress,
		ReadAmp:     m.ReadAmp(),
	}
	for _, f := range w.frozen {
		s.MemoryBytes += uint64(f.used)
	}
	if w.active != nil {
		s.MemoryBytes += uint64(w.bytes)
	}
	for i := range m.Levels {
		s.Tables += m.Levels[i].TablesCount
		s.DiskBytes += uint64(m.Levels[i].TablesSize)
	}
	return s, nil
}
