package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "peers:", err)
		}
		os.Exit(1)
	}
}

// rig is what a comparison needs.
type rig struct {
	dir     string // all data, removed at the end
	bin     string // our commands and Litestream
	changes int
	pairs   int
	times   map[string][]time.Duration
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	var (
		dir     = flags.String("dir", "", "put the data below this `directory` (default: the system's temporary directory)")
		changes = flags.Int("changes", 1_000_000, "row changes: inserts and updates of half as many keys, 128 byte values")
		pairs   = flags.Int("pairs", 3, "pairs of runs")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	compare, ok := map[string]func(context.Context, *rig) error{"litestream": litestream, "pgbackrest": pgbackrest, "minio": minio, "redis": redis}[flags.Arg(0)]
	if !ok || flags.NArg() != 1 {
		return errors.New("name one: litestream, pgbackrest, minio or redis")
	}
	r := &rig{changes: *changes, pairs: *pairs, times: map[string][]time.Duration{}}
	if r.dir, err = os.MkdirTemp(*dir, "nodedb-peers-"); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if err := os.Chmod(r.dir, 0o755); err != nil { // for the user postgres
		return err
	}
	r.bin = filepath.Join(r.dir, "bin")
	if _, err := r.commandAs(ctx, nil, []string{"CGO_ENABLED=0"}, "go", "-C", "..", "build", "-o", r.bin+"/", "./cmd/..."); err != nil {
		return err
	}
	return compare(ctx, r)
}

// inTurns times ours and theirs, pairs times each, under one name. prepare comes
// before each run and is not timed.
func (r *rig) inTurns(name string, ours, theirs func(round int) (time.Duration, error)) error {
	for i := range 2 * r.pairs {
		side, fn := "ours", ours
		if i%4 == 1 || i%4 == 2 {
			side, fn = "theirs", theirs
		}
		took, err := fn(i)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", name, side, err)
		}
		r.times[name+" "+side] = append(r.times[name+" "+side], took)
		fmt.Fprintf(os.Stderr, "  %s, %s: %s\n", name, side, took.Round(time.Millisecond))
	}
	return nil
}

// row is one line of the table: what both sides did to work units.
type row struct {
	name, goal, unit string
	work             float64
}

// print writes the table; the ratio is their time over ours, above 1 when we are
// faster.
func (r *rig) print(rows ...row) error {
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "what\tgoal\tfaster\tmin–max\tours\ttheirs")
	for _, x := range rows {
		ours, theirs := r.times[x.name+" ours"], r.times[x.name+" theirs"]
		low, high := ratio(slices.Min(theirs), slices.Max(ours)), ratio(slices.Max(theirs), slices.Min(ours))
		fmt.Fprintf(tw, "%s\t%s\t%.2f×\t%.2f–%.2f\t%s\t%s\n", x.name, x.goal, ratio(median(theirs), median(ours)), low, high,
			x.cell(median(ours)), x.cell(median(theirs)))
	}
	return tw.Flush()
}

func (x row) cell(d time.Duration) string {
	if x.work == 0 { // a latency
		return d.Round(10 * time.Microsecond).String()
	}
	return fmt.Sprintf("%s (%.3g %s/s)", d.Round(time.Millisecond), x.work/d.Seconds(), x.unit)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}
