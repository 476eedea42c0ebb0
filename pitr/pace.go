package pitr

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// Pace is how fast a restore is taken to go. Zero fields are the defaults, for
// a store in the same region.
type Pace struct {
	BytesPerSecond    int64   `json:"bytes_per_second"`    // of all downloads together; default 100 MiB
	RecordsPerSecond  int64   `json:"records_per_second"`  // that are replayed; default 500,000
	SecondsPerRequest float64 `json:"seconds_per_request"` // until the first byte; default 0.03
	Parallel          int     `json:"parallel"`            // requests at a time; default 4
	Source            string  `json:"source"`              // "assumed", "given" or "measured"
}

// PlanOptions of NewPlanWith. Nil and the zero value work.
type PlanOptions struct {
	Pace Pace
	// NoSnapshot lists every name, even when a snapshot of the catalog knows
	// most of them.
	NoSnapshot bool
	// Contents looks up the storage classes of all contents of the base, which
	// takes a listing of them. Without it that is done only when something else of
	// the node's archive is out of the store's ordinary class.
	Contents bool
}

func (o *PlanOptions) withDefaults() *PlanOptions {
	var d PlanOptions
	if o != nil {
		d = *o
	}
	setDefault(&d.Pace.Source, "assumed")
	setDefault(&d.Pace.BytesPerSecond, 100<<20)
	setDefault(&d.Pace.RecordsPerSecond, 500_000)
	setDefault(&d.Pace.SecondsPerRequest, 0.03)
	setDefault(&d.Pace.Parallel, 4)
	return &d
}

// estimate is how long the plan takes: what is slower of fetching and replaying,
// which go on at once, and the waiting for first bytes.
func (p *Plan) estimate() {
	e := &p.Pace
	p.EstimatedSeconds = max(float64(p.Bytes)/float64(e.BytesPerSecond), float64(p.Records)/float64(e.RecordsPerSecond)) +
		float64(p.Requests)*e.SecondsPerRequest/float64(e.Parallel)
}

// A measurement reads no more than this, and not for longer.
const (
	measureBytesMax = 64 << 20
	measureTimeMax  = 3 * time.Second
)

// Measure reads a sample of what the plan would fetch, as many objects at a
// time as a restore does, and makes the estimate from its pace. Cold objects
// are left out. It changes nothing in the archive.
func (p *Plan) Measure(ctx context.Context) error {
	var sample []PlanSegment
	total := int64(0)
	for _, s := range slices.SortedFunc(slices.Values(p.Segments), func(a, b PlanSegment) int { return int(b.Bytes - a.Bytes) }) {
		if len(s.Stores) > 0 && !s.Class.Cold() && total < measureBytesMax {
			sample, total = append(sample, s), total+s.Bytes
		}
	}
	if len(sample) == 0 {
		p.Warnings = append(p.Warnings, "nothing to measure with: no segment of the plan can be read at once")
		return nil
	}
	within, cancel := context.WithTimeout(ctx, measureTimeMax)
	defer cancel()
	var bytes, waited, asked atomic.Int64
	began := time.Now()
	err := parallel(within, p.Pace.Parallel, len(sample), func(ctx context.Context, i int) error {
		st := p.src.archives[sample[i].Stores[0]].Store()
		start := time.Now()
		n, first, err := drain(ctx, st, archive.NodePrefix(p.NodeID)+sample[i].Key, start)
		bytes.Add(n)
		if first > 0 {
			waited.Add(int64(first))
			asked.Add(1)
		}
		if within.Err() != nil && ctx.Err() != nil {
			return nil // time is up: what came so far counts
		}
		return err
	})
	took := time.Since(began)
	if err != nil && within.Err() == nil || ctx.Err() != nil {
		return fmt.Errorf("measure the pace of %s: %w", p.Stores[sample[0].Stores[0]], err)
	}
	if bytes.Load() == 0 || asked.Load() == 0 {
		return &UnreachableError{Store: p.Stores[sample[0].Stores[0]], Op: "measure its pace", Err: context.DeadlineExceeded}
	}
	p.Pace.Source = "measured"
	p.Pace.SecondsPerRequest = time.Duration(waited.Load() / asked.Load()).Seconds()
	p.Pace.BytesPerSecond = max(1, int64(float64(bytes.Load())/took.Seconds()))
	p.estimate()
	return nil
}

// drain reads an object and throws it away.
func drain(ctx context.Context, st archive.Store, key string, start time.Time) (n int64, first time.Duration, err error) {
	body, err := st.ReadRange(ctx, key, 0, -1)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = body.Close() }()
	var one [1]byte
	if _, err := io.ReadFull(body, one[:]); err != nil {
		return 0, 0, err
	}
	first = time.Since(start)
	n, err = io.Copy(io.Discard, body)
	return n + 1, first, err
}
