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
	hash   uint32
	front  *front // nil: none is here
	table  *table
	slot   uint64 // the first that may be the key's
	bucket *bucket
	op     *op
	row    *row
	bytes  []byte
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
	b := probe{hash: hashOf(key)}
	b.bucket = v.shared.rows.bucket(b.hash)
	if b.front = w.youngest(); b.front != nil {
		if b.table = b.front.table.Load(); b.table != nil {
			b.slot = atomic.LoadUint64(&b.table.slots[b.hash&b.table.mask])
		}
	}
	p.probes[p.n] = b
	p.n++
}

// youngest returns the front that holds the newest writes, or nil.
func (w *view) youngest() *front {
	if w.active == nil && len(w.frozen) > 0 {
		return w.frozen[0]
	}
	return w.active
}

// Run touches what the keys lead to, and forgets them.
func (p *Prefetcher) Run() {
	probes := p.probes[:p.n]
	for i := range probes {
		if b := &probes[i]; !b.operation() && b.bucket != nil {
			b.row = b.bucket.row(b.hash)
		}
	}
	for i := range probes {
		switch b := &probes[i]; {
		case b.op != nil:
			o := b.op
			b.bytes = b.front.chunks[o.chunk][o.off : o.off+min(o.keyLen+o.valLen, prefetchBytes)]
		case b.row != nil:
			b.bytes = b.row.data[:min(len(b.row.data), prefetchBytes)]
		}
	}
	for i := range probes {
		for at := 0; at < len(probes[i].bytes); at += cacheLine {
			p.sink += probes[i].bytes[at]
		}
	}
	clear(probes) // the fronts may go
	p.n = 0
}

// operation finds what the slot leads to. A key that others have pushed far away
// from its slot is left out.
func (b *probe) operation() bool {
	for i := uint32(1); b.slot != 0 && uint32(b.slot>>32) != b.hash && i < prefetchSlots; i++ {
		b.slot = atomic.LoadUint64(&b.table.slots[(b.hash+i)&b.table.mask])
	}
	if b.slot == 0 || uint32(b.slot>>32) != b.hash {
		return false
	}
	b.op = b.front.op(uint32(b.slot) - 1)
	return true
}
