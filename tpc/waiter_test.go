package tpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

// Done and Wait meet in every order, many times over, on reused Waiters.
func TestWaiterMeets(t *testing.T) {
	const pairs, rounds = 4, 5000
	var wg sync.WaitGroup
	for range pairs {
		var w Waiter
		var value int
		turn := make(chan int)
		wg.Go(func() {
			for i := range turn {
				value = i
				if !w.Done() {
					t.Error("Done found nobody")
				}
			}
		})
		wg.Go(func() {
			defer close(turn)
			for i := range rounds {
				turn <- i
				if err := w.Wait(t.Context()); err != nil {
					t.Errorf("round %d: %v", i, err)
					return
				}
				if value != i {
					t.Errorf("round %d: saw %d", i, value)
					return
				}
			}
		})
	}
	wg.Wait()
}

// A client that goes away and a completion that comes: exactly one of the two
// sides owns what they share afterwards.
func TestWaiterAbandoned(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var w Waiter
	outcomes := map[bool]int{}
	for i := range 5000 {
		ctx, cancel := context.WithCancel(t.Context())
		var owned bool
		var wg sync.WaitGroup
		delay := rng.IntN(200)
		cancelFirst := rng.IntN(2) == 0
		if cancelFirst {
			cancel()
		}
		wg.Go(func() {
			for range delay {
				procyield(10)
			}
			cancel()
			owned = !w.Done()
		})
		err := w.Wait(ctx)
		wg.Wait()
		if owned != (err != nil) {
			t.Fatalf("round %d: Wait = %v, Done's side owns it: %v", i, err, owned)
		}
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			w.Reset()
		}
		outcomes[owned]++
	}
	if outcomes[true] == 0 || outcomes[false] == 0 {
		t.Errorf("only one outcome was tried: %v", outcomes)
	}
}

func TestWaiterDoneTwicePanics(t *testing.T) {
	var w Waiter
	w.Done()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	w.Done()
}

func TestWaiterDoesNotAllocate(t *testing.T) {
	r := newRuntime(t, &Options{})
	c, ctx := r.Core(0), t.Context()
	e := new(echo)
	call := func() {
		if err := c.Submit(e); err != nil {
			t.Fatal(err)
		}
		if err := e.waiter.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		call()
	}
	if got := testing.AllocsPerRun(500, call); got >= 1 {
		t.Errorf("%v allocations per round trip, want 0", got)
	}
}

// What a client learns: short spins stop when they do not pay, and a lone client
// uses the way that was quicker, trying the other now and then.
func TestSpinHabit(t *testing.T) {
	var h spinHabit
	for range spinMissesMax {
		if !h.short() {
			t.Fatal("gave up before it tried")
		}
		h.misses++
	}
	tries := 0
	for range 10 * spinProbe {
		if h.short() {
			tries++
			h.misses++
		}
	}
	if tries != 10 {
		t.Errorf("%d tries in %d waits that do not pay, want 10", tries, 10*spinProbe)
	}
	h.misses = 0
	if !h.short() {
		t.Error("does not spin after a hit")
	}

	for name, tt := range map[string]struct {
		parked, spun int64
		want         bool
	}{"spinning is quicker": {150_000, 120_000, true}, "parking is quicker": {150_000, 260_000, false}, "no difference": {150_000, 149_000, false}} {
		var h spinHabit
		long := 0
		for range 1000 {
			l := h.long()
			wait := tt.parked
			if l {
				wait = tt.spun
				long++
			}
			h.observeAlone(l, wait)
		}
		if got := long > 500; got != tt.want || long < 20 || long > 980 {
			t.Errorf("%s: spun on in %d of 1000 waits", name, long)
		}
	}
}

func TestWaitEstimate(t *testing.T) {
	const limit = 50_000
	var e waitEstimate
	if e.budget(limit) <= 0 {
		t.Error("a core that knows nothing does not try")
	}
	for range 50 {
		e.observe(150_000, limit)
	}
	if got := e.budget(limit); got != 0 {
		t.Errorf("budget after long waits = %d, want 0", got)
	}
	for range 50 {
		e.observe(300, limit)
	}
	if got := e.budget(limit); got < 600 || got > 5_000 {
		t.Errorf("budget after waits of 300ns = %d", got)
	}
	for i := range 50 {
		wait := int64(20_000)
		if i%5 == 4 {
			wait = 3_000_000 // the thread lost its processor
		}
		e.observe(wait, limit)
	}
	if got := e.budget(limit); got < 20_000 || got > limit {
		t.Errorf("budget after waits of 20µs, some disturbed = %d", got)
	}
	for range 3 {
		e.disturbed()
	}
	if got := e.budget(limit); got != 0 {
		t.Errorf("budget when spins are interrupted = %d, want 0", got)
	}
	if got := new(waitEstimate).budget(-1); got > 0 {
		t.Errorf("budget with spinning off = %d", got)
	}
}
