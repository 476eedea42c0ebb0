package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
)

// sortKey is 16 bytes of a key, enough to decide nearly all comparisons without
// touching the key itself, and the operation that it belongs to.
type sortKey struct {
	hi, lo uint64
	n      uint32 // bytes of the key that hi and lo are the first of
	i      uint32
}

const sortKeyBytes = 16

// order is what readers have sorted of a front so far: the operations before
// upTo, ordered by key, those of one key by age. tail is kept small, so that a
// scan after a few writes costs little; it is merged into base when it has grown.
// The slices are replaced, never changed.
type order struct {
	mu   sync.Mutex
	base []sortKey
	tail []sortKey // operations that are all younger than those of base
	upTo uint32    // operations in base and tail
}

const orderTailMax = 4096

// ordered returns the first visible operations, and perhaps younger ones, in two
// sorted lists; every operation of tail is younger than those of base.
func (f *front) ordered(visible uint32) (base, tail []sortKey) {
	o := &f.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if visible <= o.upTo {
		return o.base, o.tail
	}
	fresh := f.sort(o.upTo, visible, 0)
	o.upTo = visible
	if len(o.tail)+len(fresh) <= orderTailMax {
		o.tail = f.merge(o.tail, fresh)
		return o.base, o.tail
	}
	o.base = f.merge(f.merge(o.base, o.tail), fresh)
	o.tail = nil
	return o.base, o.tail
}

// sort orders the operations [from, to) by key, those of one key by age. skip
// is the length of what all keys have in common, or less.
func (f *front) sort(from, to uint32, skip int) []sortKey {
	keys := make([]sortKey, 0, to-from)
	for i := from; i < to; i++ {
		k := f.key(f.op(i))
		hi, lo := keyWords(k, skip)
		keys = append(keys, sortKey{hi: hi, lo: lo, n: uint32(len(k) - skip), i: i})
	}
	n := 0
	slices.SortFunc(keys, func(a, b sortKey) int {
		if n++; n%comparesPerYield == 0 {
			runtime.Gosched()
		}
		if c := f.compare(&a, &b); c != 0 {
			return c
		}
		return cmp.Compare(a.i, b.i)
	})
	return keys
}

// compare orders by key alone. Both have been made with the same skip.
func (f *front) compare(a, b *sortKey) int {
	if a.hi != b.hi {
		return cmp.Compare(a.hi, b.hi)
	}
	if a.lo != b.lo {
		return cmp.Compare(a.lo, b.lo)
	}
	if a.n <= sortKeyBytes && b.n <= sortKeyBytes {
		return cmp.Compare(a.n, b.n) // the longer one goes on with zeros
	}
	return bytes.Compare(f.key(f.op(a.i)), f.key(f.op(b.i)))
}

// merge merges two sorted lists; the operations of b are younger.
func (f *front) merge(a, b []sortKey) []sortKey {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	m := make([]sortKey, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if f.compare(&a[0], &b[0]) <= 0 {
			m, a = append(m, a[0]), a[1:]
		} else {
			m, b = append(m, b[0]), b[1:]
		}
	}
	return append(append(m, a...), b...)
}

// commonPrefix is the length of what the keys of the first n operations start
// with.
func (f *front) commonPrefix(n uint32) int {
	if n == 0 {
		return 0
	}
	first := f.key(f.op(0))
	common := len(first)
	for i := uint32(1); i < n && common > 0; i++ {
		k := f.key(f.op(i))
		common = min(common, len(k))
		for !bytes.Equal(k[:common], first[:common]) {
			common--
		}
	}
	return common
}

// keyWords returns the 16 bytes of key after skip, padded with zeros. The order
// of the words is that of the keys, except that they may be equal for keys that
// are not.
func keyWords(key []byte, skip int) (hi, lo uint64) {
	k := key[skip:]
	if len(k) >= sortKeyBytes {
		return binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(k[8:])
	}
	var pad [sortKeyBytes]byte
	copy(pad[:], k)
	return binary.BigEndian.Uint64(pad[:]), binary.BigEndian.Uint64(pad[8:])
}
