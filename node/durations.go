package node

import (
	"errors"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
)

// Durations counts by how long something took: bucket i holds what took less than
// 2^i µs and is in no bucket before it; the last holds the rest. [wal.Stats] has the
// times of group commits in the same buckets.
type Durations [24]uint64

// Since is what was counted after earlier.
func (d *Durations) Since(earlier *Durations) (out Durations) {
	for i := range out {
		out[i] = d[i] - earlier[i]
	}
	return out
}

// Quantile is the duration that a share q of all does not exceed, interpolated within
// its bucket; 0 of nothing.
func (d *Durations) Quantile(q float64) time.Duration {
	total := uint64(0)
	for _, n := range d {
		total += n
	}
	rank, below := q*float64(total), 0.0
	for i, n := range d {
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

// bucketOf is the bucket of a duration in ns. A clock that went back measured 0.
func bucketOf(nanos int64) int {
	return min(bits.Len64(uint64(max(nanos, 0))/1e3), len(Durations{})-1)
}

// updateTimes counts the updates of one core. Its core adds to it once a bucket and
// flight, so that it costs next to nothing for each update; any goroutine may.
type updateTimes struct {
	buckets [len(Durations{})]atomic.Uint64
}

func (t *updateTimes) observe(began, ended int64) { t.buckets[bucketOf(ended-began)].Add(1) }

func (t *updateTimes) addTo(d *Durations) {
	for i := range d {
		d[i] += t.buckets[i].Load()
	}
}

// moment is the time by which updates are measured, in ns since Open and never 0.
func (n *Node) moment() int64 { return max(int64(n.opts.Clock().Sub(n.opened)), 1) }

// count counts the requests of a flight that are about to be answered: before their
// clients are told, so that who was told is counted.
func (c *core) count(f *flight, now int64) {
	bucket, n := 0, uint64(0)
	for i := range f.ops {
		r := f.ops[i].req
		if r == nil || r.began == 0 {
			continue
		}
		if b := bucketOf(now - r.began); b != bucket {
			c.times.buckets[bucket].Add(n)
			bucket, n = b, 0
		}
		n++
	}
	c.times.buckets[bucket].Add(n)
}

// countAlone counts a request that fails outside of a flight, in the clock of the
// round's first.
func (c *core) countAlone(r *request, err error) {
	if r.began == 0 || r.patient && errors.Is(err, engine.ErrStalled) {
		return
	}
	if c.roundAt == 0 {
		c.roundAt = c.node.moment()
	}
	c.times.observe(r.began, c.roundAt)
}
