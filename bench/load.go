package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of what is stored.
const (
	keyBytes   = 16
	valueBytes = 128
)

// sample is what one slice of one side gave.
type sample struct {
	Ops     int64         `json:"ops"`
	Elapsed time.Duration `json:"elapsed_ns"`
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	P999    time.Duration `json:"p999_ns"`
	Max     time.Duration `json:"max_ns"`
	Flushes int64         `json:"flushes"` // cache flushes of the block device
	CPU     time.Duration `json:"cpu_ns"`  // of the process, user and system
	RSS     int64         `json:"rss_bytes"`
	RSSMax  int64         `json:"rss_max_bytes"`

	Content  int64   `json:"content_bytes,omitempty"` // of what was sealed
	Stored   int64   `json:"stored_bytes,omitempty"`  // of the objects
	LogBytes int64   `json:"log_bytes,omitempty"`     // of the engine, after a fill
	Kept     float64 `json:"-"`                       // rate with many keys / rate with few
}

// rate is operations per second.
func (s sample) rate() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Ops) / s.Elapsed.Seconds()
}

// mixKey writes key number i: the numbers are spread over the whole key range,
// so neighbours in time are no neighbours in the tree.
func mixKey(dst []byte, i uint64) {
	x := i + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	binary.BigEndian.PutUint64(dst, x^x>>31)
	binary.BigEndian.PutUint64(dst[8:], i)
}

// pool is where values are cut from: text of a small alphabet between random
// bytes, which compresses to about half.
var pool = sync.OnceValue(func() []byte {
	const text = `{"state":"active","kind":"order"}`
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, 1<<20)
	for len(b) < 1<<20 {
		b = append(b, text[:16+rng.IntN(16)]...)
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b
})

// valueOf cuts a value; which one depends on i alone.
func valueOf(i uint64) []byte {
	p := pool()
	at := (i * 7919) % uint64(len(p)-valueBytes)
	return p[at : at+valueBytes]
}

// load describes what clients do in a slice.
type load struct {
	clients int
	seconds float64
	rate    float64 // operations per second of all clients together, 0: closed loop
	seed    uint64
	counts  func() bool // nil, or whether an operation that ends now counts
}

// run lets the clients call op until the time is over. op does n operations (1
// unless an operation is shorter than reading the clock) and says how many.
func (l load) run(op func(client int, rng *rand.Rand) (int, error)) (sample, error) {
	var (
		wg    sync.WaitGroup
		stop  atomic.Bool
		hists = make([]hist, l.clients)
		errs  = make([]error, l.clients)
	)
	flushes, cpu, began := deviceFlushes(), processCPU(), time.Now()
	timer := time.AfterFunc(time.Duration(l.seconds*float64(time.Second)), func() { stop.Store(true) })
	defer timer.Stop()
	for c := range l.clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(l.seed, uint64(c)))
			if errs[c] = l.client(c, began, rng, &stop, &hists[c], op); errs[c] != nil {
				stop.Store(true)
			}
		})
	}
	wg.Wait()
	s := sample{Elapsed: time.Since(began), CPU: processCPU() - cpu, Flushes: deviceFlushes() - flushes}
	for _, err := range errs {
		if err != nil {
			return s, fmt.Errorf("client: %w", err)
		}
	}
	total := &hists[0]
	for i := 1; i < len(hists); i++ {
		total.merge(&hists[i])
	}
	s.Ops, s.Max = int64(total.count), total.max
	s.P50, s.P99, s.P999 = total.quantile(0.50), total.quantile(0.99), total.quantile(0.999)
	s.RSS, s.RSSMax = residentBytes()
	return s, nil
}

// client is the loop of one client. With a rate, its requests are due at fixed
// times and latency counts from then: an answer that comes late makes those
// late that were due behind it.
func (l load) client(c int, began time.Time, rng *rand.Rand, stop *atomic.Bool, h *hist, op func(int, *rand.Rand) (int, error)) error {
	var every time.Duration
	due := began
	if l.rate > 0 {
		every = time.Duration(float64(l.clients) / l.rate * float64(time.Second))
		due = began.Add(time.Duration(float64(every) * float64(c) / float64(l.clients)))
	}
	for !stop.Load() {
		from := time.Now()
		if every > 0 {
			if wait := due.Sub(from); wait > 0 {
				time.Sleep(wait)
			}
			from, due = due, due.Add(every)
		}
		n, err := op(c, rng)
		if err != nil {
			return err
		}
		if l.counts == nil || l.counts() {
			h.add(time.Since(from)/time.Duration(n), uint64(n))
		}
	}
	return nil
}
