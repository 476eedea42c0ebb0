package tpc

import (
	"math/bits"
	"runtime"
)

// takeSlabs makes n slabs side by side accessible and returns the first: the
// lowest gap that was given back, or what follows the last slab.
func (a *Arena) takeSlabs(n int) (uint32, error) {
	id, found := a.findUnused(n)
	if !found {
		id = uint32(len(a.slabs))
		if (int64(id)+int64(n))*slabBytes > a.limit {
			return 0, ErrArenaFull
		}
	}
	lo := int(id) * slabBytes
	if err := commitPages(a.region[lo : lo+n*slabBytes]); err != nil {
		return 0, err
	}
	for i := range n {
		if found {
			a.unused[(int(id)+i)/64] &^= 1 << ((int(id) + i) % 64)
			continue
		}
		a.slabs = append(a.slabs, slab{class: noSlab})
		if len(a.slabs) > 64*len(a.unused) {
			a.unused = append(a.unused, 0)
		}
	}
	addInt(&a.mapped, int64(n)*slabBytes)
	return id, nil
}

// findUnused looks for n slabs side by side that were given back.
func (a *Arena) findUnused(n int) (uint32, bool) {
	run := 0
	for w, word := range a.unused {
		switch {
		case word == 0:
			run = 0
			continue
		case n == 1:
			return uint32(w*64 + bits.TrailingZeros64(word)), true
		}
		for bit := range 64 {
			if word&(1<<bit) == 0 {
				run = 0
			} else if run++; run == n {
				return uint32(w*64 + bit + 1 - n), true
			}
		}
	}
	return 0, false
}

// giveBack returns n slabs from id on to the system. Their content is gone and
// an access faults from now on.
func (a *Arena) giveBack(id uint32, n int) {
	lo := int(id) * slabBytes
	decommitPages(a.region[lo : lo+n*slabBytes])
	for i := int(id); i < int(id)+n; i++ {
		a.slabs[i] = slab{class: noSlab}
		a.unused[i/64] |= 1 << (i % 64)
	}
	addInt(&a.mapped, -int64(n)*slabBytes)
}

func (a *Arena) allocLarge(n int) ([]byte, error) {
	if int64(n) > a.limit {
		return nil, ErrArenaFull
	}
	count := (n + slabBytes - 1) / slabBytes
	id, err := a.takeSlabs(count)
	if err != nil {
		return nil, err
	}
	a.slabs[id] = slab{class: largeSlab, used: uint32(count)}
	lo, size := int(id)*slabBytes, count*slabBytes
	b := a.region[lo : lo+size : lo+size]
	if runtime.GOOS != "linux" {
		clear(b) // only there does a decommit zero for certain
	}
	return b, nil
}

func (a *Arena) freeLarge(id uint32) (size int) {
	count := int(a.slabs[id].used)
	a.giveBack(id, count)
	return count * slabBytes
}

// reserve takes the address space, without memory behind it.
func (a *Arena) reserve() error {
	if a.limit == 0 {
		return ErrArenaFull
	}
	region, err := reservePages(int(a.limit))
	if err != nil {
		return err
	}
	a.region = region
	return nil
}

// release gives everything back. Every slice that was handed out is invalid.
func (a *Arena) release() {
	if a.region != nil {
		releasePages(a.region)
	}
	a.region, a.slabs, a.unused = nil, nil, nil
	clear(a.open[:])
	a.mapped.Store(0)
	a.used.Store(0)
}
