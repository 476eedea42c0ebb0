package wal

import (
	"context"
	"time"
)

// acquire takes the baton. mu is held, and left while waiting.
func (l *Log) acquire(ctx context.Context) error {
	if l.mu.flushing && ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.mu.changed.Broadcast()
		})
		defer stop()
	}
	for l.mu.flushing {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		l.mu.changed.Wait()
	}
	if err := l.errLocked(); err != nil {
		return err
	}
	l.mu.flushing = true
	return nil
}

// release puts the baton down. What was appended meanwhile is the committer's,
// unless it waits for more. mu is held.
func (l *Log) release() {
	l.mu.flushing = false
	l.mu.changed.Broadcast()
	if !l.mu.pending.empty() && !l.held(0) {
		l.Kick()
	}
}

// flush makes one group commit of everything pending. mu is held, and left for
// the I/O; nobody has the baton; the pending group is not empty. The appender
// self, when not nil, is not woken. Failure is the log's Err.
func (l *Log) flush(self *Appender) {
	l.mu.flushing = true
	l.flushHeld(self, false)
	l.release()
}

// flushHeld is flush for who has the baton and keeps it. After a last group
// nothing more goes into the active segment: what is appended from now on
// begins the next.
func (l *Log) flushHeld(self *Appender, last bool) {
	g := l.mu.pending
	l.mu.gather.end(g.waiters)
	l.mu.pending, l.mu.unused = l.mu.unused, nil
	l.mu.inflight = g
	l.account(g)
	if last {
		l.mu.room = 0
	}
	l.mu.Unlock()

	began := time.Now()
	err := l.writeGroup(g)
	took := time.Since(began)

	l.mu.Lock()
	if err == nil {
		l.publish(g, took)
		l.mu.gather.begin(g.waiters, l.mu.pending.waiters, took)
	}
	done := g.done
	g.done = nil
	l.mu.Unlock()
	if done != nil {
		close(done)
	}
	if err == nil {
		for _, a := range g.appenders {
			if a != self && a.wake != nil {
				a.wake()
			}
		}
		// After the wake: nobody waits for the hash.
		l.act.sum.Write(g.buf)
	}
	l.mu.Lock()
	l.mu.inflight = nil
	g.reset()
	l.mu.unused = g
}

// account takes the group's bytes out of the room. mu is held.
func (l *Log) account(g *group) {
	g.pad()
	if g.next != nil {
		l.mu.room, l.mu.points, l.mu.pointBytes = g.next.capacity-PreambleLen, 0, 0
	}
	l.mu.room -= int64(len(g.buf))
	l.mu.points += len(g.points)
	l.mu.pointBytes += g.pointBytes
	if l.mu.ready == nil || l.mu.ready.capacity < l.nextBytes() {
		l.wakePreparer()
	}
}

// publish makes a durable group known. mu is held.
func (l *Log) publish(g *group, took time.Duration) {
	seg := &l.act.seg
	if seg.Records == 0 {
		seg.FirstTime = g.firstTime
		if l.opts.SegmentAge > 0 {
			l.mu.sealAt = time.Now().Add(l.opts.SegmentAge)
			l.Kick() // the committer keeps the timer
		}
	}
	seg.Last, seg.LastTime = g.last, g.lastTime
	seg.Records += g.records
	seg.Bytes += int64(len(g.buf))
	seg.Points = append(seg.Points, g.points...)
	l.durable.Store(uint64(g.last))
	c := &l.counters
	c.groups.Add(1)
	c.records.Add(g.records)
	c.bytes.Add(uint64(len(g.buf)))
	c.took.Observe(took)
}

// poison ends the log. An operation on the active segment is never tried again:
// after a failed fsync the kernel may have dropped the pages, and a second fsync
// would say yes to data that is gone.
func (l *Log) poison(op, path string, cause error) error {
	p := &PoisonedError{Op: op, Path: path, Err: cause}
	if !l.poisoned.CompareAndSwap(nil, p) {
		return l.Err()
	}
	l.opts.Logger.Error("wal: poisoned", "op", op, "path", path, "err", cause)
	l.mu.Lock()
	appenders := l.mu.appenders
	done := l.mu.pending.done
	l.mu.pending.done = nil
	l.mu.changed.Broadcast()
	l.mu.Unlock()
	if done != nil {
		close(done)
	}
	for _, a := range appenders {
		if a.wake != nil {
			a.wake()
		}
	}
	return p
}

// runCommitter takes what appenders leave, and seals by age.
func (l *Log) runCommitter() {
	age := time.NewTimer(time.Hour)
	age.Stop()
	defer age.Stop()
	for armed := (time.Time{}); ; {
		select {
		case <-l.stop:
			return
		case <-age.C:
			armed = time.Time{}
		case <-l.kick:
		}
		l.mu.Lock()
		for !l.mu.flushing && !l.mu.pending.empty() && !l.held(0) && l.Err() == nil {
			l.flush(nil)
		}
		l.sealByAge()
		due := l.mu.sealAt
		l.mu.Unlock()
		if due != armed {
			armed = due
			age.Stop()
			if !due.IsZero() {
				age.Reset(time.Until(due))
			}
		}
	}
}

// sealByAge seals the active segment when it is due. mu is held.
func (l *Log) sealByAge() {
	if !l.sealDue() {
		return
	}
	if l.acquire(context.Background()) != nil {
		l.mu.sealAt = time.Time{}
		return
	}
	defer l.release()
	if l.sealDue() { // it may have been sealed meanwhile
		_, _, _ = l.sealHeld() // a failure is the log's Err
	}
}

func (l *Log) sealDue() bool {
	return !l.mu.sealAt.IsZero() && !time.Now().Before(l.mu.sealAt)
}

// Seal commits what is pending and seals the active segment when it holds
// records; false when there was nothing to seal.
func (l *Log) Seal(ctx context.Context) (Segment, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.acquire(ctx); err != nil {
		return Segment{}, false, err
	}
	defer l.release()
	return l.sealHeld()
}

// sealHeld is Seal for who has the baton. mu is held, and left for the I/O.
func (l *Log) sealHeld() (Segment, bool, error) {
	if l.mu.pending.empty() {
		l.mu.room = 0
	} else {
		l.flushHeld(nil, true)
	}
	if err := l.Err(); err != nil {
		return Segment{}, false, err
	}
	if l.act == nil || l.act.seg.Records == 0 {
		return Segment{}, false, nil
	}
	l.mu.Unlock()
	err := l.sealActive()
	l.mu.Lock()
	if err != nil {
		return Segment{}, false, err
	}
	return l.mu.sealed[len(l.mu.sealed)-1], true, nil
}
