package node

import (
	"errors"
	"time"

	"github.com/nodedb-go/nodedb/internal/durations"
	"github.com/nodedb-go/nodedb/node/engine"
)

// Durations counts by how long something took: bucket i holds what took less than
// 2^i µs and is in no bucket before it; the last holds the rest. Since is what was
// counted after an earlier one, Quantile interpolates within a bucket.
type Durations = durations.Counts

// moment is the time by which updates are measured, in ns since Open and never 0.
func (n *Node) moment() int64 { return max(int64(n.opts.Clock().Sub(n.opened)), 1) }

// count counts the requests of a flight that are about to be answered: before their
// clients are told, so that who was told is counted; and once a bucket and flight, so
// that it costs next to nothing for each.
func (c *core) count(f *flight, now int64) {
	bucket, n := 0, uint64(0)
	for i := range f.ops {
		r := f.ops[i].req
		if r == nil || r.began == 0 {
			continue
		}
		if b := durations.Bucket(time.Duration(now - r.began)); b != bucket {
			c.times.Add(bucket, n)
			bucket, n = b, 0
		}
		n++
	}
	c.times.Add(bucket, n)
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
	c.times.Observe(time.Duration(c.roundAt - r.began))
}
