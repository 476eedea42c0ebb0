package tpc

import "sync/atomic"

// ring is a bounded queue with many producers and one consumer. Every slot has a
// sequence number that says whose turn it is:
//
//	seq == pos            free for the producer that takes position pos
//	seq == pos + 1        holds the task of position pos
//	seq == pos + len      taken out, free again one round later
//
// A producer takes a position by moving tail, writes the task and then publishes
// it by moving the slot's seq. A producer that is preempted between the two hides
// what comes after it until it runs again; it checks the parked flag after it
// published, so the core is woken for what it hid, too.
//
// tail carries the gate: once its top bit is set no producer can take a position
// any more, so everything below it is everything there will ever be.
type ring struct {
	slots []slot // immutable; len is a power of two
	mask  uint64 // immutable; len(slots)-1

	_    [64]byte
	tail atomic.Uint64 // next position to take, and ringClosed
	_    [120]byte

	// Owned by the core. Invariant: head <= tail <= head + len.
	head uint64 // next position to take out

	seen atomic.Uint64 // head as of the last publish, for Depth
	_    [48]byte
}

type slot struct {
	seq  atomic.Uint64
	task Task
	_    [8]byte // two slots per cache line
}

const ringClosed = 1 << 63

type pushResult uint8

const (
	pushed pushResult = iota
	pushFull
	pushClosed
)

func newRing(length int) *ring {
	n := 1
	for n < length {
		n <<= 1
	}
	r := &ring{slots: make([]slot, n), mask: uint64(n - 1)}
	for i := range r.slots {
		r.slots[i].seq.Store(uint64(i))
	}
	return r
}

// push adds one task. Any goroutine may call it.
func (r *ring) push(t Task) pushResult {
	for {
		tail := r.tail.Load()
		if tail&ringClosed != 0 {
			return pushClosed
		}
		s := &r.slots[tail&r.mask]
		switch seq := s.seq.Load(); {
		case seq == tail:
			if r.tail.CompareAndSwap(tail, tail+1) {
				s.task = t
				s.seq.Store(tail + 1)
				return pushed
			}
		case seq < tail:
			// Not taken out since the last round. Only a tail that did not move
			// meanwhile proves that the ring is full.
			if r.tail.Load() == tail {
				return pushFull
			}
		}
	}
}

// pushAll adds tasks in order with one step of tail, as many as fit, and reports
// how many those were.
func (r *ring) pushAll(tasks []Task) (int, pushResult) {
	n := uint64(min(len(tasks), len(r.slots)))
	for n > 0 {
		tail := r.tail.Load()
		if tail&ringClosed != 0 {
			return 0, pushClosed
		}
		// Slots become free in order, so a free last slot means that all are.
		last := tail + n - 1
		switch seq := r.slots[last&r.mask].seq.Load(); {
		case seq == last:
			if !r.tail.CompareAndSwap(tail, tail+n) {
				continue
			}
			for i := range n {
				s := &r.slots[(tail+i)&r.mask]
				s.task = tasks[i]
				s.seq.Store(tail + i + 1)
			}
			return int(n), pushed
		case seq < last && r.tail.Load() == tail:
			n /= 2
		}
	}
	return 0, pushFull
}

// ready reports whether pop would return a task. Core only.
func (r *ring) ready() bool {
	return r.slots[r.head&r.mask].seq.Load() == r.head+1
}

// pop takes the oldest task out, or returns nil. Core only.
func (r *ring) pop() Task {
	s := &r.slots[r.head&r.mask]
	if s.seq.Load() != r.head+1 {
		return nil
	}
	t := s.task
	s.task = nil
	s.seq.Store(r.head + uint64(len(r.slots)))
	r.head++
	return t
}

// publish lets depth see what pop took out. Core only.
func (r *ring) publish() {
	if r.seen.Load() != r.head {
		r.seen.Store(r.head)
	}
}

// depth is the number of positions taken and not yet out, as of the last publish.
func (r *ring) depth() int {
	seen := r.seen.Load()
	return int(r.tail.Load()&^ringClosed - seen)
}

// close shuts the gate: every later push reports pushClosed.
func (r *ring) close() {
	for {
		tail := r.tail.Load()
		if tail&ringClosed != 0 || r.tail.CompareAndSwap(tail, tail|ringClosed) {
			return
		}
	}
}

// drained reports that the gate is shut and nothing is left, not even a position
// that a producer took and has not filled yet. Core only.
func (r *ring) drained() bool {
	return r.tail.Load() == r.head|ringClosed
}
