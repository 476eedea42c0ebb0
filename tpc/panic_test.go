package tpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Law 12: a panic answers its own request at once, with an id, and hurts no
// other: those around it run, in the same run of tasks and on the same core.
func TestPoisonHurtsNoNeighbour(t *testing.T) {
	poisons := map[string]func(*Core){
		"panic":        func(*Core) { panic("poison") },
		"error":        func(*Core) { panic(io.ErrUnexpectedEOF) },
		"nil pointer":  func(*Core) { var p *Core; p.id++ },
		"index":        func(c *Core) { _ = make([]int, 1)[c.id+1] },
		"nil panic":    func(*Core) { panic(nil) },
		"goexit":       func(*Core) { runtime.Goexit() },
		"deep":         func(*Core) { deep(1000) },
		"in a defer":   func(*Core) { defer func() { panic("second") }(); panic("first") },
		"own recover":  func(*Core) { defer func() { panic(recover()) }(); panic("again") },
		"closed chan":  func(*Core) { ch := make(chan int); close(ch); close(ch) },
		"custom value": func(*Core) { panic(struct{ A int }{7}) },
	}
	for name, poison := range poisons {
		t.Run(name, func(t *testing.T) {
			r := newRuntime(t, &Options{PanicsMax: 1000})
			c := r.Core(0)
			release := block(t, c)
			const tasks = 300 // more than one iteration
			var jobs []*job
			for i := range tasks {
				var fn func(*Core)
				if i%7 == 3 {
					fn = poison
				}
				jobs = append(jobs, submit(t, c, newJob(fn)))
			}
			release()
			ids := map[string]bool{}
			for i, j := range jobs {
				err := j.wait(t)
				if i%7 != 3 {
					if err != nil {
						t.Fatalf("task %d, a neighbour, was answered with %v", i, err)
					}
					continue
				}
				var p *PanicError
				if !errors.As(err, &p) || !errors.Is(err, ErrInternal) {
					t.Fatalf("task %d, the poison, was answered with %v", i, err)
				}
				if ids[p.ID] || p.ID == "" || p.Where != "run" || p.Task != j || len(p.Stack) == 0 {
					t.Errorf("task %d: id %q (seen: %v), where %q, %d bytes of stack", i, p.ID, ids[p.ID], p.Where, len(p.Stack))
				}
				ids[p.ID] = true
			}
			var m CoreMetrics
			c.Do(t.Context(), func(c *Core) error { m = c.Metrics(); return nil })
			if m.Panics != uint64(len(ids)) || m.Tasks != tasks-m.Panics+1 {
				t.Errorf("metrics: %d panics of %d, %d tasks ran of %d", m.Panics, len(ids), m.Tasks, tasks+1-len(ids))
			}
		})
	}
}

func deep(n int) {
	if n == 0 {
		panic("at the bottom")
	}
	deep(n - 1)
}

// Law 12: the answer does not wait for the rest of the run.
func TestPoisonIsAnsweredAtOnce(t *testing.T) {
	r := newRuntime(t, &Options{})
	c := r.Core(0)
	release := block(t, c)
	poison := submit(t, c, newJob(func(*Core) { panic("poison") }))
	var before error
	next := submit(t, c, newJob(func(*Core) {
		select {
		case before = <-poison.done:
		default:
		}
	}))
	release()
	next.wait(t)
	if !errors.Is(before, ErrInternal) {
		t.Errorf("when the next task ran the poison's answer was %v", before)
	}
}

// Law 12: the driver takes back what the panicking task staged before the
// requester hears of it, so that it never uses memory that the requester has
// again.
func TestRecoveredComesBeforeTheAnswer(t *testing.T) {
	var log []string
	answered := func(j *job) bool { return len(j.done) > 0 }
	var poison *job
	r := newRuntime(t, &Options{NewDriver: withDriver(&hooks{
		recovered: func(_ *Core, p *PanicError) {
			log = append(log, fmt.Sprintf("recovered %s, its task: %v, answered: %v", p.Where, p.Task == Task(poison), answered(poison)))
		},
	})})
	c := r.Core(0)
	poison = newJob(func(*Core) { panic("poison") })
	release := block(t, c)
	submit(t, c, poison)
	next := submit(t, c, newJob(nil))
	release()
	// The answer is taken only when all is over, so that the driver could have
	// seen it.
	next.wait(t)
	poison.wait(t)
	if diff := cmp.Diff([]string{"recovered run, its task: true, answered: false"}, log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// Law 12: a panic of the driver is caught, reported with no task, and the core
// goes on.
func TestDriverPanics(t *testing.T) {
	for _, where := range []string{"poll", "flush", "pending", "maintain", "recovered", "fail", "stop"} {
		t.Run(where, func(t *testing.T) {
			var mu sync.Mutex
			var reports []string
			armed := true // of the core
			once := func(at string) {
				if at == where && armed {
					armed = false
					panic("driver " + at)
				}
			}
			clock := new(manualClock)
			r, err := New(&Options{Cores: 1, Clock: clock.now, Logger: slog.New(slog.DiscardHandler), NewDriver: withDriver(&hooks{
				poll:     func(*Core) bool { once("poll"); return false },
				flush:    func(*Core, bool) { once("flush") },
				pending:  func(*Core) bool { once("pending"); return false },
				maintain: func(*Core, time.Duration) bool { once("maintain"); return false },
				stop:     func(*Core) { once("stop") },
				recovered: func(_ *Core, p *PanicError) {
					mu.Lock()
					reports = append(reports, fmt.Sprintf("%s task=%v", p.Where, p.Task != nil))
					mu.Unlock()
					once("recovered")
				},
			})})
			if err != nil {
				t.Fatal(err)
			}
			c := r.Core(0)
			clock.advance(time.Hour) // maintenance is due
			var want []string
			switch where {
			case "recovered":
				if err := submit(t, c, newJob(func(*Core) { panic("poison") })).wait(t); !errors.Is(err, ErrInternal) {
					t.Errorf("the poison was answered with %v", err)
				}
				want = []string{"run task=true"}
			case "fail":
				f := &failing{}
				f.header.Cancel()
				if err := c.Submit(f); err != nil {
					t.Fatal(err)
				}
				want = []string{"fail task=true"}
			case "stop":
			default:
				want = []string{where + " task=false"}
			}
			for range 3 {
				if err := submit(t, c, newJob(nil)).wait(t); err != nil {
					t.Errorf("a task was answered with %v", err)
				}
				c.Wake()
			}
			if err := r.Close(t.Context()); err != nil {
				t.Errorf("close: %v", err)
			}
			if diff := cmp.Diff(want, reports); diff != "" {
				t.Errorf("reports to Recovered (-want +got):\n%s", diff)
			}
			panics := uint64(1)
			if where == "recovered" {
				panics = 2 // the poison, and what happened while it was reported
			}
			if got := c.Metrics().Panics; got != panics {
				t.Errorf("%d panics counted, want %d", got, panics)
			}
		})
	}
}

type failing struct{ header Header }

func (f *failing) Header() *Header { return &f.header }
func (f *failing) Run(*Core)       {}
func (f *failing) Fail(error)      { panic("cannot answer") }

// What the log says of a panic: id, core, where, trace id and stack, so that a
// client's report finds its cause.
func TestPanicIsLogged(t *testing.T) {
	var out bytes.Buffer
	r := newRuntime(t, &Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	j := newJob(func(*Core) { deep(3) })
	j.header.TraceID = "trace-17"
	err := submit(t, r.Core(0), j).wait(t)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var p *PanicError
	if !errors.As(err, &p) {
		t.Fatalf("answer = %v", err)
	}
	for _, want := range []string{"id=" + p.ID, "core=0", "where=run", "trace=trace-17", "at the bottom", "tpc.deep"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log does not hold %q:\n%s", want, out.String())
		}
	}
	for _, want := range []string{p.ID, "core 0", "at the bottom"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the answer %q does not hold %q", err, want)
		}
	}
}
