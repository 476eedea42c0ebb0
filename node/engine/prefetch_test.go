package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A sorted front is in the order of its keys and, of one key, of the operations,
// whatever the first words of the keys tell.
func TestFrontSort(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := newFront()
		skip := r.IntN(3)
		for range 2 + r.IntN(200) {
			key := bytes.Repeat([]byte{'p'}, skip)
			for range 1 + r.IntN(2) {
				key = append(key, byte(r.IntN(2)))
			}
			// Its zeros are all that tells many a key from another.
			key = append(key, make([]byte, 10+r.IntN(8))...)
			copy(f.add(opSet, len(key), 0), key)
		}
		want := make([]uint32, f.nOps)
		for i := range want {
			want[i] = uint32(i)
		}
		slices.SortStableFunc(want, func(a, b uint32) int { return bytes.Compare(f.key(f.op(a)), f.key(f.op(b))) })
		for i, k := range f.sort(0, f.nOps, skip) {
			if k.i != want[i] {
				t.Fatalf("seed %d: operation %d is at %d, want %d", seed, k.i, i, want[i])
			}
		}
	}
}

// A Prefetcher comes to the operations that a look-up comes to.
func TestPrefetcherFinds(t *testing.T) {
	active, frozen := newFront(), newFront()
	key := func(i int) []byte { return fmt.Appendf(nil, "key %04d", i) }
	for i := range 600 {
		f := active
		if i >= 500 {
			f = frozen
		}
		k, v := f.set(len(key(i)), 300)
		copy(k, key(i))
		clear(v)
		f.insert(f.nOps - 1)
	}
	v := &VShard{shared: &Shared{rows: rows{limit: 1 << 20}}}
	var p Prefetcher
	p.Add(v, key(0)) // before there is anything
	if p.n != 0 {
		t.Error("a vshard without a view has a key")
	}
	found := 0
	for round, w := range []*view{{active: active, visible: active.nOps}, {frozen: []*front{frozen}}, {}, {active: newFront()}} {
		v.view.Store(w)
		for i := range 700 {
			p.Add(v, key(i))
			if p.n < prefetchMax {
				continue
			}
			p.Add(v, key(i)) // one too many
			for _, b := range p.probes {
				if !b.operation() {
					continue
				}
				if got := b.front.find(b.front.key(b.op), b.hash, b.front.nOps); got != b.op {
					t.Fatalf("round %d: %q is not where a look-up finds it", round, b.front.key(b.op))
				}
				found++
			}
			p.Run()
			if p.n != 0 || p.probes[0].front != nil {
				t.Fatal("keys stay after Run")
			}
		}
	}
	if found < 570 { // what is at the ends of lists of prefetchMax, and far from its slot
		t.Errorf("%d of 600 keys found", found)
	}
}
