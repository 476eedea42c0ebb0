package tpc

import "time"

// watchdog counts panics in a sliding window. It is owned by its core.
type watchdog struct {
	window time.Duration
	panics []time.Time // of the last len(panics) panics, a ring
	next   int
}

func newWatchdog(panicsMax int, window time.Duration) watchdog {
	return watchdog{window: window, panics: make([]time.Time, panicsMax)}
}

// record notes a panic and reports whether there were too many lately: the
// oldest of the last panicsMax lies within the window. Work that went well in
// between makes no difference, so a poison request among good ones is noticed.
func (w *watchdog) record(now time.Time) bool {
	w.panics[w.next] = now
	w.next = (w.next + 1) % len(w.panics)
	oldest := w.panics[w.next]
	return !oldest.IsZero() && now.Sub(oldest) <= w.window
}

// reset forgets all panics, after a cool-down.
func (w *watchdog) reset() {
	clear(w.panics)
	w.next = 0
}
