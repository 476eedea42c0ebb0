package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Log is a write-ahead log in one directory. Its methods may be called from any
// goroutine.
//
// Who owns what:
//   - mu guards what appenders see. It is held for the time of a copy, never
//     for the time of an I/O.
//   - The baton (mu.flushing) stands for the right to write: whoever set it is
//     the only one to touch the active segment's file, until it clears it. It
//     goes to the committer goroutine, or to an appender that commits by itself.
//   - The preparer goroutine owns the segment that it zero-fills, and hands it
//     over through mu.ready.
//
// Invariants: durable ≤ appended; appended+1 = mu.next; the records of
// (durable, appended] are exactly those of mu.inflight followed by mu.pending;
// every record in them has its bytes reserved on disk.
type Log struct {
	opts       Options
	dir        string
	pendingMax int64 // pendingBytesMax, but for tests

	appended atomic.Uint64 // LSN; written under mu
	durable  atomic.Uint64 // LSN; written under mu, after fdatasync returned
	poisoned atomic.Pointer[PoisonedError]
	counters counters

	kick     chan struct{} // wakes the committer; one signal is enough
	prepare  chan struct{} // wakes the preparer; one signal is enough
	stop     chan struct{} // closed by Close
	stopped  sync.WaitGroup
	truncate sync.Mutex // one Truncate at a time

	// act is the active segment, nil before the first and after a seal. Its
	// file, hash and offset belong to the baton's holder; act itself and act.seg
	// are written by the holder under mu.
	act *activeSegment
	// prev is the SHA-256 of the last sealed segment, gap the first LSN of a
	// declared loss behind it. Owned by the baton's holder.
	prev [32]byte
	gap  LSN

	mu struct {
		sync.Mutex
		changed  sync.Cond // any of the fields below changed in a way that someone may wait for
		flushing bool      // the baton
		closing  bool
		begun    bool // a record was appended, or Start was called

		timeline Timeline
		epoch    Epoch

		next     LSN   // to be assigned
		lastTime int64 // µs; the newest record's time
		pending  *group
		inflight *group // being written; nil when none
		unused   *group // empty, takes the place of pending
		gather   gathering

		// What is left of the active segment once inflight is in it.
		room       int64
		points     int
		pointBytes int

		ready      *preparedSegment // next segment; nil while being prepared
		wanted     int64            // bytes that an append needs in the next segment
		target     int64            // bytes to prepare in general
		prepareErr error            // of the last attempt to prepare; nil after a success
		spares     []spareFile      // recycled files, smallest first
		serial     uint64           // for names of spare files

		sealAt    time.Time // when the active segment is due by age; zero: not
		sealed    []Segment // oldest first
		reading   map[LSN]int
		appenders []*Appender
		// successor: an empty segment that recovery found is the newest file.
		successor bool
	}
}

// Open recovers the log in dir, or creates it, and returns it readable and
// ready for appends. A torn tail is cut, the recovered segment is sealed (a
// seal that OnSeal does not hear of: see Segments), and the first append begins
// a new one. Damage is an error: *CorruptError, *MagicError; so is a file of a
// newer program: *VersionError; or of another node: *NodeIDError.
//
// One process may have a log open; the caller holds the lock.
func Open(dir string, o *Options) (*Log, error) {
	l := &Log{opts: o.withDefaults(), dir: dir, pendingMax: pendingBytesMax}
	if err := l.opts.validate(); err != nil {
		return nil, err
	}
	l.kick, l.prepare, l.stop = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	l.mu.changed.L = &l.mu
	l.mu.pending, l.mu.unused = new(group), new(group)
	l.mu.reading = map[LSN]int{}
	l.mu.gather.timer = time.AfterFunc(time.Hour, l.Kick)
	l.mu.gather.timer.Stop()
	l.mu.timeline, l.mu.epoch = l.opts.Timeline, l.opts.Epoch
	if err := l.recover(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l.stopped.Go(l.runCommitter)
	l.stopped.Go(l.runPreparer)
	l.wakePreparer()
	return l, nil
}

// Start gives the identity of the segments to come, in place of the one in
// Options, and begins the first of them at once. It must come before the first
// append, else ErrStarted.
func (l *Log) Start(t Timeline, e Epoch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.begun {
		return ErrStarted
	}
	l.mu.begun = true
	if err := l.acquire(context.Background()); err != nil {
		return err
	}
	defer l.release()
	l.mu.timeline, l.mu.epoch = t, e
	next, err := l.takeReady(PreambleLen)
	if err != nil {
		l.mu.begun = false
		return err
	}
	first := l.mu.next
	l.mu.Unlock()
	err = l.begin(next, first)
	l.mu.Lock()
	if err == nil {
		l.mu.room, l.mu.points, l.mu.pointBytes = next.capacity-PreambleLen, 0, 0
	}
	return err
}

// takeReady waits for the prepared segment, which must have at least need bytes,
// and takes it. Called with mu and the baton held.
func (l *Log) takeReady(need int64) (*preparedSegment, error) {
	for {
		if err := l.errLocked(); err != nil {
			return nil, err
		}
		if r := l.mu.ready; r != nil && r.capacity >= need {
			l.mu.ready = nil
			l.wakePreparer()
			return r, nil
		}
		if l.mu.prepareErr != nil {
			return nil, l.mu.prepareErr
		}
		l.mu.wanted = max(l.mu.wanted, need)
		l.wakePreparer()
		l.mu.changed.Wait()
	}
}

// Appended returns the last LSN that was assigned; FirstLSN-1 in a new log.
func (l *Log) Appended() LSN { return LSN(l.appended.Load()) }

// Durable returns the last LSN that is on disk.
func (l *Log) Durable() LSN { return LSN(l.durable.Load()) }

// First returns the oldest LSN that can be read, or the next to be assigned when
// there is none.
func (l *Log) First() LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.oldest()
}

// oldest is First with mu held.
func (l *Log) oldest() LSN {
	switch a := l.act; {
	case len(l.mu.sealed) > 0:
		return l.mu.sealed[0].First
	case a != nil && a.seg.Records > 0:
		return a.seg.First
	}
	return l.mu.next
}

// Err returns nil, or the *PoisonedError that ended the log.
func (l *Log) Err() error {
	if p := l.poisoned.Load(); p != nil {
		return p
	}
	return nil
}

func (l *Log) errLocked() error {
	if err := l.Err(); err != nil {
		return err
	}
	if l.mu.closing {
		return ErrClosed
	}
	return nil
}

// Segments lists the segments that hold records, oldest first, the active one
// last.
func (l *Log) Segments() []Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Clone(l.mu.sealed)
	if l.act != nil && l.act.seg.Records > 0 {
		list = append(list, l.act.seg)
	}
	for i := range list {
		list[i].Points = slices.Clone(list[i].Points)
	}
	return list
}

// Close commits what is pending, seals the active segment, and leaves an empty
// segment behind it, so that any byte that is damaged afterwards is found. It
// returns the *PoisonedError of a poisoned log, which it leaves as it is, and
// ErrClosed the second time.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.mu.closing {
		l.mu.Unlock()
		return ErrClosed
	}
	l.mu.closing = true
	l.mu.changed.Broadcast()
	for l.mu.flushing {
		l.mu.changed.Wait()
	}
	err := l.Err()
	if err == nil && !l.mu.pending.empty() {
		l.flush(nil)
		err = l.Err()
	}
	l.mu.flushing = true // never released: nothing is written after Close
	l.mu.Unlock()
	if err == nil {
		err = l.finish()
	}
	close(l.stop)
	l.stopped.Wait()
	l.mu.Lock()
	done := l.mu.pending.done
	l.mu.pending.done = nil
	l.mu.Unlock()
	if done != nil {
		close(done) // those who wait for an LSN that will never be
	}
	return errors.Join(err, l.closeFiles())
}

// finish seals the active segment and leaves an empty successor. Called with
// the baton held.
func (l *Log) finish() error {
	if l.act != nil && l.act.seg.Records > 0 {
		if err := l.sealActive(); err != nil {
			return err
		}
	}
	if l.act != nil {
		truncateFile(l.act.file, PreambleLen)
		return nil
	}
	l.mu.Lock()
	need := len(l.mu.sealed) > 0 && !l.mu.successor
	l.mu.Unlock()
	if !need {
		return nil
	}
	if err := l.leaveSuccessor(); err != nil {
		// Everything is sealed and durable; only the detection of damage in the
		// last footer is weaker. A full disk must not make Close fail.
		l.opts.Logger.Warn("wal: no empty segment left behind", "err", err)
	}
	return nil
}

func (l *Log) closeFiles() error {
	var errs []error
	if l.act != nil {
		errs = append(errs, l.act.file.Close())
		l.act.file = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range []*preparedSegment{l.mu.ready, l.mu.pending.next} {
		if p != nil {
			errs = append(errs, p.file.Close())
		}
	}
	l.mu.ready, l.mu.pending.next = nil, nil
	return errors.Join(errs...)
}
