package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// spiller turns frozen fronts into tables, one after the other, on a goroutine
// that lives as long as there is work.
type spiller struct {
	mu      sync.Mutex
	queue   []*spillJob // oldest first
	running bool
	seq     int   // of attempts, and of their table files
	err     error // of the last attempt
}

// flushWaiter waits for a job. An attempt that had begun before he came says
// nothing to him when it fails.
type flushWaiter struct {
	done  chan<- error
	after int // attempts that had begun
}

// spillJob is a frozen front and who waits for it.
type spillJob struct {
	f      *front
	images []frozenState
	done   []flushWaiter
}

const (
	spillRetryMin = 10 * time.Millisecond
	spillRetryMax = time.Second
)

// spill queues a job. Called by the core.
func (v *VShard) spill(job *spillJob) {
	s := &v.spiller
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range job.done {
		job.done[i].after = s.seq
	}
	s.queue = append(s.queue, job)
	if s.running {
		return
	}
	s.running = true
	v.wg.Add(1)
	go v.runSpills()
}

func (v *VShard) runSpills() {
	defer v.wg.Done()
	retry := spillRetryMin
	for {
		job, name := v.spiller.next()
		if job == nil {
			return
		}
		err := v.runSpill(job, name)
		if err == nil {
			retry = spillRetryMin
			v.spiller.succeeded()
			continue
		}
		// The front stays readable in memory, and its records in the WAL.
		v.log.Warn("write table", "err", err)
		stop := v.storeErr() != nil || errors.Is(err, ErrClosed)
		v.spiller.failed(err, stop)
		if stop || !v.store.pause(retry) {
			v.spiller.failed(err, true)
			return
		}
		retry = min(2*retry, spillRetryMax)
	}
}

func (s *spiller) next() (*spillJob, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.running = false
		return nil, ""
	}
	s.seq++
	return s.queue[0], fmt.Sprintf("%s%06d.sst", spillFilePrefix, s.seq)
}

// succeeded answers those who wait for the oldest job.
func (s *spiller) succeeded() {
	s.mu.Lock()
	job := s.queue[0]
	s.queue[0] = nil // or the array keeps the front's memory
	s.queue, s.err = s.queue[1:], nil
	s.mu.Unlock()
	for _, w := range job.done {
		w.done <- nil
	}
}

// failed answers everybody who waited for this attempt: tables are written in
// order, so no later one is there either. stop says that nobody will try again.
func (s *spiller) failed(err error, stop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	for _, job := range s.queue {
		job.done = slices.DeleteFunc(job.done, func(w flushWaiter) bool {
			if !stop && w.after >= s.seq {
				return false
			}
			w.done <- err
			return true
		})
	}
	if stop {
		s.running = false
	}
}

// lastErr is the error of the last attempt, nil when it succeeded.
func (s *spiller) lastErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// join lets done wait for the youngest job, if its mark is m.
func (s *spiller) join(m mark, done chan<- error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running || len(s.queue) == 0 {
		return false
	}
	job := s.queue[len(s.queue)-1]
	if job.f.mark != m {
		return false
	}
	job.done = append(job.done, flushWaiter{done: done, after: s.seq})
	return true
}

func (v *VShard) runSpill(job *spillJob, name string) error {
	select {
	case v.shared.spills <- struct{}{}:
	case <-v.store.fence.closing:
		return ErrClosed
	}
	defer func() { <-v.shared.spills }()
	if err := v.ingestFront(job.f, job.f.limit, job.f.mark, name); err != nil {
		return err
	}
	// Crash here: the table is part of the store, and its LSN with it.
	v.leave(job.f)
	if len(job.images) == 0 {
		return nil
	}
	return v.saveStates(job.images, name)
}

// pause waits for d; false when the store closes.
func (s *store) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.fence.closing:
		return false
	}
}

// StartFlush makes everything applied so far durable. The core calls it between
// batches; the work runs elsewhere and the result arrives on the channel, once:
// nil means that Flushed is at least the LSN that Applied had, or upTo if that is
// higher.
//
// upTo lets a vshard without traffic keep up: the caller promises that no record
// of this vshard at or below upTo is still to be applied. upToTime is its time.
//
// After an error the vshard tries again by itself; ask again to hear of it.
func (v *VShard) StartFlush(upTo wal.LSN, upToTime int64) <-chan error {
	done := make(chan error, 1)
	if err := v.startFlush(upTo, upToTime, done); err != nil {
		done <- err
	}
	return done
}

func (v *VShard) startFlush(upTo wal.LSN, upToTime int64, done chan<- error) error {
	if v.closed.Load() {
		return ErrClosed
	}
	if err := v.storeErr(); err != nil {
		return err
	}
	v.dropPending()
	if upTo > v.Applied() {
		v.show(v.view.Load().active, mark{lsn: uint64(upTo), time: upToTime})
	}
	w := v.view.Load()
	if w.active == nil && v.spiller.join(w.mark, done) {
		return nil
	}
	images, err := v.freezeStates()
	if err != nil {
		return err
	}
	if w.active == nil && len(w.frozen) == 0 && len(images) == 0 {
		if stored, _, err := readApplied(v.store.db); err == nil && uint64(stored) == w.mark.lsn {
			done <- nil
			return nil
		}
	}
	v.freeze(&spillJob{images: images, done: []flushWaiter{{done: done}}})
	return nil
}

// Flush is StartFlush and the wait for it.
func (v *VShard) Flush() error { return <-v.StartFlush(0, 0) }

// Flushed returns the LSN up to which the vshard needs the WAL no more: the
// applied LSN in its tables, which are synced, or that of the oldest image of an
// engine's memory, whichever is lower.
func (v *VShard) Flushed() (wal.LSN, error) {
	ref, err := v.Acquire()
	if err != nil {
		return 0, err
	}
	defer ref.Release()
	lsn, _, err := readApplied(v.store.db)
	if err != nil {
		return 0, v.Damage(fmt.Errorf("read flushed lsn: %w", err))
	}
	for _, s := range v.states {
		img, err := readImage(v.store.db, s.engine.Name())
		if err != nil {
			return 0, v.Damage(fmt.Errorf("read image of %s: %w", s.engine.Name(), err))
		}
		lsn = min(lsn, img.lsn)
	}
	// What is visible was installed after its manifest was synced, or the sync of
	// a directory failed: that shows by now.
	return lsn, v.storeErr()
}
