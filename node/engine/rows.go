package engine

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// rows keeps what look-ups found in the tables, also that there was nothing: a look-up
// in Pebble costs microseconds even where every block is in its cache.
//
// Invariant: a row was read from the tables after a view of its vshard had the row's
// generation and no front with the key. The next generation begins whenever a front is
// frozen, so all that becomes a table in one was a front of its views, and for a key
// that none of these has the tables do not change. A row is right for readers of its
// generation who did not find the key in a front; no others find it.
//
// Readers take no lock; what they get does not change and is freed by the collector.
type rows struct {
	limit   int64 // bytes
	used    atomic.Int64
	hand    atomic.Uint32 // the bucket that gives rows up next
	once    sync.Once     // makes buckets, when the first row comes
	buckets atomic.Pointer[[]bucket]
}

// bucket holds the rows of some hashes. Tag and row are stored one after the other, so
// a tag may be that of another row: such a row is not found.
type bucket struct {
	tags [bucketRows]atomic.Uint32
	rows [bucketRows]atomic.Pointer[row]
}

type row struct {
	gen    uint64
	data   []byte // key and value
	keyLen int
	absent bool
	hit    atomic.Bool // since the hand came by
}

const (
	bucketRows = 4
	rowBytes   = 96       // of memory for a row besides its key and value
	rowMax     = 16 << 10 // longer keys and values are not kept
	rowsShare  = 4        // rows get one part in so many of the caches
)

// bucket returns where the rows of a hash are, or nil before there is any.
func (r *rows) bucket(h uint32) *bucket {
	list := r.buckets.Load()
	if list == nil {
		return nil
	}
	return &(*list)[h&uint32(len(*list)-1)]
}

// row returns the first row of a hash, or nil.
func (b *bucket) row(h uint32) *row {
	for i := range b.tags {
		if b.tags[i].Load() == h {
			return b.rows[i].Load()
		}
	}
	return nil
}

// find returns the row of a key, or nil. h is hashOf(key).
func (r *rows) find(gen uint64, key []byte, h uint32) *row {
	b := r.bucket(h)
	if b == nil {
		return nil
	}
	for i := range b.tags {
		if b.tags[i].Load() != h {
			continue
		}
		if o := b.rows[i].Load(); o != nil && o.gen == gen && bytes.Equal(o.key(), key) {
			if !o.hit.Load() {
				o.hit.Store(true)
			}
			return o
		}
	}
	return nil
}

// add keeps a row. key and value are copied.
func (r *rows) add(gen uint64, key []byte, h uint32, value []byte, absent bool) {
	if len(key)+len(value) > rowMax || r.limit < rowMax {
		return
	}
	r.once.Do(r.makeBuckets)
	data := make([]byte, 0, len(key)+len(value))
	o := &row{gen: gen, data: append(append(data, key...), value...), keyLen: len(key), absent: absent}
	b := r.bucket(h)
	i := b.place(key, h)
	old := b.rows[i].Swap(o)
	b.tags[i].Store(h)
	if r.used.Add(o.bytes()-old.bytes()) > r.limit {
		r.evict(*r.buckets.Load())
	}
}

// place chooses where in the bucket a row goes: over an older one of its key, to an
// empty place, to one that nobody has asked for lately.
func (b *bucket) place(key []byte, h uint32) int {
	best := -1
	for i := range b.rows {
		o := b.rows[i].Load()
		if o == nil || b.tags[i].Load() == h && bytes.Equal(o.key(), key) {
			return i
		}
		if !o.hit.Load() {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	for i := range b.rows {
		if o := b.rows[i].Load(); o != nil {
			o.hit.Store(false)
		}
	}
	return int(h >> 30) // the lowest bits chose the bucket
}

// evict gives up rows that nobody has asked for since it came by last.
func (r *rows) evict(list []bucket) {
	for range 2 * len(list) {
		b := &list[r.hand.Add(1)&uint32(len(list)-1)]
		for i := range b.rows {
			o := b.rows[i].Load()
			if o == nil || o.hit.Swap(false) {
				continue
			}
			if b.rows[i].CompareAndSwap(o, nil) && r.used.Add(-o.bytes()) <= r.limit {
				return
			}
		}
	}
}

func (r *rows) makeBuckets() {
	n := 1
	for int64(n)*bucketRows*2*rowBytes < r.limit {
		n *= 2
	}
	list := make([]bucket, n)
	r.used.Add(int64(n) * bucketBytes)
	r.buckets.Store(&list)
}

const bucketBytes = bucketRows * 12

func (o *row) key() []byte   { return o.data[:o.keyLen] }
func (o *row) value() []byte { return o.data[o.keyLen:] }

// bytes is the memory that the row takes.
func (o *row) bytes() int64 {
	if o == nil {
		return 0
	}
	return rowBytes + int64(len(o.data))
}
