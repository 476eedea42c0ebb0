package archive

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// closeGrace is how long Close waits for workers after their requests were
// cancelled.
const closeGrace = 5 * time.Second

// Archived is the LSN up to which every required store has proof of every
// segment, or the declaration of its gap. With optional stores only it is
// what was added.
func (a *Archiver) Archived() wal.LSN { return wal.LSN(a.archived.Load()) }

// Releasable is the LSN up to which the archive no longer needs the WAL: at
// least Archived, and beyond it what is shed with its gap on record.
func (a *Archiver) Releasable() wal.LSN { return wal.LSN(a.releasable.Load()) }

// Admit refuses a write with a *StalledError while the budget is used up. It
// costs one atomic load.
func (a *Archiver) Admit() error {
	if e := a.stalled.Load(); e != nil {
		return e
	}
	return nil
}

// Fenced is the *FencedError that stopped the archiver, or nil.
func (a *Archiver) Fenced() error {
	if e := a.fence.Load(); e != nil {
		return e
	}
	return nil
}

// Wait returns when Archived has reached lsn; with a *FencedError or
// ErrArchiverClosed when it never will, or with ctx's error.
func (a *Archiver) Wait(ctx context.Context, lsn wal.LSN) error {
	return a.until(ctx, func() (bool, error) {
		switch {
		case a.Archived() >= lsn:
			return true, nil
		case a.fence.Load() != nil:
			return false, a.fence.Load()
		case a.closed:
			return false, ErrArchiverClosed
		}
		return false, nil
	})
}

// until waits for cond, which is called with mu held, to be true or an error.
func (a *Archiver) until(ctx context.Context, cond func() (bool, error)) error {
	for {
		a.mu.Lock()
		ok, err := cond()
		changed := a.changed
		a.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close takes no more segments, waits until everything is archived or ctx is
// done, and stops. ErrNotDrained when something is left. Optional stores are
// waited for only while they answer.
func (a *Archiver) Close(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.draining = true
	a.mu.Unlock()
	err := a.until(ctx, a.drained)
	if err != nil && a.fence.Load() == nil {
		err = fmt.Errorf("%w: archived up to LSN %d: %w", ErrNotDrained, a.Archived(), err)
	}
	a.mu.Lock()
	a.closed = true
	a.cancel()
	for _, s := range a.stores {
		stopTimers(s.timer, s.lag.timer)
	}
	stopTimers(a.shedTimer)
	a.wake()
	a.mu.Unlock()
	if werr := a.join(); werr != nil {
		return werr
	}
	a.journal.close()
	return err
}

func stopTimers(timers ...*time.Timer) {
	for _, t := range timers {
		if t != nil {
			t.Stop()
		}
	}
}

// drained tells whether all that can be archived now is. mu is held.
func (a *Archiver) drained() (bool, error) {
	if a.closed {
		return true, nil
	}
	if e := a.fence.Load(); e != nil {
		return false, e
	}
	for _, s := range a.stores {
		idle := s.done == len(a.track.items) && len(s.holes) == 0 && s.inFlight == 0
		if !idle && !(s.Optional && (s.failures > 0 || s.fenced != nil)) {
			return false, nil
		}
	}
	return true, nil
}

// join waits for the workers. One that is stuck in a store that does not
// heed its context is left behind, and said so.
func (a *Archiver) join() error {
	done := make(chan struct{})
	go func() { a.wg.Wait(); close(done) }()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-done:
		return nil
	case <-grace.C:
		return fmt.Errorf("%w: a store does not return from a cancelled request", ErrNotDrained)
	}
}

// ArchiverStatus is what an Archiver is doing.
type ArchiverStatus struct {
	Archived       wal.LSN       `json:"archived"`
	Releasable     wal.LSN       `json:"releasable"`
	Added          wal.LSN       `json:"added"`         // last LSN that was handed over
	WaitingBytes   int64         `json:"waiting_bytes"` // of WAL that the archive holds back
	BudgetBytes    int64         `json:"budget_bytes"`
	Policy         string        `json:"policy"`
	Stalled        string        `json:"stalled,omitempty"`
	Fenced         string        `json:"fenced,omitempty"`
	JournalErrors  int           `json:"journal_errors"`
	JournalDamaged int           `json:"journal_damaged_lines"`
	Stores         []StoreStatus `json:"stores"`
}

// StoreStatus is one store's share.
type StoreStatus struct {
	URL         string  `json:"url"`
	Optional    bool    `json:"optional"`
	Archived    wal.LSN `json:"archived"`
	Queued      int     `json:"queued"` // segments and gaps that are not done here
	QueuedBytes int64   `json:"queued_bytes"`
	InFlight    int     `json:"in_flight"`
	Circuit     string  `json:"circuit"` // "closed", "open", "half-open" or "fenced"
	// What the store lacks and the node's log no longer has: Missing LSNs from
	// MissingFrom on. It is copied from another store.
	Missing     uint64  `json:"missing,omitempty"`
	MissingFrom wal.LSN `json:"missing_from,omitempty"`
	CatchingUp  bool    `json:"catching_up,omitempty"` // a copy is under way
	LastError   string  `json:"last_error,omitempty"`
	counters
}

// counters of one store, since the archiver started.
type counters struct {
	Attempts      int64     `json:"attempts"` // uploads begun
	Uploads       int64     `json:"uploads"`  // acknowledged
	UploadedBytes int64     `json:"uploaded_bytes"`
	Verified      int64     `json:"verified"`
	VerifiedBytes int64     `json:"verified_bytes"` // of their log
	Failures      int64     `json:"failures"`
	FalseAcks     int64     `json:"false_acks"` // acknowledged, then absent or different
	Collisions    int64     `json:"collisions"` // objects that were there already
	LocalErrors   int64     `json:"local_errors"`
	Shed          int64     `json:"shed"`
	ShedBytes     int64     `json:"shed_bytes"`
	Gaps          int64     `json:"gaps"`         // gap objects created
	Copied        int64     `json:"copied"`       // objects that were brought from another store
	CopiedBytes   int64     `json:"copied_bytes"` // and their bytes
	LastSuccess   time.Time `json:"last_success,omitzero"`
	LastVerified  time.Time `json:"last_verified,omitzero"`
	LastFailure   time.Time `json:"last_failure,omitzero"`
}

// Status is a snapshot of the figures.
func (a *Archiver) Status() ArchiverStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := ArchiverStatus{
		Archived: a.Archived(), Releasable: a.Releasable(), Added: max(a.track.next, 1) - 1,
		WaitingBytes: a.track.waiting, BudgetBytes: a.opts.BudgetBytes, Policy: a.opts.Policy.String(),
	}
	if e := a.stalled.Load(); e != nil {
		st.Stalled = e.Error()
	}
	if e := a.fence.Load(); e != nil {
		st.Fenced = e.Error()
	}
	st.JournalErrors, st.JournalDamaged = a.journal.figures()
	for _, s := range a.stores {
		st.Stores = append(st.Stores, s.status())
	}
	return st
}

func (s *storeRun) status() StoreStatus {
	st := StoreStatus{
		URL: s.url, Optional: s.Optional, Archived: s.archived,
		InFlight: s.inFlight, Circuit: "closed", counters: s.counters,
		Queued: len(s.holes), Missing: s.lag.lsns(), CatchingUp: s.lag.busy,
	}
	if len(s.lag.ranges) > 0 {
		st.MissingFrom = s.lag.ranges[0].first
	}
	for _, it := range s.a.track.items[s.done:] {
		if !it.at[s.index].done() {
			st.Queued++
			st.QueuedBytes += it.seg.Bytes
		}
	}
	switch {
	case s.fenced != nil:
		st.Circuit = "fenced"
	case s.failures >= s.a.opts.BreakerTrips && time.Now().Before(s.openUntil):
		st.Circuit = "open"
	case s.failures >= s.a.opts.BreakerTrips:
		st.Circuit = "half-open"
	}
	if s.lastErr != nil {
		st.LastError = s.lastErr.Error()
	}
	return st
}
