package index

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// sortRef stands for an entry while sorting: most keys differ in the eight bytes
// behind what all of them begin with.
type sortRef struct {
	head   uint64
	tenant uint32
	row    int32 // in order of LSN and part
}

// sorted gives the rows by tenant, key, LSN and part. A radix sort by head and
// tenant keeps the order in which they came, so only keys with one head are
// compared.
func (c *collector) sorted() []sortRef {
	refs, other := make([]sortRef, 0, c.rows), make([]sortRef, c.rows)
	var mixed sortRef // the bits that differ between any two
	for _, piece := range c.pieces {
		for i := range piece {
			var head [8]byte
			copy(head[:], piece[i].key[c.shared:])
			r := sortRef{binary.BigEndian.Uint64(head[:]), piece[i].tenant, int32(len(refs))}
			refs = append(refs, r)
			mixed.head |= r.head ^ refs[0].head
			mixed.tenant |= r.tenant ^ refs[0].tenant
		}
	}
	for shift := 0; shift < 64; shift += 8 {
		if mixed.head>>shift&0xff != 0 {
			radixPass(refs, other, func(r *sortRef) uint8 { return uint8(r.head >> shift) })
			refs, other = other, refs
		}
	}
	for shift := 0; shift < 32; shift += 8 {
		if mixed.tenant>>shift&0xff != 0 {
			radixPass(refs, other, func(r *sortRef) uint8 { return uint8(r.tenant >> shift) })
			refs, other = other, refs
		}
	}
	c.sortEqualHeads(refs)
	return refs
}

func radixPass(from, to []sortRef, digit func(*sortRef) uint8) {
	var at [256]int
	for i := range from {
		at[digit(&from[i])]++
	}
	sum := 0
	for d, n := range at {
		at[d] = sum
		sum += n
	}
	for i := range from {
		d := digit(&from[i])
		to[at[d]] = from[i]
		at[d]++
	}
}

func (c *collector) sortEqualHeads(refs []sortRef) {
	for from := 0; from < len(refs); {
		to := from + 1
		for to < len(refs) && refs[to].head == refs[from].head && refs[to].tenant == refs[from].tenant {
			to++
		}
		if to-from > 1 {
			slices.SortStableFunc(refs[from:to], func(x, y sortRef) int {
				return bytes.Compare(c.at(x.row).key, c.at(y.row).key)
			})
		}
		from = to
	}
}
