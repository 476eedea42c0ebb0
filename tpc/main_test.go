package tpc

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that are over at once unless something is broken.
const patience = 30 * time.Second

// newRuntime starts a runtime whose cores never look around by themselves in a
// test's time, so that a lost wake-up shows as a hang. It is closed at the end of
// the test, and everything that it accepted must have been answered by then.
func newRuntime(t testing.TB, o *Options) *Runtime {
	t.Helper()
	if o.IdlePoll == 0 {
		o.IdlePoll = time.Hour
	}
	if o.Cores == 0 {
		o.Cores = 1
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Errorf("close runtime: %v", err)
		}
		for _, m := range r.Metrics() {
			if m.Depth != 0 {
				t.Errorf("core %d closed with %d tasks unanswered", m.Core, m.Depth)
			}
		}
	})
	return r
}

// job is a task that runs fn, if any, and answers on a channel.
type job struct {
	header Header
	fn     func(c *Core)
	hold   bool // the driver answers
	done   chan error
}

func newJob(fn func(*Core)) *job { return &job{fn: fn, done: make(chan error, 1)} }

func (j *job) Header() *Header { return &j.header }
func (j *job) Fail(err error)  { j.done <- err }
func (j *job) Run(c *Core) {
	if j.fn != nil {
		j.fn(c)
	}
	if !j.hold {
		j.done <- nil
	}
}

// wait returns the job's answer.
func (j *job) wait(t testing.TB) error {
	t.Helper()
	select {
	case err := <-j.done:
		return err
	case <-time.After(patience):
		t.Fatal("a task was not answered")
		return nil
	}
}

func submit(t testing.TB, c *Core, j *job) *job {
	t.Helper()
	if err := c.Submit(j); err != nil {
		t.Fatalf("submit: %v", err)
	}
	return j
}

// block occupies the core until the returned function is called.
func block(t testing.TB, c *Core) (release func()) {
	t.Helper()
	running, free := make(chan struct{}), make(chan struct{})
	j := newJob(func(*Core) { close(running); <-free })
	j.header.Priority, j.header.Control = Critical, true
	submit(t, c, j)
	<-running
	var once sync.Once
	release = func() { once.Do(func() { close(free) }) }
	t.Cleanup(release)
	return release
}

// manualClock is a clock that a test moves.
type manualClock struct{ offset atomic.Int64 }

var clockStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (m *manualClock) now() time.Time          { return clockStart.Add(time.Duration(m.offset.Load())) }
func (m *manualClock) advance(d time.Duration) { m.offset.Add(int64(d)) }

// hooks is a driver made of functions; nil ones do nothing.
type hooks struct {
	start     func(*Core) error
	poll      func(*Core) bool
	flush     func(*Core, bool)
	pending   func(*Core) bool
	maintain  func(*Core, time.Duration) bool
	recovered func(*Core, *PanicError)
	stop      func(*Core)
}

func (h *hooks) Start(c *Core) error {
	if h.start == nil {
		return nil
	}
	return h.start(c)
}

func (h *hooks) Poll(c *Core) bool    { return h.poll != nil && h.poll(c) }
func (h *hooks) Pending(c *Core) bool { return h.pending != nil && h.pending(c) }

func (h *hooks) Maintain(c *Core, d time.Duration) bool {
	return h.maintain != nil && h.maintain(c, d)
}

func (h *hooks) Flush(c *Core, more bool) {
	if h.flush != nil {
		h.flush(c, more)
	}
}

func (h *hooks) Recovered(c *Core, p *PanicError) {
	if h.recovered != nil {
		h.recovered(c, p)
	}
}

func (h *hooks) Stop(c *Core) {
	if h.stop != nil {
		h.stop(c)
	}
}

func withDriver(h *hooks) func(int) Driver { return func(int) Driver { return h } }
