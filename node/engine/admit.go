package engine

import (
	"fmt"
	"sync"
)

// admission decides when a store is too far behind to take more. Pebble would
// block the writer; a core must not block, so Pebble's own limits are out of
// reach and the core asks Admit before it takes work.
type admission struct {
	mu      sync.Mutex
	unseen  int // bytes written since the last look
	verdict error
}

const (
	admitLookBytes     = 1 << 20 // look again after so many bytes
	admitMemtablesMax  = 6       // full memtables that wait for their flush
	admitL0SublevelMax = 40
)

// wrote is called by the core after each batch.
func (a *admission) wrote(s *store, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unseen += bytes; a.unseen >= admitLookBytes {
		a.unseen = 0
		s.changed.Store(true)
	}
}

// Admit says whether the vshard should take more writes: nil, ErrStalled with
// the reason, a *StoreError, or ErrClosed. It is cheap enough to ask for every
// run of requests. What was logged already must be applied in any case.
func (v *VShard) Admit() error {
	ref, err := v.Acquire()
	if err != nil {
		return err
	}
	defer ref.Release()
	if err := v.storeErr(); err != nil {
		return err
	}
	a := &v.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.store.changed.Swap(false) {
		a.verdict = v.look()
	}
	return a.verdict
}

func (v *VShard) look() error {
	m := v.store.db.Metrics()
	limit := admitMemtablesMax * uint64(v.shared.opts.MemtableBytes)
	if m.MemTable.Size > limit {
		_, err := v.store.flushFailure()
		return stalled(fmt.Sprintf("%d bytes wait for a flush, the limit is %d", m.MemTable.Size, limit), err)
	}
	if n := m.Levels[0].Sublevels; n > admitL0SublevelMax {
		return stalled(fmt.Sprintf("%d sublevels wait for compaction, the limit is %d", n, admitL0SublevelMax), nil)
	}
	return nil
}

func stalled(why string, cause error) error {
	if cause != nil {
		return fmt.Errorf("%w: %s: %w", ErrStalled, why, cause)
	}
	return fmt.Errorf("%w: %s", ErrStalled, why)
}

// Stats describe a store.
type Stats struct {
	DiskBytes     uint64 // tables
	MemtableBytes uint64 // allocated
	Tables        int64
	L0Sublevels   int
	Compacting    int64 // compactions that run
	ReadAmp       int
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
	s := Stats{
		MemtableBytes: m.MemTable.Size,
		L0Sublevels:   int(m.Levels[0].Sublevels),
		Compacting:    m.Compact.NumInProgress,
		ReadAmp:       m.ReadAmp(),
	}
	for i := range m.Levels {
		s.Tables += m.Levels[i].TablesCount
		s.DiskBytes += uint64(m.Levels[i].TablesSize)
	}
	return s, nil
}
