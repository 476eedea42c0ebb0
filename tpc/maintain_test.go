package tpc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Maintenance comes when its interval is over, in slices for as long as there is
// more, and leaves a busy core most of its time.
func TestMaintain(t *testing.T) {
	clock := new(manualClock)
	left := 0
	var slices []time.Duration // when each began
	r := newRuntime(t, &Options{Clock: clock.now, MaintainInterval: time.Minute, MaintainBudget: 3 * time.Millisecond, NewDriver: withDriver(&hooks{
		maintain: func(_ *Core, budget time.Duration) bool {
			if budget != 3*time.Millisecond {
				t.Errorf("budget = %s", budget)
			}
			slices = append(slices, clock.now().Sub(clockStart))
			clock.advance(2 * time.Millisecond)
			left--
			return left > 0
		},
	})})
	c := r.Core(0)
	// On the core's thread the loop stands still, so its parts can be driven.
	step := func(busy bool) (more bool) {
		c.Do(t.Context(), func(c *Core) error { more = c.maintain(busy); return nil })
		return more
	}
	check := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: more = %v, want %v", what, got, want)
		}
	}
	check("before it is due", step(true), false)
	c.Do(t.Context(), func(c *Core) error {
		left = 3
		clock.advance(time.Minute)
		check("first slice", c.maintain(true), true)
		check("a busy core pauses", c.maintain(true), false)
		clock.advance(maintainShare * 2 * time.Millisecond)
		check("second slice", c.maintain(false), true)
		check("an idle core does not pause, and this is the last", c.maintain(false), false)
		check("the round is over", c.maintain(false), false)
		return nil
	})
	want := []time.Duration{time.Minute, time.Minute + 20*time.Millisecond, time.Minute + 22*time.Millisecond}
	if diff := cmp.Diff(want, slices); diff != "" {
		t.Errorf("slices began at (-want +got):\n%s", diff)
	}
	if got := c.Metrics().Maintains; got != 3 {
		t.Errorf("Maintains = %d", got)
	}
}

// An idle core sleeps no longer than until its maintenance is due, and finishes
// all slices without being woken. A core that is degraded maintains, too.
func TestMaintainWakesAnIdleCore(t *testing.T) {
	left := 5
	over := make(chan struct{})
	r := newRuntime(t, &Options{MaintainInterval: 20 * time.Millisecond, PanicsMax: 1, NewDriver: withDriver(&hooks{
		maintain: func(c *Core, _ time.Duration) bool {
			if !c.Degraded() {
				return false
			}
			if left--; left == 0 {
				close(over)
			}
			return left > 0
		},
	})})
	submit(t, r.Core(0), newJob(func(*Core) { panic("poison") })).wait(t)
	select {
	case <-over:
	case <-time.After(patience):
		t.Error("maintenance did not finish")
	}
}

func TestMaintainOff(t *testing.T) {
	clock := new(manualClock)
	r := newRuntime(t, &Options{Clock: clock.now, MaintainInterval: -1, NewDriver: withDriver(&hooks{
		maintain: func(*Core, time.Duration) bool { t.Error("maintained"); return false },
	})})
	clock.advance(24 * time.Hour)
	for range 200 {
		submit(t, r.Core(0), newJob(nil)).wait(t)
	}
}
