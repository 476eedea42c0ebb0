package wal

import (
	"context"
	"fmt"
)

// pendingBytesMax bounds what waits for the disk beside what is being written.
// An append beyond it waits for the disk.
const pendingBytesMax = 32 << 20

// pointsMax bounds the restore points of one segment, and so its footer.
const pointsMax = 4096

// Appender is one core's door to the log. Append and Commit belong to one
// goroutine.
type Appender struct {
	log  *Log
	wake func()
	last LSN // of the last batch; tells whether the pending group knows the appender; guarded by log.mu
}

// NewAppender returns a door. After every group commit that held records of
// it, wake is called once, from another goroutine; and once when the log is
// poisoned. It must not block and must not call the log. It may be nil.
func (l *Log) NewAppender(wake func()) *Appender {
	a := &Appender{log: l, wake: wake}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.appenders = append(l.mu.appenders, a)
	return a
}

// Append gives the batch's records their LSNs and their common time (µs since
// the Unix epoch), also in b, and takes a copy. It does not wait for the records
// to be durable: that is Commit or Kick, then wake, Durable or Wait. It waits
// only while too much is pending, or while the next segment is being prepared.
//
// No LSN is taken when it fails: ErrEmptyBatch, ErrPayloadTooLarge, ErrDiskFull,
// ErrPoisoned, ErrClosed.
func (a *Appender) Append(b *Batch) (first LSN, timeMicros int64, err error) {
	l := a.log
	l.mu.Lock()
	defer l.mu.Unlock()
	first, timeMicros, err = l.append(b)
	if err != nil {
		return 0, 0, err
	}
	if g := l.mu.pending; a.last < g.first {
		g.appenders = append(g.appenders, a)
	}
	a.last = first
	return first, timeMicros, nil
}

// Commit writes and syncs what is pending on the caller's thread when nobody is
// committing, and returns true: everything this appender had appended is then
// durable (or the log poisoned), and its wake is not called for it. Otherwise
// the committer will take it, and wake follows.
func (a *Appender) Commit() bool {
	l := a.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.pending.empty() {
		return false
	}
	if l.mu.flushing || l.mu.pending.next != nil || l.errLocked() != nil {
		l.Kick()
		return false
	}
	l.counters.alone.Add(1)
	l.flush(a)
	return true
}

// Kick lets the committer take what is pending.
func (l *Log) Kick() { signal(l.kick) }

func (l *Log) wakePreparer() { signal(l.prepare) }

// signal never blocks: a signal that nobody has seen yet is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// AppendSync appends the batch and returns when it is durable. When ctx ends
// first, its error is returned and the batch may become durable all the same;
// first is then not zero.
func (l *Log) AppendSync(ctx context.Context, b *Batch) (first LSN, timeMicros int64, err error) {
	l.mu.Lock()
	first, timeMicros, err = l.append(b)
	if err != nil {
		l.mu.Unlock()
		return 0, 0, err
	}
	return first, timeMicros, l.wait(ctx, first+LSN(b.Len())-1)
}

// Wait returns when lsn is durable, with the *PoisonedError when it never will
// be, or with ctx's error. It starts a commit when there is none.
func (l *Log) Wait(ctx context.Context, lsn LSN) error {
	if l.Durable() >= lsn {
		return nil
	}
	l.mu.Lock()
	return l.wait(ctx, lsn)
}

// wait is Wait with mu held, which it unlocks. A waiter that is woken goes
// without the lock: many are woken at once.
func (l *Log) wait(ctx context.Context, lsn LSN) error {
	for l.Durable() < lsn {
		done, err := l.waitOn(lsn)
		if err != nil {
			l.mu.Unlock()
			return err
		}
		if done == nil {
			continue
		}
		l.mu.Unlock()
		if ctx.Done() == nil {
			<-done
		} else {
			select {
			case <-done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if l.Durable() >= lsn {
			return nil
		}
		l.mu.Lock()
	}
	l.mu.Unlock()
	return nil
}

// waitOn returns what is closed when the group that may hold lsn is done. It is
// nil when the caller has committed the group itself. mu is held.
func (l *Log) waitOn(lsn LSN) (<-chan struct{}, error) {
	if err := l.Err(); err != nil {
		return nil, err
	}
	g := l.mu.pending
	if in := l.mu.inflight; in != nil && lsn <= in.last {
		g = in
	} else if !g.empty() && !l.mu.flushing && !l.held(1) {
		if g.next == nil {
			g.waiters++
			l.counters.alone.Add(1)
			l.flush(nil)
			return nil, nil
		}
		l.Kick()
	}
	if g.empty() && l.mu.closing {
		return nil, ErrClosed
	}
	g.waiters++
	if g.done == nil {
		g.done = make(chan struct{})
	}
	return g.done, nil
}

// append assigns positions and copies b into the pending group. mu is held.
func (l *Log) append(b *Batch) (LSN, int64, error) {
	if b.Len() == 0 {
		return 0, 0, ErrEmptyBatch
	}
	if b.payloadMax > l.opts.PayloadBytesMax {
		return 0, 0, fmt.Errorf("%w: %d bytes, the limit is %d", ErrPayloadTooLarge, b.payloadMax, l.opts.PayloadBytesMax)
	}
	now := l.opts.Clock().UnixMicro()
	if err := l.admit(b); err != nil {
		return 0, 0, err
	}
	// A clock that goes back must not take the records' times with it.
	now = max(now, l.mu.lastTime)
	first := l.mu.next
	b.patch(first, now)
	l.mu.pending.add(b, first, now)
	l.mu.begun = true
	l.mu.next += LSN(b.Len())
	l.mu.lastTime = now
	l.appended.Store(uint64(l.mu.next - 1))
	return first, now, nil
}

// admit returns once the pending group has room for b, in memory and on disk:
// in the active segment, or as a whole in the prepared one. What is admitted can
// be written without asking the file system for space. mu is held.
func (l *Log) admit(b *Batch) error {
	for waited := false; ; waited = true {
		if err := l.errLocked(); err != nil {
			return err
		}
		g := l.mu.pending
		full := !g.empty() && g.grown(b) > l.pendingMax
		if !full && l.place(g, b) {
			return nil
		}
		if !waited {
			l.counters.waits.Add(1)
		}
		if !full {
			if l.mu.prepareErr != nil {
				l.counters.noRoom.Add(1)
				l.mu.wanted = 0
				return l.mu.prepareErr
			}
			l.mu.wanted = max(l.mu.wanted, PreambleLen+new(group).grown(b)+footerReserve(len(b.points), pointBytesOf(b)))
			l.wakePreparer()
		}
		if !g.empty() {
			l.mu.gather.cancel()
			l.Kick()
		}
		l.mu.changed.Wait()
	}
}

// place decides which segment takes the group with b in it. A group that goes
// into the prepared segment takes that at once, before the preparer goes on with
// it.
func (l *Log) place(g *group, b *Batch) bool {
	points, bytes := len(g.points)+len(b.points), g.pointBytes+pointBytesOf(b)
	if g.next == nil {
		p, n := l.mu.points+points, l.mu.pointBytes+bytes
		if p <= pointsMax && g.grown(b)+footerReserve(p, n) <= l.mu.room {
			return true
		}
	}
	next := g.next
	if next == nil {
		next = l.mu.ready
	}
	if next == nil || PreambleLen+g.grown(b)+footerReserve(points, bytes) > next.capacity {
		return false
	}
	if g.next == nil {
		g.next, l.mu.ready = next, nil
		l.wakePreparer()
	}
	return true
}

func footerReserve(points, nameBytes int) int64 { return int64(footerFrameLen(points, nameBytes)) }

func pointBytesOf(b *Batch) int {
	return len(b.points) * PointNameBytesMax // an upper bound will do
}
