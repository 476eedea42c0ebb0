package node

import (
	"github.com/nodedb-go/nodedb/wal"
)

// A flight is a group of requests that a core appended to the log in one call
// and that wait for durability together. It belongs to its core.
type flight struct {
	batch wal.Batch
	ops   []stagedOp
	keys  []stagedKey // what the records change, in order
	idems []string    // keys of core.idem that end with the flight

	// wait is the LSN that must be durable before the flight is applied and
	// answered: its last record's, or for a flight without records that of
	// the flight before it.
	wait wal.LSN
	time int64 // of its records, µs
}

// flightBytesMax is the size from which a flight takes no more requests: the
// largest one still fits behind it into one append.
const flightBytesMax = wal.BatchBytesMax - wal.PayloadBytesMax - 1<<20

// A stagedOp is a request with its place in the log.
type stagedOp struct {
	req    *request
	record int32 // in the flight's batch; -1: changes nothing
}

// A stagedKey lets a later request of the same core see a change that is not
// applied yet. Hashes are compared first: a search reads an array of words.
type stagedKey struct {
	hash   uint64
	record int32
	sub    int32 // index within a batch record, 0 otherwise
	shard  *shard
}

func (f *flight) reset() {
	f.batch.Reset()
	clear(f.ops)
	clear(f.keys)
	clear(f.idems)
	f.ops, f.keys, f.idems = f.ops[:0], f.keys[:0], f.idems[:0]
	f.wait, f.time = 0, 0
}

func (f *flight) empty() bool { return len(f.ops) == 0 && f.batch.Len() == 0 }

// A mark is a flight's state before a request, to go back to.
type mark struct{ records, ops, keys, idems int }

func (f *flight) mark() mark { return mark{f.batch.Len(), len(f.ops), len(f.keys), len(f.idems)} }

func (f *flight) rewind(m mark) {
	f.batch.Rewind(m.records)
	clear(f.ops[m.ops:])
	clear(f.keys[m.keys:])
	clear(f.idems[m.idems:])
	f.ops, f.keys, f.idems = f.ops[:m.ops], f.keys[:m.keys], f.idems[:m.idems]
}

// A flightQueue is a first-in first-out queue of flights in LSN order.
type flightQueue struct {
	items []*flight
	free  []*flight
}

// flightsFreeMax bounds the flights kept for reuse; a core has rarely more
// than one being filled, one in the log and one being applied.
const flightsFreeMax = 8

func (q *flightQueue) take() *flight {
	if n := len(q.free); n > 0 {
		f := q.free[n-1]
		q.free = q.free[:n-1]
		return f
	}
	return new(flight)
}

// put takes a flight back for reuse, unless its memory is worth giving up.
func (q *flightQueue) put(f *flight) {
	if len(q.free) < flightsFreeMax && f.batch.Size() <= 4<<20 {
		f.reset()
		q.free = append(q.free, f)
	}
}

func (q *flightQueue) push(f *flight) { q.items = append(q.items, f) }

func (q *flightQueue) len() int { return len(q.items) }

// popUpTo moves the flights whose wait is at most durable to dst, in order.
func (q *flightQueue) popUpTo(durable wal.LSN, dst []*flight) []*flight {
	n := 0
	for n < len(q.items) && q.items[n].wait <= durable {
		n++
	}
	dst = append(dst, q.items[:n]...)
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	return dst
}
