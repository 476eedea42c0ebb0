package tpc

import "math/bits"

// classBytes are the object sizes: 16, 32, 48, then four per doubling.
var classBytes = func() (sizes [sizeClasses]int) {
	sizes[0], sizes[1], sizes[2] = 16, 32, 48
	for i, size := 3, 64; i < sizeClasses; size *= 2 {
		for q := 0; q < 4 && i < sizeClasses; q++ {
			sizes[i] = (size + q*size/4) &^ 15
			i++
		}
	}
	return sizes
}()

// classOf returns the smallest class that holds n bytes, 1 <= n <= smallMax.
func classOf(n int) int {
	if n <= 64 {
		return (n+15)/16 - 1
	}
	log := bits.Len(uint(n-1)) - 1 // 2^log < n <= 2^(log+1)
	quarter := (n - 1) >> (log - 2) & 3
	return 3 + (log-6)*4 + quarter + 1
}

func (a *Arena) allocSmall(class int) ([]byte, error) {
	if a.open[class] == 0 {
		id, err := a.takeSlabs(1)
		if err != nil {
			return nil, err
		}
		objects := slabBytes / classBytes[class]
		a.slabs[id] = slab{class: uint8(class), bitmap: make([]uint64, (objects+63)/64)}
		a.link(id)
	}
	id := a.open[class] - 1
	s := &a.slabs[id]
	size := classBytes[class]
	i := s.take()
	if int(s.used) == slabBytes/size {
		a.unlink(id)
	}
	off := int(id)*slabBytes + i*size
	b := a.region[off : off+size : off+size]
	clear(b)
	return b, nil
}

// take marks the first free object of a slab with room.
func (s *slab) take() int {
	for w, word := range s.bitmap {
		if word != ^uint64(0) {
			bit := bits.TrailingZeros64(^word)
			s.bitmap[w] |= 1 << bit
			s.used++
			return w*64 + bit
		}
	}
	panic("tpc: arena slab is listed as open and is full")
}

func (a *Arena) freeSmall(id uint32, i int) {
	s := &a.slabs[id]
	if i >= slabBytes/classBytes[s.class] || s.bitmap[i/64]&(1<<(i%64)) == 0 {
		panic("tpc: Arena.Free of memory that was not allocated")
	}
	full := int(s.used) == slabBytes/classBytes[s.class]
	s.bitmap[i/64] &^= 1 << (i % 64)
	s.used--
	if full {
		a.link(id)
	}
	// The last open slab of a class stays, so that one object that comes and
	// goes does not cost system calls each time.
	if s.used == 0 && (s.prev != 0 || s.next != 0) {
		a.unlink(id)
		a.giveBack(id, 1)
	}
}

// link puts a slab at the head of its class's list of slabs with room.
func (a *Arena) link(id uint32) {
	s := &a.slabs[id]
	head := &a.open[s.class]
	s.prev, s.next = 0, *head
	if *head != 0 {
		a.slabs[*head-1].prev = id + 1
	}
	*head = id + 1
}

func (a *Arena) unlink(id uint32) {
	s := &a.slabs[id]
	if s.prev != 0 {
		a.slabs[s.prev-1].next = s.next
	} else {
		a.open[s.class] = s.next
	}
	if s.next != 0 {
		a.slabs[s.next-1].prev = s.prev
	}
	s.prev, s.next = 0, 0
}
