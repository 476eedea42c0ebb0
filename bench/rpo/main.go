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
	"strings"
	"syscall"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

const nodeID = "shop"

// options of a run.
type options struct {
	load, idle, timeout, every time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "rpo:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("rpo", flag.ContinueOnError)
	var o options
	flags.DurationVar(&o.load, "load", 3*time.Minute, "`time` under load")
	flags.DurationVar(&o.idle, "idle", 30*time.Second, "`time` without load")
	flags.DurationVar(&o.timeout, "timeout", time.Second, "the node's archive timeout")
	flags.DurationVar(&o.every, "every", 200*time.Millisecond, "`time` between two writes")
	dir := flags.String("dir", "", "put the data below this `directory` (default: the system's temporary directory)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	work, err := os.MkdirTemp(*dir, "nodedb-rpo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.Mkdir(filepath.Join(work, "store"), 0o755); err != nil {
		return err
	}
	st, _, err := archive.OpenStore(ctx, "file://"+filepath.Join(work, "store"))
	if err != nil {
		return err
	}
	c := archivetest.NewCounted(st)
	defer func() { err = errors.Join(err, c.Close()) }()
	digest, err := o.live(ctx, c, filepath.Join(work, "node"))
	if err != nil {
		return err
	}
	return restores(ctx, c, work, digest)
}

// take says what was asked of the store since the last time.
func take(c *archivetest.Counted) string {
	r := c.Take()
	var out []string
	for _, k := range []struct {
		name string
		n    int
	}{{"create", r.Puts}, {"read", r.Gets}, {"stat", r.Heads}, {"list", r.Lists}, {"delete", r.Deletes}} {
		if k.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", k.n, k.name))
		}
	}
	if out == nil {
		return "no requests"
	}
	return strings.Join(out, ", ")
}

// live is the node's life. It returns the digest of its end.
func (o *options) live(ctx context.Context, c *archivetest.Counted, dir string) (digest string, err error) {
	n, err := node.Open(dir, &node.Options{NodeID: nodeID, ArchiveTimeout: o.timeout, CheckpointInterval: -1,
		Stores: []archive.StoreConfig{{Store: c}}})
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, n.Close())
		fmt.Println("close:   ", take(c))
	}()
	fmt.Println("open:    ", take(c))
	lags, err := o.writes(ctx, n)
	if err != nil {
		return "", err
	}
	slices.Sort(lags)
	ms := func(i int) time.Duration { return lags[i].Round(time.Millisecond) }
	fmt.Printf("load:     %s; %d writes in %s, archived after %s (median), %s (p99), %s (most)\n",
		take(c), len(lags), o.load, ms(len(lags)/2), ms(len(lags)*99/100), ms(len(lags)-1))
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-time.After(o.idle):
	}
	fmt.Printf("idle:     %s in %s\n", take(c), o.idle)
	d, err := n.Digest(ctx)
	if err != nil {
		return "", err
	}
	return d.Digest, nil
}

// writes puts the load on, and measures how long each write was not archived.
func (o *options) writes(ctx context.Context, n *node.Node) (lags []time.Duration, err error) {
	type write struct {
		lsn wal.LSN
		at  time.Time
	}
	var waiting []write
	end, next := time.Now().Add(o.load), time.Now()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for i := 0; time.Now().Before(end) || len(waiting) > 0; {
		if now := time.Now(); !now.Before(next) && now.Before(end) {
			value := fmt.Appendf(nil, "value %d of a light load, some bytes more to look like a row", i)
			lsn, err := n.Tenant(0).Put(ctx, fmt.Appendf(nil, "key%d", i%500), value, nil)
			if err != nil {
				return nil, err
			}
			waiting = append(waiting, write{lsn, time.Now()})
			next = next.Add(o.every)
			i++
		}
		archived := n.Status().Watermarks.Archived
		for len(waiting) > 0 && waiting[0].lsn <= archived {
			lags = append(lags, time.Since(waiting[0].at))
			waiting = waiting[1:]
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-look.C:
		}
	}
	return lags, nil
}

// restores compares a restore from small objects with one from packs.
func restores(ctx context.Context, c *archivetest.Counted, work, digest string) error {
	a, err := archive.Open(c, nodeID)
	if err != nil {
		return err
	}
	restore := func(name string) error {
		p, err := pitr.NewPlan(ctx, []*archive.Archive{a}, pitr.Target{Latest: true})
		if err != nil {
			return err
		}
		began := time.Now()
		r, err := pitr.Restore(ctx, p, filepath.Join(work, name), nil)
		if err != nil {
			return err
		}
		if r.Digest != digest {
			return fmt.Errorf("restored digest %s, the node had %s", r.Digest, digest)
		}
		fmt.Printf("restore:  %s in %s, the same digest\n", take(c), time.Since(began).Round(time.Millisecond))
		return nil
	}
	if err := restore("small"); err != nil {
		return err
	}
	rep, err := archive.Compact(ctx, a, &archive.CompactOptions{DeleteSmall: true, Grace: -1})
	if err != nil {
		return err
	}
	fmt.Printf("compact:  %s; %d segments of %d bytes into %d packs of %d bytes\n", take(c), rep.Segments, rep.Bytes, rep.PackN, rep.PackSize)
	return restore("packed")
}
