package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
)

func benchVerb() *cli.Verb {
	return &cli.Verb{
		Name: "bench", Category: tryCategory, Usage: "measure durable puts and gets on this machine",
		Description: `A quick look at this disk and CPU, in a new directory that is removed
afterwards. Every put is durable when it counts. For a comparison with other
databases see bench/ in the source.`,
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "dir", Usage: "make the node below `DIR` (default: the system's temporary directory)"},
			&ucli.DurationFlag{Name: "duration", Value: 3 * time.Second, Usage: "of each measurement"},
			&ucli.IntFlag{Name: "writers", Value: 64, Usage: "`N` clients that put"},
			&ucli.IntFlag{Name: "readers", Value: 8, Usage: "`N` clients that get"},
			&ucli.IntFlag{Name: "value-bytes", Value: 128, Usage: "`N` bytes of a value"},
			&ucli.IntFlag{Name: "keys", Value: 100_000, Usage: "`N` different keys"},
			&ucli.IntFlag{Name: "cores", Usage: "`N` pinned threads (default: one less than the CPUs)"},
		},
		Run: runBench,
	}
}

// measure is one measurement; latencies are those of single requests.
type measure struct {
	Clients   int           `json:"clients"`
	Count     int64         `json:"count"`
	PerSecond float64       `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Max       time.Duration `json:"max_ns"`
	took      time.Duration
}

type benchDoc struct {
	Put        measure `json:"put"`
	Get        measure `json:"get"`
	ValueBytes int     `json:"value_bytes"`
	Keys       int     `json:"keys"`
	Syncs      uint64  `json:"syncs"` // fdatasyncs of the log during the puts
}

func runBench(c *cli.Call) (err error) {
	for _, name := range []string{"writers", "readers", "keys"} {
		if c.Int(name) < 1 {
			return cli.Usagef("--%s is %d, want 1 or more", name, c.Int(name))
		}
	}
	if c.Int("value-bytes") < 0 || c.Duration("duration") <= 0 {
		return cli.Usagef("--value-bytes and --duration must not be negative")
	}
	dir, err := os.MkdirTemp(c.String("dir"), "nodedb-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, err := node.Open(dir, &node.Options{Logger: c.Log, Cores: c.Int("cores")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	doc := benchDoc{ValueBytes: c.Int("value-bytes"), Keys: c.Int("keys")}
	if err := doc.run(c, n.Tenant(0)); err != nil {
		return err
	}
	doc.Syncs = n.Status().Log.Stats.Syncs
	return c.Answer(doc, doc.write)
}

func (d *benchDoc) run(c *cli.Call, db *node.DB) (err error) {
	value := make([]byte, d.ValueBytes)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	put := func(ctx context.Context, key []byte) error {
		_, err := db.Put(ctx, key, value, nil)
		return err
	}
	get := func(ctx context.Context, key []byte) error {
		if _, err := db.Get(ctx, key); err != nil && !errors.Is(err, node.ErrNotFound) {
			return err
		}
		return nil
	}
	if d.Put, err = repeat(c, "put", c.Int("writers"), d.Keys, put); err != nil {
		return err
	}
	d.Get, err = repeat(c, "get", c.Int("readers"), d.Keys, get)
	return err
}

// repeat lets clients do op one after another until the time is up.
func repeat(c *cli.Call, name string, clients, keys int, op func(context.Context, []byte) error) (measure, error) {
	ctx, cancel := context.WithTimeoutCause(c.Context(), c.Duration("duration"), errTimeUp)
	defer cancel()
	bar := c.Progress().Bar(name, 0, cli.Items)
	defer bar.Done()
	samples := make([][]time.Duration, clients)
	errs := make([]error, clients)
	began := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			key := make([]byte, 16)
			for ctx.Err() == nil {
				binary.BigEndian.PutUint64(key[8:], uint64(rand.IntN(keys)))
				at := time.Now()
				if err := op(context.WithoutCancel(ctx), key); err != nil {
					errs[i] = err
					cancel()
					return
				}
				samples[i] = append(samples[i], time.Since(at))
				bar.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := errors.Join(errs...); err != nil {
		return measure{}, err
	}
	if err := c.Context().Err(); err != nil {
		return measure{}, err
	}
	return summarize(slices.Concat(samples...), clients, took), nil
}

var errTimeUp = errors.New("time is up")

func summarize(d []time.Duration, clients int, took time.Duration) measure {
	m := measure{Clients: clients, Count: int64(len(d)), PerSecond: float64(len(d)) / took.Seconds(), took: took}
	if len(d) > 0 {
		slices.Sort(d)
		m.P50, m.P99, m.Max = d[len(d)/2], d[len(d)*99/100], d[len(d)-1]
	}
	return m
}

func (d *benchDoc) write(w io.Writer) error {
	rows := [][]string{{"", "CLIENTS", "PER SECOND", "P50", "P99", "MAX"}}
	for _, r := range []struct {
		name string
		m    measure
	}{{"durable put", d.Put}, {"get", d.Get}} {
		rows = append(rows, []string{r.name, cli.FormatCount(r.m.Clients), cli.FormatPerSecond(r.m.Count, r.m.took),
			cli.FormatDuration(r.m.P50), cli.FormatDuration(r.m.P99), cli.FormatDuration(r.m.Max)})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "values of %d bytes, %s keys, %s puts for each fdatasync\n", d.ValueBytes, cli.FormatCount(d.Keys),
		fmt.Sprintf("%.1f", float64(d.Put.Count)/float64(max(1, d.Syncs))))
	return err
}
