package tpc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Law 13: a full class refuses with its name, and a refused task is still the
// caller's. What was accepted is answered.
func TestOverloadIsRefused(t *testing.T) {
	r := newRuntime(t, &Options{QueueLen: 8})
	c := r.Core(0)
	release := block(t, c)
	var accepted []*job
	for range 8 {
		accepted = append(accepted, submit(t, c, newJob(nil)))
	}
	refused := newJob(nil)
	err := c.Submit(refused)
	var o *OverloadedError
	if !errors.Is(err, ErrOverloaded) || !errors.As(err, &o) {
		t.Fatalf("the ninth task: %v, want ErrOverloaded", err)
	}
	if o.Core != 0 || o.Priority != Normal || o.QueueLen != 8 {
		t.Errorf("refusal = %+v", *o)
	}
	if !strings.Contains(err.Error(), "normal") || !strings.Contains(err.Error(), "retry") {
		t.Errorf("the refusal %q names neither class nor way out (law 14)", err)
	}
	if n, err := c.SubmitAll([]Task{newJob(nil)}); n != 0 || !errors.Is(err, ErrOverloaded) {
		t.Errorf("SubmitAll = %d, %v", n, err)
	}
	// The classes do not share their room.
	high := newJob(nil)
	high.header.Priority = High
	accepted = append(accepted, submit(t, c, high))
	// The blocking task counts as waiting until its run is over.
	if got := c.Metrics(); got.Refused != 2 || got.Depth != 10 {
		t.Errorf("refused %d, depth %d, want 2, 10", got.Refused, got.Depth)
	}
	release()
	for _, j := range accepted {
		if err := j.wait(t); err != nil {
			t.Error(err)
		}
	}
	if len(refused.done) != 0 {
		t.Error("a refused task was answered, too")
	}
	if err := submit(t, c, refused).wait(t); err != nil {
		t.Errorf("once there was room: %v", err)
	}
}

func TestSubmitAllStopsAtTheFullClass(t *testing.T) {
	r := newRuntime(t, &Options{QueueLen: 4})
	c := r.Core(0)
	release := block(t, c)
	var tasks []Task
	for i := range 9 {
		j := newJob(nil)
		if i < 3 {
			j.header.Priority = High
		}
		tasks = append(tasks, j)
	}
	n, err := c.SubmitAll(tasks)
	if n != 7 || !errors.Is(err, ErrOverloaded) {
		t.Errorf("SubmitAll = %d, %v, want 3 of high, 4 of normal, overloaded", n, err)
	}
	release()
	for _, task := range tasks[:n] {
		task.(*job).wait(t)
	}
}

// Tasks run in the order of their priority, whatever order they came in.
func TestPriorityOrder(t *testing.T) {
	r := newRuntime(t, &Options{})
	c := r.Core(0)
	release := block(t, c)
	var order []Priority
	var jobs []*job
	for _, p := range []Priority{Background, Normal, High, Critical} {
		j := newJob(func(*Core) { order = append(order, p) })
		j.header.Priority = p
		jobs = append(jobs, submit(t, c, j))
	}
	release()
	for _, j := range jobs {
		j.wait(t)
	}
	for i, want := range []Priority{Critical, High, Normal, Background} {
		if order[i] != want {
			t.Fatalf("order = %v", order)
		}
	}
}

func TestDeadlines(t *testing.T) {
	clock := new(manualClock)
	r := newRuntime(t, &Options{Clock: clock.now})
	c := r.Core(0)
	release := block(t, c)
	tests := []struct {
		name     string
		deadline time.Duration
		want     error
		ran      bool
		job      *job
	}{
		{name: "early", deadline: time.Second, want: ErrDeadline},
		{name: "exact", deadline: 2 * time.Second, want: ErrDeadline},
		{name: "late", deadline: 3 * time.Second},
		{name: "none"},
	}
	for i := range tests {
		tt := &tests[i]
		tt.job = newJob(func(*Core) { tt.ran = true })
		if tt.deadline != 0 {
			tt.job.header.Deadline = clock.now().Add(tt.deadline)
		}
		submit(t, c, tt.job)
	}
	clock.advance(2 * time.Second)
	release()
	for i := range tests {
		tt := &tests[i]
		err := tt.job.wait(t)
		if !errors.Is(err, tt.want) || (tt.want != nil && !errors.Is(err, context.DeadlineExceeded)) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if tt.ran != (tt.want == nil) {
			t.Errorf("%s: ran = %v", tt.name, tt.ran)
		}
	}
	if got := c.Metrics().Expired; got != 2 {
		t.Errorf("Expired = %d, want 2", got)
	}
}

// Long work looks whether anybody still wants it.
func TestCheckDuringWork(t *testing.T) {
	clock := new(manualClock)
	r := newRuntime(t, &Options{Clock: clock.now})
	c := r.Core(0)
	var before, after, cancelled error
	var j *job
	j = newJob(func(c *Core) {
		before = c.Check(&j.header)
		clock.advance(time.Minute)
		after = c.Check(&j.header)
		j.header.Cancel()
		cancelled = c.Check(&j.header)
		if !c.Expired(&j.header) {
			t.Error("not expired")
		}
	})
	j.header.Deadline = clock.now().Add(time.Second)
	submit(t, c, j).wait(t)
	if before != nil || !errors.Is(after, ErrDeadline) || !errors.Is(cancelled, context.Canceled) {
		t.Errorf("Check = %v, then %v, then %v", before, after, cancelled)
	}
}

func TestCancel(t *testing.T) {
	r := newRuntime(t, &Options{})
	c := r.Core(0)
	release := block(t, c)
	gone := submit(t, c, newJob(func(*Core) { t.Error("a cancelled task ran") }))
	stays := submit(t, c, newJob(nil))
	gone.header.Cancel()
	release()
	if err := gone.wait(t); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled task: %v", err)
	}
	if err := stays.wait(t); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	if m := c.Metrics(); m.Cancelled != 1 {
		t.Errorf("Cancelled = %d", m.Cancelled)
	}
	gone.header.ResetHeader()
	gone.fn = nil
	if err := submit(t, c, gone).wait(t); err != nil {
		t.Errorf("used again after ResetHeader: %v", err)
	}
}
