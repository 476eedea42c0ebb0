package engine

import (
	"bytes"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// table maps hashes to operations of a front: open addressing, linear probing. A
// slot is the upper half of the key's hash, and below it the index of the
// operation + 1; zero is empty. The position of a slot comes from the same half,
// so a table grows without looking at keys.
type table struct {
	slots []uint64 // loaded and stored atomically
	mask  uint32
}

const tableSlotsMin = 1 << 10

func hashOf(key []byte) uint32 { return uint32(xxhash.Sum64(key) >> 32) }

// insert makes operation i, whose key is filled in, the newest of its key.
func (f *front) insert(i uint32) {
	t := f.table.Load()
	if t == nil || int(f.keys) >= len(t.slots)/2 {
		t = f.grow(t)
	}
	o := f.op(i)
	key := f.key(o)
	f.addSpace(key[0])
	h := hashOf(key)
	slot := uint64(h)<<32 | uint64(i+1)
	for p := h & t.mask; ; p = (p + 1) & t.mask {
		s := t.slots[p] // only this goroutine stores
		if s == 0 {
			f.keys++
			atomic.StoreUint64(&t.slots[p], slot)
			return
		}
		if uint32(s>>32) != h {
			continue
		}
		if bytes.Equal(f.key(f.op(uint32(s)-1)), key) {
			o.prev = uint32(s)
			atomic.StoreUint64(&t.slots[p], slot)
			return
		}
	}
}

func (f *front) addSpace(b byte) {
	// Load and Store, not Or: there is one writer, and the bit is mostly set.
	w := &f.spaces[b>>6]
	if old := w.Load(); old&(1<<(b&63)) == 0 {
		w.Store(old | 1<<(b&63))
	}
}

// mayHold says whether the front has keys in [lower, upper), judged by their
// first bytes. It spares a walk over one engine's keys the sorting of another's.
func (f *front) mayHold(lower, upper []byte) bool {
	from, to := byte(0), byte(0xff)
	if len(lower) > 0 {
		from = lower[0]
	}
	if len(upper) > 0 {
		to = upper[0]
		if len(upper) == 1 && to > 0 {
			to--
		}
	}
	for b := int(from); b <= int(to); b++ {
		if f.spaces[b>>6].Load()&(1<<(b&63)) != 0 {
			return true
		}
	}
	return false
}

// grow replaces the table by one of twice the size. Readers of the old one find
// in it all that their view lets them see.
func (f *front) grow(old *table) *table {
	n := tableSlotsMin
	if old != nil {
		n = 2 * len(old.slots)
		f.used -= 8 * len(old.slots)
	}
	t := &table{slots: make([]uint64, n), mask: uint32(n - 1)}
	f.used += 8 * n
	if old != nil {
		for _, s := range old.slots {
			if s == 0 {
				continue
			}
			p := uint32(s>>32) & t.mask
			for t.slots[p] != 0 {
				p = (p + 1) & t.mask
			}
			t.slots[p] = s
		}
	}
	f.table.Store(t)
	return t
}

// find returns the newest operation of the key among the first visible ones, or
// nil. h is hashOf(key).
func (f *front) find(key []byte, h uint32, visible uint32) *op {
	t := f.table.Load()
	if t == nil {
		return nil
	}
	for p := h & t.mask; ; p = (p + 1) & t.mask {
		s := atomic.LoadUint64(&t.slots[p])
		if s == 0 {
			return nil
		}
		if uint32(s>>32) != h {
			continue
		}
		i := uint32(s) - 1
		o := f.op(i)
		if !bytes.Equal(f.key(o), key) {
			continue
		}
		for i >= visible {
			if o.prev == 0 {
				return nil
			}
			i = o.prev - 1
			o = f.op(i)
		}
		return o
	}
}
