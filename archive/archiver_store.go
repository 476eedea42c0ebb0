package archive

import (
	"context"
	"errors"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// storeRun is one store of an Archiver: its queue, its circuit, its figures.
// Everything below memory is guarded by Archiver.mu.
type storeRun struct {
	StoreConfig
	a      *Archiver
	index  int
	url    string
	memory *budget

	ready    bool  // epoch and holes are settled
	settling bool  // a worker is at that
	holes    []gap // LSNs before the first item that this store lacks and nobody else may have
	lag      lag   // what only another store may have
	// present are the segments that were found in the store at the start; a
	// create that would only be answered with ErrExists is left out. By content:
	// the names that it has there.
	present map[SegmentKey][]SegmentKey
	ahead   []SegmentKey // were there at the start, beyond all that was added then

	done       int     // items before it are done here
	loose      int     // items before it are releasable here
	reached    wal.LSN // last LSN of the items before done
	archived   wal.LSN // the same, or what comes before the lag
	releasable wal.LSN // last LSN of the items before loose
	marked     wal.LSN // archived, as the journal knows it

	inFlight  int
	failures  int       // in a row
	openUntil time.Time // the circuit is open: no request before
	fenced    *FencedError
	lastErr   error
	timer     *time.Timer // wakes the workers when something falls due

	counters
}

type gap struct{ first, last wal.LSN }

// job is one thing that a worker does.
type job struct {
	settle bool
	hole   *gap
	it     *item // with its progress in this store
	p      *progress
}

// advance moves both marks over what is done. The caller holds mu.
func (s *storeRun) advance() {
	items := s.a.track.items
	for len(s.holes) == 0 && s.done < len(items) && items[s.done].at[s.index].done() {
		s.reached = items[s.done].seg.Last
		s.done++
	}
	s.archived = s.lag.limit(s.reached)
	for s.loose < len(items) && items[s.loose].at[s.index].releasable() {
		s.releasable = items[s.loose].seg.Last
		s.loose++
	}
}

// run is a worker. It ends when the archiver closes or this store is fenced.
func (s *storeRun) run() {
	for {
		j, ok := s.take()
		if !ok {
			return
		}
		s.finish(j, s.do(j))
		s.mark()
	}
}

func (s *storeRun) do(j job) error {
	switch {
	case j.settle:
		return s.settle()
	case j.hole != nil:
		return s.declare(j.hole.first, j.hole.last, missingAtReason)
	case j.p.state == shed:
		return s.declareItem(j.it, j.p.reason)
	case j.p.state == uploaded:
		return s.verifyItem(j.it, j.p.sent)
	}
	return s.uploadItem(j.it)
}

// take waits for the next job.
func (s *storeRun) take() (job, bool) {
	a := s.a
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		if a.closed || s.fenced != nil || a.fence.Load() != nil {
			return job{}, false
		}
		j, due, ok := s.pick(time.Now())
		if ok {
			s.inFlight++
			return j, true
		}
		a.wakeAt(&s.timer, due)
		a.work.Wait()
	}
}

// pick chooses the oldest work that is due, or says when some will be.
func (s *storeRun) pick(now time.Time) (j job, due time.Time, ok bool) {
	items := s.a.track.items[s.done:]
	if len(items) == 0 && len(s.holes) == 0 && (s.ready || len(s.lag.ranges) == 0) {
		return job{}, due, false
	}
	if now.Before(s.openUntil) {
		return job{}, s.openUntil, false
	}
	if s.failures >= s.a.opts.BreakerTrips && s.inFlight > 0 || s.settling {
		return job{}, due, false // half open: one probe is enough
	}
	if !s.ready {
		s.settling = true
		return job{settle: true}, due, true
	}
	if len(s.holes) > 0 {
		s.settling = true // one at a time, and nothing beside it
		return job{hole: &s.holes[0]}, due, true
	}
	for _, it := range items {
		p := &it.at[s.index]
		switch {
		case p.done() || p.busy:
		case p.due.After(now):
			if due.IsZero() || p.due.Before(due) {
				due = p.due
			}
		default:
			p.busy = true
			return job{it: it, p: p}, due, true
		}
	}
	return job{}, due, false
}

// wakeAt makes whoever waits for work look again at due; zero is never.
func (a *Archiver) wakeAt(timer **time.Timer, due time.Time) {
	if due.IsZero() {
		return
	}
	wait := max(time.Until(due), 0)
	if *timer == nil {
		*timer = time.AfterFunc(wait, a.poke)
		return
	}
	(*timer).Reset(wait)
}

// finish takes the outcome of a job in.
func (s *storeRun) finish(j job, err error) {
	a := s.a
	a.mu.Lock()
	defer a.mu.Unlock()
	s.inFlight--
	if j.it == nil {
		s.settling = false
	}
	var fenced *FencedError
	var local *localError
	switch {
	case err == nil:
		s.succeed(j)
	case errors.As(err, &fenced):
		s.setFenced(fenced)
	case errors.Is(err, context.Canceled) && a.ctx.Err() != nil:
	case errors.As(err, &local):
		s.failLocal(j, local)
	default:
		s.fail(j, err)
	}
	if j.p != nil {
		j.p.busy = false
		if j.p.shed && !j.p.done() {
			j.p.state, j.p.shed, j.p.due = shed, false, time.Time{}
		}
		if j.p.gone && !j.p.done() {
			j.p.gone = false
			s.miss(j.it)
		}
	}
	a.advance()
}

func (s *storeRun) succeed(j job) {
	s.failures, s.lastErr, s.openUntil = 0, nil, time.Time{}
	s.LastSuccess = s.a.opts.Clock()
	switch {
	case j.settle:
		s.ready = true
	case j.hole != nil:
		s.holes = s.holes[1:]
		s.Gaps++
	case j.p.state == shed:
		j.p.state = declared
		s.Gaps++
	default:
		j.p.state = verified
		s.Verified++
		s.VerifiedBytes += j.it.seg.Bytes
		s.LastVerified = s.LastSuccess
	}
}

// fail backs off: this item by itself, and the whole store by its circuit.
func (s *storeRun) fail(j job, err error) {
	now, o := time.Now(), &s.a.opts
	s.Failures++
	s.failures++
	s.lastErr, s.LastFailure = err, o.Clock()
	if j.p != nil {
		j.p.attempts++
		j.p.due = now.Add(s.a.jitter(j.p.attempts))
	}
	level, first := o.Logger.Debug, o.BreakerTrips
	if j.p == nil {
		first = 1
	}
	if s.failures >= first {
		s.openUntil = now.Add(s.a.jitter(s.failures))
		if doubled(s.failures, first) {
			level = o.Logger.Warn
		}
	}
	level("archive request failed", "store", s.url, "failures", s.failures, "err", err)
}

// doubled tells whether n is first, or first doubled any number of times: a
// store that stays down is reported ever more seldom.
func doubled(n, first int) bool {
	times := n / first
	return n%first == 0 && times&(times-1) == 0
}

// failLocal is trouble with the segment file. The store is not to blame. A
// file that is gone because the WAL was truncated is a gap.
func (s *storeRun) failLocal(j job, err *localError) {
	o := &s.a.opts
	if j.it.seg.Last <= s.a.track.truncated {
		s.miss(j.it)
		return
	}
	s.lastErr, s.LastFailure = err, o.Clock()
	s.LocalErrors++
	j.p.attempts++
	j.p.due = time.Now().Add(o.BackoffMax)
	o.Logger.Error("archive cannot read a WAL segment, keeping it", "store", s.url, "path", j.it.seg.Path, "err", err)
}

// jitter is a random wait from BackoffMin to BackoffMin·2^n, at most
// BackoffMax: spread over all of it, so that clients that failed together do
// not come back together. The caller holds mu.
func (a *Archiver) jitter(n int) time.Duration {
	low, high := a.opts.BackoffMin, a.opts.BackoffMax
	if n < 32 {
		high = min(high, low<<n)
	}
	if high <= low {
		return high
	}
	return low + time.Duration(a.rand.Int64N(int64(high-low)))
}

// setFenced stops this store, and the whole archiver if the store counts.
func (s *storeRun) setFenced(e *FencedError) {
	s.fenced, s.lastErr = e, e
	s.LastFailure = s.a.opts.Clock()
	if !s.Optional {
		s.a.fence.CompareAndSwap(nil, e)
	}
	s.a.opts.Logger.Error("archive is fenced: archiving stops, the WAL is kept", "store", s.url, "optional", s.Optional, "err", e)
}

// mark writes the archived mark of the store into the journal. Not before the
// holes are known and declared: the mark says that there are none below it.
func (s *storeRun) mark() {
	a := s.a
	a.mu.Lock()
	grown := s.ready && len(s.holes) == 0 && s.archived > s.marked
	upTo := s.archived
	if grown {
		s.marked = upTo
	}
	a.mu.Unlock()
	if grown {
		_ = a.journal.add(journalLine{Kind: lineArchived, Store: s.url, Last: upTo}, false) // a cache
	}
}

// poke makes everybody look again.
func (a *Archiver) poke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.work.Broadcast()
}

// Kick makes failed work due now and closes every circuit, for a person who
// has mended the store.
func (a *Archiver) Kick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.stores {
		s.openUntil, s.failures, s.lag.due = time.Time{}, 0, time.Time{}
		for _, it := range a.track.items[s.done:] {
			it.at[s.index].due = time.Time{}
		}
	}
	a.work.Broadcast()
}
