package tpc

import (
	"errors"
	"testing"
	"time"
)

func TestWatchdogWindowSlides(t *testing.T) {
	at := func(s int) time.Time { return clockStart.Add(time.Duration(s) * time.Second) }
	tests := map[string]struct {
		panics []int // seconds
		want   bool  // too many after the last
	}{
		"two":                      {[]int{0, 1}, false},
		"three in the window":      {[]int{0, 30, 60}, true},
		"three just outside":       {[]int{0, 30, 61}, false},
		"the first slides out":     {[]int{0, 30, 61, 90}, true},
		"spread for ever":          {[]int{0, 31, 62, 93, 124, 155}, false},
		"burst after a quiet time": {[]int{0, 1000, 1001, 1002}, true},
		"clock went back":          {[]int{100, 101, 50}, true},
	}
	for name, tt := range tests {
		w := newWatchdog(3, time.Minute)
		var got bool
		for _, s := range tt.panics {
			got = w.record(at(s))
		}
		if got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	w := newWatchdog(3, time.Minute)
	w.record(at(0))
	w.record(at(0))
	w.reset()
	if w.record(at(1)) {
		t.Error("panics survived reset")
	}
	if one := newWatchdog(1, time.Minute); !one.record(at(0)) {
		t.Error("with PanicsMax 1 the first panic is not too many")
	}
}

// Law 12: work that goes well between panics does not hide them: the third
// panic within the window degrades the core. The degraded core answers
// everything but control tasks with the time to come back, and serves again
// after the cool-down.
func TestDegradedAndBack(t *testing.T) {
	clock := new(manualClock)
	r := newRuntime(t, &Options{Clock: clock.now})
	c := r.Core(0)
	poison := func() { submit(t, c, newJob(func(*Core) { panic("poison") })).wait(t) }
	good := func() error { return submit(t, c, newJob(nil)).wait(t) }
	for range 2 {
		poison()
		for range 100 {
			if err := good(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if c.Degraded() {
		t.Fatal("degraded after two panics")
	}
	// What waits behind the third panic is answered, not dropped.
	release := block(t, c)
	third := submit(t, c, newJob(func(*Core) { panic("poison") }))
	behind := submit(t, c, newJob(nil))
	control := newJob(nil)
	control.header.Control = true
	submit(t, c, control)
	release()
	if err := third.wait(t); !errors.Is(err, ErrInternal) {
		t.Errorf("third poison: %v", err)
	}
	checkDegraded(t, "a task that waited", behind.wait(t), 30*time.Second)
	if err := control.wait(t); err != nil {
		t.Errorf("a control task that waited: %v", err)
	}

	clock.advance(10 * time.Second)
	checkDegraded(t, "Submit", c.Submit(newJob(nil)), 20*time.Second)
	_, err := c.SubmitAll([]Task{newJob(nil)})
	checkDegraded(t, "SubmitAll", err, 20*time.Second)
	if !c.Degraded() || !c.Metrics().Degraded {
		t.Error("not reported as degraded")
	}
	if err := c.Do(t.Context(), func(*Core) error { return nil }); err != nil {
		t.Errorf("a control task was refused: %v", err)
	}

	clock.advance(20 * time.Second)
	if c.Degraded() {
		t.Error("degraded after the cool-down")
	}
	if err := good(); err != nil {
		t.Errorf("after the cool-down: %v", err)
	}
	// The count starts anew: one more panic is not the fourth.
	poison()
	if err := good(); err != nil {
		t.Errorf("after one panic past the cool-down: %v", err)
	}
}

func checkDegraded(t *testing.T, what string, err error, after time.Duration) {
	t.Helper()
	var d *DegradedError
	if !errors.As(err, &d) || !errors.Is(err, ErrCoreDegraded) {
		t.Errorf("%s: %v, want a DegradedError", what, err)
	} else if d.RetryAfter != after || d.Core != 0 {
		t.Errorf("%s: core %d, retry after %s, want %s", what, d.Core, d.RetryAfter, after)
	}
}

// A panic of a control task while degraded prolongs the cool-down.
func TestPanicWhileDegradedProlongs(t *testing.T) {
	clock := new(manualClock)
	r := newRuntime(t, &Options{Clock: clock.now, PanicsMax: 1, CoolDown: 10 * time.Second})
	c := r.Core(0)
	poison := func(*Core) error { panic("poison") }
	c.Do(t.Context(), poison)
	clock.advance(6 * time.Second)
	c.Do(t.Context(), poison)
	c.Do(t.Context(), func(*Core) error { return nil }) // the accounting is done
	clock.advance(6 * time.Second)
	checkDegraded(t, "Submit", c.Submit(newJob(nil)), 4*time.Second)
}

// One degraded core leaves the others alone.
func TestDegradedIsPerCore(t *testing.T) {
	r := newRuntime(t, &Options{Cores: 2, PanicsMax: 1})
	submit(t, r.Core(0), newJob(func(*Core) { panic("poison") })).wait(t)
	r.Core(0).Do(t.Context(), func(*Core) error { return nil })
	if !r.Core(0).Degraded() || r.Core(1).Degraded() {
		t.Errorf("degraded: %v, %v", r.Core(0).Degraded(), r.Core(1).Degraded())
	}
	if err := submit(t, r.Core(1), newJob(nil)).wait(t); err != nil {
		t.Error(err)
	}
}
