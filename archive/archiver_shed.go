package archive

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	shedReason  = "shed: the WAL budget was used up before this was archived"
	declareTime = 10 * time.Second
)

// keep is the archiver's own goroutine: it calls OnAdvance, and sheds.
func (a *Archiver) keep() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.closed {
		switch {
		case a.notify:
			a.notify = false
			a.mu.Unlock()
			a.opts.OnAdvance()
			a.mu.Lock()
		case a.mustShed():
			a.shedOldest()
		default:
			a.work.Wait()
		}
	}
}

// mustShed tells whether the oldest segment is to be given up now.
func (a *Archiver) mustShed() bool {
	t := &a.track
	if a.opts.Policy != Shed || a.fence.Load() != nil || t.waiting <= a.opts.BudgetBytes || t.released == len(t.items) {
		return false
	}
	if wait := time.Until(a.shedDue); wait > 0 {
		a.wakeAt(&a.shedTimer, a.shedDue)
		return false
	}
	return true
}

// shedOldest gives up the oldest segment that holds the WAL back: the gap is
// first made durable in the journal, then declared in the stores that answer,
// then the segment is released. A store that does not answer gets the gap
// object before anything after the gap counts as archived there. When the
// journal cannot hold it, only the gap objects themselves release.
// The caller holds mu, which is released meanwhile.
func (a *Archiver) shedOldest() {
	it := a.track.items[a.track.released]
	var pending []*storeRun
	for _, s := range a.stores {
		p := &it.at[s.index]
		if s.Optional || p.releasable() {
			continue
		}
		p.giveUp(shedReason)
		pending = append(pending, s)
	}
	a.mu.Unlock()
	var failed error
	for _, s := range pending {
		if err := a.shedIn(s, it); err != nil {
			failed = err
		}
	}
	a.mu.Lock()
	if failed != nil {
		a.shedDue = time.Now().Add(a.opts.BackoffMax)
		a.opts.Logger.Error("archive cannot record a gap, keeping the WAL", "first", it.seg.First, "last", it.seg.Last, "err", failed)
	} else {
		a.opts.Logger.Warn("archive gave up a WAL segment", "first", it.seg.First, "last", it.seg.Last, "bytes", it.seg.Bytes)
	}
	a.shedErr = failed
	a.advance()
	if failed == nil {
		a.mu.Unlock()
		a.opts.OnShed(it.seg.Last)
		a.mu.Lock()
	}
}

// shedIn makes the gap known for one store; nil when it is durable somewhere.
func (a *Archiver) shedIn(s *storeRun, it *item) error {
	recordErr := a.journal.add(s.line(lineShed, it, nil), true)
	// Crash here: the gap is on record, the segment still there. The next
	// start declares it.
	a.mu.Lock()
	p := &it.at[s.index]
	answers := s.ready && s.failures < a.opts.BreakerTrips
	mine := answers && p.state == shed && !p.busy
	if mine {
		p.busy = true // the workers leave it to us
	}
	a.mu.Unlock()
	var err error
	if answers {
		err = s.declare(it.seg.First, it.seg.Last, shedReason)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Shed++
	s.ShedBytes += it.seg.Bytes
	declaredNow := answers && err == nil
	if mine {
		p.busy = false
		if declaredNow {
			p.state = declared
			s.Gaps++
		}
	}
	if recordErr != nil && !declaredNow {
		return fmt.Errorf("record gap: %w", recordErr)
	}
	p.recorded = true
	return nil
}

// declareItem creates the gap object of an item.
func (s *storeRun) declareItem(it *item, reason string) error {
	if err := s.declare(it.seg.First, it.seg.Last, reason); err != nil {
		return err
	}
	_ = s.a.journal.add(s.line(lineDeclared, it, nil), false) // a cache
	return nil
}

func (s *storeRun) declare(first, last wal.LSN, reason string) error {
	own := &s.a.opts.Epoch
	ctx, cancel := context.WithTimeout(s.a.ctx, min(declareTime, s.a.opts.AttemptTimeout))
	defer cancel()
	err := WriteGap(ctx, s.Store, GapInfo{
		NodeID: own.NodeID, Timeline: own.Timeline, First: first, Last: last,
		Epoch: own.Epoch, Reason: reason, DeclaredAt: s.a.opts.Clock().UTC(),
	})
	if err != nil {
		return fmt.Errorf("declare gap %d to %d: %w", first, last, err)
	}
	return s.checkFence(ctx)
}
