package tpc

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
)

func newTestArena(t testing.TB, limit int64) *Arena {
	t.Helper()
	a := newArena(limit)
	t.Cleanup(a.release)
	return a
}

func mustAlloc(t testing.TB, a *Arena, n int) []byte {
	t.Helper()
	b, err := a.Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestArenaClasses(t *testing.T) {
	if last := classBytes[sizeClasses-1]; last != smallMax {
		t.Fatalf("the last class holds %d, want %d", last, smallMax)
	}
	for n := 1; n <= smallMax; n++ {
		class := classOf(n)
		if classBytes[class] < n || (class > 0 && classBytes[class-1] >= n) {
			t.Fatalf("classOf(%d) = %d, of %d bytes", n, class, classBytes[class])
		}
	}
}

// A random history against a model: objects do not overlap, keep their content,
// start out as zeroes, and the accounts come out even.
func TestArenaHistory(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	a := newTestArena(t, 64<<20)
	type object struct {
		b    []byte
		fill byte
	}
	var live []object
	var used int64
	steps := 20000
	if testing.Short() {
		steps = 2000
	}
	for step := range steps {
		if rng.IntN(100) < 45 && len(live) > 0 || len(live) > 3000 {
			i := rng.IntN(len(live))
			o := live[i]
			if n := bytes.Count(o.b, []byte{o.fill}); n != len(o.b) {
				t.Fatalf("step %d: %d of %d bytes changed", step, len(o.b)-n, len(o.b))
			}
			used -= int64(cap(o.b))
			a.Free(o.b[:rng.IntN(len(o.b)+1)])
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
			continue
		}
		n := 1 + rng.IntN(1<<(1+rng.IntN(17)))
		b, err := a.Alloc(n)
		if errors.Is(err, ErrArenaFull) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if len(b) != n || bytes.Count(b[:cap(b)], []byte{0}) != cap(b) {
			t.Fatalf("step %d: Alloc(%d) gave %d bytes that are not all zero", step, n, len(b))
		}
		fill := byte(1 + rng.IntN(255))
		for i := range b[:cap(b)] {
			b[:cap(b)][i] = fill
		}
		used += int64(cap(b))
		live = append(live, object{b, fill})
		if got := a.Stats().Used; got != used {
			t.Fatalf("step %d: Used = %d, want %d", step, got, used)
		}
	}
	for _, o := range live {
		a.Free(o.b)
	}
	s := a.Stats()
	if s.Used != 0 || s.Allocs != s.Frees {
		t.Errorf("after freeing all: %+v", s)
	}
	if most := int64(sizeClasses * slabBytes); s.Mapped > most {
		t.Errorf("%d bytes stay mapped, want at most one slab per class, %d", s.Mapped, most)
	}
}

// Law 13: the limit holds, with a named error, and freed memory serves any size.
func TestArenaLimit(t *testing.T) {
	const limit = 4 * slabBytes
	a := newTestArena(t, limit+100)
	var all [][]byte
	for {
		b, err := a.Alloc(1000)
		if err != nil {
			if !errors.Is(err, ErrArenaFull) {
				t.Fatal(err)
			}
			break
		}
		all = append(all, b)
	}
	if want := 4 * (slabBytes / 1024); len(all) != want {
		t.Errorf("%d objects of 1 KiB in %d bytes, want %d", len(all), limit, want)
	}
	if s := a.Stats(); s.Mapped != limit || s.Limit != limit {
		t.Errorf("%+v", s)
	}
	for _, b := range all {
		a.Free(b)
	}
	if _, err := a.Alloc(limit + 1); !errors.Is(err, ErrArenaFull) {
		t.Errorf("more than the limit: %v", err)
	}
	big := mustAlloc(t, a, 3*slabBytes) // one slab stays with its class
	a.Free(big)
	if s := a.Stats(); s.Mapped != slabBytes {
		t.Errorf("mapped %d after freeing all, want one slab", s.Mapped)
	}
	mustAlloc(t, a, smallMax+1)
	if _, err := newTestArena(t, 100).Alloc(1); !errors.Is(err, ErrArenaFull) {
		t.Errorf("an arena smaller than a slab: %v", err)
	}
}

func TestArenaRefusesBadFrees(t *testing.T) {
	a := newTestArena(t, 1<<20)
	small, large := mustAlloc(t, a, 100), mustAlloc(t, a, 200<<10)
	freed := mustAlloc(t, a, 100)
	a.Free(freed)
	for name, b := range map[string][]byte{
		"twice":            freed,
		"not its start":    small[16:],
		"inside a large":   large[slabBytes:],
		"beyond a slab":    a.region[10*slabBytes : 10*slabBytes+1],
		"the Go heap":      make([]byte, 100),
		"empty":            nil,
		"past its objects": a.region[slabBytes-16 : slabBytes],
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Free did not panic", name)
				}
			}()
			a.Free(b)
		}()
	}
	a.Free(small)
	a.Free(large)
}

// A stray access to memory that the arena gave back is a panic of the task, not
// the end of the process.
func TestArenaFaultIsAPanic(t *testing.T) {
	r := newRuntime(t, &Options{ArenaBytes: 1 << 20})
	c := r.Core(0)
	read := byte(0)
	err := c.Do(t.Context(), func(c *Core) error {
		b := mustAlloc(t, c.Arena(), 100<<10)
		b[0] = 1
		c.Arena().Free(b)
		read = b[0]
		return nil
	})
	var p *PanicError
	if !errors.As(err, &p) {
		t.Fatalf("reading freed memory: %v (read %d), want a PanicError", err, read)
	}
	var fault runtime.Error
	if !errors.As(err, &fault) {
		t.Errorf("the panic value is %T, want a runtime.Error", p.Value)
	}
	if err := c.Do(t.Context(), func(*Core) error { return nil }); err != nil {
		t.Errorf("the core after the fault: %v", err)
	}
}

// The arena is not part of the Go heap.
func TestArenaIsOffHeap(t *testing.T) {
	a := newTestArena(t, 64<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		mustAlloc(t, a, 32<<10)[0] = 1
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes for %d bytes in the arena", grown, a.Stats().Used)
	}
}

func BenchmarkArena(b *testing.B) {
	a := newTestArena(b, 64<<20)
	for b.Loop() {
		a.Free(mustAlloc(b, a, 128))
	}
}
