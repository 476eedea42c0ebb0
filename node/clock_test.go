package node_test

import (
	"sync/atomic"
	"time"
)

// A clock stands still until it is moved.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) Now() time.Time { return time.UnixMicro(c.micros.Load()) }

func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }
