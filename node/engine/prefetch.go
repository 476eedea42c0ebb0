package engine

import "sync/atomic"

// Prefetcher brings what look-ups of several keys will read into the processor's
// caches. One look-up misses them three times, each time for an address that the last
// miss told; the misses of different keys do not wait for each other. It is not for
// several goroutines at once.
type Prefetcher struct {
	probes [prefetchMax]probe
	n      int
	sink   byte // what was read must go somewhere
}

type probe struct {
	front *front
	op    *op
	table *table
	slot  uint64 // the first that may be the key's
	hash  uint32
	bytes []byte
}

// prefetchMax is the most keys of one Run; more are left out.
const prefetchMax = 32

const (
	cacheLine     = 64
	prefetchSlots = cacheLine / 8
)

// prefetchBytes is how much of a key and value is touched; the processor itself goes
// on with what is read from there.
const prefetchBytes = 4 * cacheLine

// Add notes a key, as a Reader of v takes it. The key is not kept.
func (p *Prefetcher) Add(v *VShard, key []byte) {
	w := v.view.Load()
	if p.n == len(p.probes) || w == nil {
		return
	}
	f := w.active
	if f == nil {
		if len(w.frozen) == 0 {
			return
		}
		f = w.frozen[0]
	}
	t := f.table.Load()
	if t == nil {
		return
	}
	h := hashOf(key)
	p.probes[p.n] = probe{front: f, table: t, hash: h, slot: atomic.LoadUint64(&t.slots[h&t.mask])}
	p.n++
}

// Run touches what the keys lead to, and forgets them.
func (p *Prefetcher) Run() {
	found := p.operations()
	for i := range found {
		o := found[i].op
		found[i].bytes = found[i].front.chunks[o.chunk][o.off : o.off+min(o.keyLen+o.valLen, prefetchBytes)]
	}
	for i := range found {
		for at := 0; at < len(found[i].bytes); at += cacheLine {
			p.sink += found[i].bytes[at]
		}
	}
	clear(p.probes[:p.n]) // the fronts may go
	p.n = 0
}

// operations finds what the slots lead to. A key that others have pushed far away
// from its slot is left out.
func (p *Prefetcher) operations() []probe {
	found := p.probes[:0]
	for _, b := range p.probes[:p.n] {
		for i := uint32(1); b.slot != 0 && uint32(b.slot>>32) != b.hash && i < prefetchSlots; i++ {
			b.slot = atomic.LoadUint64(&b.table.slots[(b.hash+i)&b.table.mask])
		}
		if b.slot != 0 && uint32(b.slot>>32) == b.hash {
			b.op = b.front.op(uint32(b.slot) - 1)
			found = append(found, b)
		}
	}
	return found
}
