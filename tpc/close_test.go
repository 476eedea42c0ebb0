package tpc

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Close runs what was accepted, on all priorities, and refuses what comes later.
func TestCloseDrains(t *testing.T) {
	var stops atomic.Int32
	r := newRuntime(t, &Options{Cores: 2, NewDriver: withDriver(&hooks{stop: func(*Core) { stops.Add(1) }})})
	c := r.Core(0)
	release := block(t, c)
	var jobs []*job
	for i := range 1000 {
		j := newJob(nil)
		j.header.Priority = Priority(i%4 - 1)
		jobs = append(jobs, submit(t, c, j))
	}
	closed := make(chan error)
	go func() { closed <- r.Close(t.Context()) }()
	awaitGate(c)
	release()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if err := j.wait(t); err != nil {
			t.Errorf("an accepted task: %v", err)
		}
	}
	if stops.Load() != 2 {
		t.Errorf("%d drivers stopped, want 2", stops.Load())
	}
	if n, err := c.SubmitAll([]Task{newJob(nil)}); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("SubmitAll after Close = %d, %v", n, err)
	}
	c.Wake() // harmless
	if err := r.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// awaitGate returns when the core refuses tasks because it closes.
func awaitGate(c *Core) {
	for !errors.Is(c.Submit(newJob(nil)), ErrClosed) {
		runtime.Gosched()
	}
}

// Close waits for what the driver has pending.
func TestCloseWaitsForPending(t *testing.T) {
	var staged *job
	ready := make(chan struct{})
	r := newRuntime(t, &Options{NewDriver: withDriver(&hooks{
		pending: func(*Core) bool { return staged != nil },
		poll: func(*Core) bool {
			select {
			case <-ready:
			default:
				return false
			}
			if staged == nil {
				return false
			}
			staged.done <- nil
			staged = nil
			return true
		},
		stop: func(*Core) {
			if staged != nil {
				t.Error("stopped with a pending task")
			}
		},
	})})
	c := r.Core(0)
	j := newJob(nil)
	j.hold, j.fn = true, func(*Core) { staged = j }
	submit(t, c, j)
	closed := make(chan error)
	go func() { closed <- r.Close(t.Context()) }()
	awaitGate(c)
	for turn := c.Metrics().Iterations + 5; c.stop.Load() != stopDrain || c.Metrics().Iterations < turn; {
		c.Wake() // each one gives the core an opportunity to stop
		select {
		case <-closed:
			t.Fatal("closed with a task pending")
		default:
			runtime.Gosched()
		}
	}
	close(ready)
	c.Wake()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := j.wait(t); err != nil {
		t.Error(err)
	}
}

// When Close's context ends, what waits is answered with ErrClosed, and a core
// that is stuck in a task is named.
func TestCloseGivesUp(t *testing.T) {
	r := newRuntime(t, &Options{Cores: 2, NewDriver: withDriver(&hooks{
		pending: func(*Core) bool { return true }, // and nothing ever comes
	})})
	release := block(t, r.Core(1))
	waiting := submit(t, r.Core(1), newJob(nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := r.Close(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "[1]") {
		t.Errorf("Close = %v, want it to name core 1", err)
	}
	release()
	if err := waiting.wait(t); !errors.Is(err, ErrClosed) {
		t.Errorf("a task that waited behind the stuck one: %v", err)
	}
	if got := r.Core(1).Metrics().Rejected; got != 1 {
		t.Errorf("Rejected = %d", got)
	}
}

// The gate: of tasks that are submitted while the runtime closes each one is
// either refused or answered.
func TestSubmitAgainstClose(t *testing.T) {
	for range 50 {
		r := newRuntime(t, &Options{Cores: 2, QueueLen: 16})
		var accepted, answered atomic.Int64
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for p := range 4 {
			wg.Go(func() {
				<-begin
				for i := 0; ; i++ {
					task := &counted{answered: &answered}
					var err error
					if p%2 == 0 {
						err = r.Core(i % 2).Submit(task)
					} else {
						_, err = r.Core(i % 2).SubmitAll([]Task{task})
					}
					switch {
					case err == nil:
						accepted.Add(1)
					case errors.Is(err, ErrOverloaded):
						runtime.Gosched()
					case errors.Is(err, ErrClosed):
						return
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		close(begin)
		for accepted.Load() < 20 {
			runtime.Gosched()
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if accepted.Load() != answered.Load() {
			t.Fatalf("accepted %d, answered %d", accepted.Load(), answered.Load())
		}
	}
}

type counted struct {
	header   Header
	answered *atomic.Int64
}

func (c *counted) Header() *Header { return &c.header }
func (c *counted) Run(*Core)       { c.answered.Add(1) }
func (c *counted) Fail(error)      { c.answered.Add(1) }
