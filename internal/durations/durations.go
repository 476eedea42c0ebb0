// Package durations counts how long things take, in buckets that double.
package durations

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Counts counts by how long something took: bucket i holds what took less than 2^i µs
// and is in no bucket before it; the last holds the rest.
type Counts [24]uint64

// Bucket is the one of a duration. A clock that went back measured 0.
func Bucket(d time.Duration) int {
	return min(bits.Len64(uint64(max(d, 0)/time.Microsecond)), len(Counts{})-1)
}

// Since is what was counted after earlier.
func (c *Counts) Since(earlier *Counts) (out Counts) {
	for i := range out {
		out[i] = c[i] - earlier[i]
	}
	return out
}

// Quantile is the duration that a share q of all does not exceed, interpolated within
// its bucket; 0 of nothing.
func (c *Counts) Quantile(q float64) time.Duration {
	total := uint64(0)
	for _, n := range c {
		total += n
	}
	rank, below := q*float64(total), 0.0
	for i, n := range c {
		if below+float64(n) >= rank && n > 0 {
			high := float64(uint64(1) << i)
			low := high / 2
			if i == 0 {
				low = 0
			}
			return time.Duration((low + (high-low)*(rank-below)/float64(n)) * 1e3)
		}
		below += float64(n)
	}
	return 0
}

// Live is what any goroutine may add to.
type Live struct {
	buckets [len(Counts{})]atomic.Uint64
}

// Observe counts one.
func (l *Live) Observe(d time.Duration) { l.Add(Bucket(d), 1) }

// Add counts n of one bucket at once.
func (l *Live) Add(bucket int, n uint64) { l.buckets[bucket].Add(n) }

// AddTo adds what was counted to c.
func (l *Live) AddTo(c *Counts) {
	for i := range c {
		c[i] += l.buckets[i].Load()
	}
}
