package tpc

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Arena is memory outside the Go heap, for what an engine keeps in memory: the
// garbage collector neither scans nor counts it. It belongs to one core; only
// Stats may be called by others. Memory that is not freed lives until the core
// stops; after that, touching it is a fault.
//
// The arena reserves its limit as address space and takes memory from the system
// in slabs of 64 KiB. A slab holds objects of one size class; a slab that becomes
// empty is given back to the system and may serve another class. What is larger
// than 32 KiB takes whole slabs side by side.
//
//	reserve  │ slab 0 │ slab 1 │ slab 2 │ slab 3 …            │ limit
//	           16 B     16 B     large ──────▶   not accessible
//
// The bookkeeping lies in the Go heap, out of reach of stray writes. Freeing
// what was not allocated, or twice, panics. An access to a slab that was given
// back faults, which core threads turn into a panic.
//
// Do not keep Go pointers in it: the collector does not see them.
type Arena struct {
	limit int64 // immutable; a multiple of slabBytes

	// Owned by the core's thread.
	region []byte              // reserved at the first Alloc
	slabs  []slab              // that were ever used, in order of address
	unused []uint64            // one bit per slab of slabs: given back
	open   [sizeClasses]uint32 // 1 + first slab of the class with room; 0: none

	mapped, used  atomic.Int64
	allocs, frees atomic.Uint64
}

const (
	slabBytes   = 64 << 10
	smallMax    = 32 << 10
	sizeClasses = 40
	largeSlab   = sizeClasses     // class of the first slab of a large object
	noSlab      = sizeClasses + 1 // of its other slabs, and of slabs not in use
)

// slab is the bookkeeping of slabBytes of the region.
type slab struct {
	class      uint8
	used       uint32   // objects taken, or slabs of the large object
	bitmap     []uint64 // one bit per object: taken
	prev, next uint32   // 1 + neighbours in the list of slabs with room; 0: none
}

// ArenaStats describe an Arena, in bytes.
type ArenaStats struct {
	Limit  int64  `json:"limit_bytes"`  // most that may be mapped
	Mapped int64  `json:"mapped_bytes"` // taken from the system
	Used   int64  `json:"used_bytes"`   // handed out, rounded up to size classes
	Allocs uint64 `json:"allocs"`
	Frees  uint64 `json:"frees"`
}

func newArena(limit int64) *Arena {
	return &Arena{limit: limit / slabBytes * slabBytes}
}

// Stats returns a snapshot. Any goroutine may call it.
func (a *Arena) Stats() ArenaStats {
	return ArenaStats{
		Limit:  a.limit,
		Mapped: a.mapped.Load(),
		Used:   a.used.Load(),
		Allocs: a.allocs.Load(),
		Frees:  a.frees.Load(),
	}
}

// Alloc returns n zeroed bytes, n >= 1, or ErrArenaFull. The slice's capacity is
// the size class; all of it may be used.
func (a *Arena) Alloc(n int) ([]byte, error) {
	if n < 1 {
		panic(fmt.Sprintf("tpc: Arena.Alloc(%d)", n))
	}
	if a.region == nil {
		if err := a.reserve(); err != nil {
			return nil, err
		}
	}
	var b []byte
	var err error
	if n > smallMax {
		b, err = a.allocLarge(n)
	} else {
		b, err = a.allocSmall(classOf(n))
	}
	if err != nil {
		return nil, fmt.Errorf("allocate %d bytes, %d of %d in use: %w", n, a.mapped.Load(), a.limit, err)
	}
	addInt(&a.used, int64(cap(b)))
	bump(&a.allocs, 1)
	return b[:n], nil
}

// Free gives back what Alloc returned: that slice, or a prefix of it.
func (a *Arena) Free(b []byte) {
	off := uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(unsafe.SliceData(a.region)))
	if len(a.region) == 0 || cap(b) == 0 || off >= uintptr(len(a.slabs))*slabBytes {
		panic("tpc: Arena.Free of memory that is not of this arena")
	}
	id := uint32(off / slabBytes)
	s := &a.slabs[id]
	within := int(off % slabBytes)
	var size int
	switch {
	case s.class == largeSlab && within == 0:
		size = a.freeLarge(id)
	case s.class < sizeClasses && within%classBytes[s.class] == 0:
		size = classBytes[s.class]
		a.freeSmall(id, within/size)
	default:
		panic("tpc: Arena.Free of memory that was not allocated")
	}
	addInt(&a.used, -int64(size))
	bump(&a.frees, 1)
}

// addInt adds to a gauge that only the core's thread writes.
func addInt(gauge *atomic.Int64, n int64) { gauge.Store(gauge.Load() + n) }
