package engine

import "sync/atomic"

// front is what was applied and is not in a table yet: the place that a memtable
// has in Pebble, which stays empty here. Operations lie in the order of the log;
// a hash table finds the newest of a key. Nothing is kept sorted while writes
// arrive: a front is sorted once, when it becomes a table, and the part of it
// that a scan wants is sorted for that scan. A write touches two or three cache
// lines instead of the thirty of a skip list, and that is what a put costs.
//
//	chunks  │k v│k v│k   │ …     bytes of keys and values, never moved
//	ops     [0][1][2] …          where they are, and which older operation is
//	                             of the same key
//	table   hash → newest op
//
// One writer, the core; any number of readers. A reader has, from a view, the
// number of operations that it may see, and finds older ones by op.prev.
//
// Invariants: an operation, its bytes and its chunk are written before the slot
// that leads to them, which is stored atomically. What a slot leads to is never
// written again. A slot leads to the newest inserted operation of its key.
type front struct {
	// owned by the writer; readers come here by way of a slot or a view only
	chunks  [frontChunksMax][]byte
	ops     [frontSegmentsMax]*opSegment
	nChunks int
	cur     int // chunk that is being filled; -1: none yet
	curLen  int
	nOps    uint32
	used    int // bytes of memory
	match   []func([]byte) bool
	keys    uint32 // in table

	table  atomic.Pointer[table]
	spaces [4]atomic.Uint64 // set of the first bytes of inserted keys

	// set when the front is frozen, before any view shows it as frozen
	limit uint32 // operations that count; later ones are of a broken batch
	mark  mark

	order order
}

// mark is a position in the log: what a store or a front holds goes so far.
type mark struct {
	lsn  uint64
	time int64
}

type op struct {
	chunk  uint32
	off    uint32
	keyLen uint32
	valLen uint32 // of opSet; index into match of opDeleteIf
	prev   uint32 // index + 1 of the next older operation of the key; 0: none
	kind   opKind
}

type opKind uint8

const (
	opSet opKind = iota + 1
	opDelete
	opDeleteIf // replay only: what it comes to is found out when the front is sorted
)

const (
	chunkBytes       = 256 << 10
	chunkOwnBytes    = chunkBytes / 4 // a larger operation gets its own chunk
	frontChunksMax   = 4096
	segmentOps       = 4096
	frontSegmentsMax = 2048
	opBytes          = 24
)

type opSegment [segmentOps]op

func newFront() *front { return &front{cur: -1} }

// full says that the front has no room for another record of any kind.
func (f *front) full() bool {
	return f.nChunks > frontChunksMax*3/4 || f.nOps > segmentOps*frontSegmentsMax*3/4
}

// bytes is the memory that the front uses.
func (f *front) bytes() int { return f.used }

func (f *front) alloc(n int) (chunk, off uint32, b []byte) {
	if n > chunkOwnBytes {
		return f.newChunk(n), 0, f.chunks[f.nChunks-1]
	}
	if f.cur < 0 || f.curLen+n > chunkBytes {
		f.cur, f.curLen = int(f.newChunk(chunkBytes)), 0
	}
	off = uint32(f.curLen)
	f.curLen += n
	return uint32(f.cur), off, f.chunks[f.cur][off:f.curLen:f.curLen]
}

func (f *front) newChunk(n int) uint32 {
	f.chunks[f.nChunks] = make([]byte, n)
	f.used += n
	f.nChunks++
	return uint32(f.nChunks - 1)
}

// add appends an operation; its key and value are to be filled in before it is
// inserted or sorted.
func (f *front) add(kind opKind, keyLen, valLen int) []byte {
	chunk, off, b := f.alloc(keyLen + valLen)
	seg := f.nOps / segmentOps
	if f.ops[seg] == nil {
		f.ops[seg] = new(opSegment)
		f.used += segmentOps * opBytes
	}
	f.ops[seg][f.nOps%segmentOps] = op{chunk: chunk, off: off, keyLen: uint32(keyLen), valLen: uint32(valLen), kind: kind}
	f.nOps++
	return b
}

func (f *front) set(keyLen, valLen int) (key, value []byte) {
	b := f.add(opSet, keyLen, valLen)
	return b[:keyLen:keyLen], b[keyLen:]
}

func (f *front) delete(keyLen int) []byte { return f.add(opDelete, keyLen, 0) }

func (f *front) deleteIf(key []byte, match func([]byte) bool) {
	copy(f.add(opDeleteIf, len(key), 0), key)
	f.op(f.nOps - 1).valLen = uint32(len(f.match))
	f.match = append(f.match, match)
}

func (f *front) op(i uint32) *op { return &f.ops[i/segmentOps][i%segmentOps] }

func (f *front) key(o *op) []byte {
	return f.chunks[o.chunk][o.off : o.off+o.keyLen : o.off+o.keyLen]
}

func (f *front) value(o *op) []byte {
	from := o.off + o.keyLen
	return f.chunks[o.chunk][from : from+o.valLen : from+o.valLen]
}
