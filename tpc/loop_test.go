package tpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// More tasks than one iteration runs, and one signal for all: the core must not
// sleep with work in its inbox. Every look at the queues happens before a park,
// so it is enough that none was counted between the first task and the last.
func TestOneSignalRunsMoreThanAnIteration(t *testing.T) {
	const tasks = 257
	r := newRuntime(t, &Options{SpinMax: -1})
	c := r.Core(0)
	release := block(t, c)
	first := c.Metrics()

	var last CoreMetrics
	var begin, end time.Time
	var batch []Task
	for i := range tasks {
		batch = append(batch, newJob(func(c *Core) {
			if i == 0 {
				begin = time.Now()
			}
			last, end = c.Metrics(), time.Now()
		}))
	}
	if n, err := c.SubmitAll(batch); n != tasks || err != nil {
		t.Fatalf("SubmitAll = %d, %v", n, err)
	}
	release()
	for _, task := range batch {
		if err := task.(*job).wait(t); err != nil {
			t.Fatal(err)
		}
	}
	if parks := last.Parks - first.Parks; parks != 0 {
		t.Errorf("the core slept %d times with work queued", parks)
	}
	if iterations := last.Iterations - first.Iterations; iterations < 1 {
		t.Errorf("%d tasks ran in one iteration: the bound of %d does not hold", tasks, 256)
	}
	if took := end.Sub(begin); took > 100*time.Millisecond {
		t.Errorf("first to last task took %s; on an idle machine it is below 5ms", took)
	}
	if got := c.Metrics().DepthMax; got < tasks {
		t.Errorf("DepthMax = %d, want at least %d", got, tasks)
	}
}

// A run of tasks is bounded, every run is followed by a Flush, and Flush is told
// whether more tasks wait.
func TestFlushFollowsEveryRun(t *testing.T) {
	type flush struct {
		Ran  int
		More bool
	}
	var ran int
	var flushes []flush
	r := newRuntime(t, &Options{TasksPerIteration: 4, NewDriver: withDriver(&hooks{
		flush: func(_ *Core, more bool) { flushes = append(flushes, flush{ran, more}); ran = 0 },
	})})
	c := r.Core(0)
	release := block(t, c)
	jobs := make([]*job, 10)
	for i := range jobs {
		jobs[i] = submit(t, c, newJob(func(*Core) { ran++ }))
	}
	release()
	for _, j := range jobs {
		j.wait(t)
	}
	var got []flush
	if err := c.Do(t.Context(), func(*Core) error { got = flushes; return nil }); err != nil {
		t.Fatal(err)
	}
	// The blocking task is the first of the first run.
	want := []flush{{3, true}, {4, true}, {3, false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flushes (-want +got):\n%s", diff)
	}
}

// Producers that come and go, a core that parks whenever it can and never looks
// around by itself: a wake-up that is lost hangs the test.
func TestNoWakeupIsLost(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for _, spin := range []time.Duration{-1, 0} {
		for _, producers := range []int{1, 4, 32} {
			t.Run(fmt.Sprintf("spin=%s/producers=%d", spin, producers), func(t *testing.T) {
				r := newRuntime(t, &Options{Cores: 2, SpinMax: spin})
				var wg sync.WaitGroup
				for p := range producers {
					wg.Go(func() { closedLoop(t, r, p, rounds/producers) })
				}
				wg.Wait()
				var parks, wakes, tasks uint64
				for _, m := range r.Metrics() {
					parks, wakes, tasks = parks+m.Parks, wakes+m.Wakes, tasks+m.Tasks
				}
				if tasks == 0 || wakes > parks+2 {
					t.Errorf("tasks %d, parks %d, wakes %d: more wakes than parks", tasks, parks, wakes)
				}
			})
		}
	}
}

func closedLoop(t *testing.T, r *Runtime, seed, rounds int) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var e echo
	for i := range rounds {
		if err := r.Core((seed + i) % r.Cores()).Submit(&e); err != nil {
			t.Errorf("submit: %v", err)
			return
		}
		if err := e.waiter.Wait(ctx); err != nil {
			t.Errorf("seed %d, round %d: %v: a wake-up was lost", seed, i, err)
			return
		}
		// Vary how close the next push comes to the core's way to sleep.
		for range (i * 7) % 50 {
			procyield(10)
		}
		if i%5 == 0 {
			runtime.Gosched()
		}
	}
}

// echo is the smallest task: it answers a Waiter.
type echo struct {
	header Header
	waiter Waiter
	err    error
}

func (e *echo) Header() *Header { return &e.header }
func (e *echo) Run(*Core)       { e.waiter.Done() }
func (e *echo) Fail(err error)  { e.err = err; e.waiter.Done() }

// Wake makes the core poll, whatever it was doing, also from many threads.
func TestWakePolls(t *testing.T) {
	var published, polled atomic.Int64
	seen := make(chan struct{}, 1)
	r := newRuntime(t, &Options{NewDriver: withDriver(&hooks{
		poll: func(*Core) bool {
			p := published.Load()
			if p == polled.Load() {
				return false
			}
			polled.Store(p)
			select {
			case seen <- struct{}{}:
			default:
			}
			return true
		},
	})})
	c := r.Core(0)
	for range 2000 {
		want := published.Add(1)
		c.Wake()
		for polled.Load() < want {
			select {
			case <-seen:
			case <-time.After(patience):
				t.Fatalf("published %d, polled %d", want, polled.Load())
			}
		}
	}
}

// While nothing happens the core sleeps: it neither spins nor polls in between.
func TestIdleCoreSleeps(t *testing.T) {
	r := newRuntime(t, &Options{IdlePoll: 10 * time.Millisecond, Cores: 2})
	before, begin := r.Metrics(), time.Now()
	<-time.After(200 * time.Millisecond)
	after := r.Metrics()
	polls := uint64(time.Since(begin)/(10*time.Millisecond)) + 1
	for i, m := range after {
		if loops := m.Iterations - before[i].Iterations; loops > polls+1 || loops < 2 {
			t.Errorf("core %d went round %d times in %d idle polls", i, loops, polls)
		}
		if m.SpinHits != 0 {
			t.Errorf("core %d: %d spin hits without work", i, m.SpinHits)
		}
		if u := m.Utilisation(); u > 0.5 {
			t.Errorf("core %d: utilisation %.2f while idle", i, u)
		}
	}
}

func TestDo(t *testing.T) {
	r := newRuntime(t, &Options{Cores: 3})
	want := errors.New("as asked")
	for i := range r.Cores() {
		if err := r.Core(i).Do(t.Context(), func(c *Core) error {
			if c.ID() != i {
				t.Errorf("ran on core %d, want %d", c.ID(), i)
			}
			return want
		}); !errors.Is(err, want) {
			t.Errorf("Do = %v, want %v", err, want)
		}
	}
	release := block(t, r.Core(0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Core(0).Do(ctx, func(*Core) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Do with an ended context = %v", err)
	}
	release()
}

func TestStartFailureStopsTheOthers(t *testing.T) {
	var stopped atomic.Int32
	wrong := errors.New("no room")
	_, err := New(&Options{Cores: 3, Logger: slog.New(slog.DiscardHandler), NewDriver: func(core int) Driver {
		return &hooks{
			start: func(*Core) error {
				if core == 1 {
					return wrong
				}
				if core == 2 {
					panic("worse")
				}
				return nil
			},
			stop: func(*Core) { stopped.Add(1) },
		}
	}})
	if !errors.Is(err, wrong) || !errors.Is(err, ErrInternal) {
		t.Errorf("New = %v, want both failures", err)
	}
	if stopped.Load() != 1 {
		t.Errorf("%d drivers stopped, want the one that had started", stopped.Load())
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(&Options{Cores: -1, QueueLen: -5, TasksPerIteration: -1, IdlePoll: 1, SpinMax: time.Hour,
		PanicsMax: -1, PanicWindow: -1, CoolDown: -1, MaintainBudget: -1, ArenaBytes: -1}); err == nil {
		t.Fatal("bad options were taken")
	} else if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 10 {
		t.Errorf("%d errors, want all 10:\n%v", n, err)
	}
	r, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Cores(); got != runtime.GOMAXPROCS(0) {
		t.Errorf("default cores = %d, want %d", got, runtime.GOMAXPROCS(0))
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
