package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// demoTarget is a restore that the demo does, and what it must give.
type demoTarget struct {
	how    string
	target pitr.Target
	lsn    wal.LSN // that must be reached; 0: see time
	live   string  // digest that the node itself told at that LSN; "" if it told none
}

// targets chooses what to restore to: a digest's LSN, any LSN in the middle of
// the writing, a moment, a name, and the end.
func (d *demo) targets() []demoTarget {
	v := &d.events
	complete := d.model.complete()
	var digest node.DigestResult
	for _, g := range v.digests {
		if g.LSN <= complete {
			digest = g
		}
	}
	loaded := v.points[0]
	middle := loaded.LSN + wal.LSN(rand.Uint64N(uint64(digest.LSN-loaded.LSN)))
	moment := v.digests[0].Time
	return []demoTarget{
		{"LSN, digest known", pitr.Target{LSN: digest.LSN}, digest.LSN, digest.Digest},
		{"LSN, any", pitr.Target{LSN: middle}, middle, ""},
		{"time", pitr.Target{Time: moment}, 0, ""},
		{"name", pitr.Target{Point: loaded.Name}, loaded.LSN, ""},
		{"latest", pitr.Target{Latest: true}, 0, d.report.Final.Digest},
	}
}

func (d *demo) restoreAll(ctx context.Context) error {
	a, err := archive.Open(d.store, demoNodeID)
	if err != nil {
		return err
	}
	catalog, err := a.Catalog(ctx)
	if err != nil {
		return err
	}
	d.lsnMax = catalog.LSNMax()
	all := d.targets()
	bar := d.call.Progress().Bar("restore and compare", int64(len(all)), cli.Items)
	defer bar.Done()
	for i, t := range all {
		if err := d.restore(ctx, a, t, i == len(all)-1); err != nil {
			return fmt.Errorf("restore to %s: %w", t.target, err)
		}
		bar.Add(1)
	}
	return nil
}

// restore does one restore and proves it. The last node is started for good.
func (d *demo) restore(ctx context.Context, a *archive.Archive, t demoTarget, last bool) error {
	dir := d.path(fmt.Sprintf("restore-%d", len(d.report.Restores)+1))
	plan, err := pitr.NewPlan(ctx, []*archive.Archive{a}, t.target)
	if err != nil {
		return err
	}
	result, err := pitr.Restore(ctx, plan, dir, &pitr.Options{Logger: d.call.Log})
	if err != nil {
		return err
	}
	r := demoRestore{How: t.how, Target: t.target.String(), LSN: result.Reached.LSN, Time: result.Reached.Time,
		Base: result.BaseLSN, Records: result.Records, Entries: result.Entries, Bytes: result.Bytes,
		Digest: result.Digest, ProvenBy: result.ProvenBy, Took: result.Duration}
	d.report.Restores = append(d.report.Restores, r)
	name := "restore to " + t.target.String()
	if t.lsn != 0 && result.Reached.LSN != t.lsn {
		d.problem("%s: reached LSN %d instead of %d", name, result.Reached.LSN, t.lsn)
	}
	if !t.target.Time.IsZero() {
		if err := d.checkMoment(ctx, a, t.target.Time, result.Reached.LSN); err != nil {
			return err
		}
	}
	published := map[string]string{"pitr-restore": result.Digest}
	if t.live != "" {
		published["the node, when it was there,"] = t.live
	}
	if err := d.checkRestored(ctx, dir, name, result.Reached.LSN, published, last); err != nil {
		return err
	}
	if d.call.Bool("keep") {
		return nil
	}
	return os.RemoveAll(dir)
}

// checkRestored opens a restored node and compares it with the model at the LSN
// that was reached. The last one is started with its archive, and goes on.
func (d *demo) checkRestored(ctx context.Context, dir, name string, lsn wal.LSN, published map[string]string, last bool) (err error) {
	opts := demoOptions(d.call)
	if last {
		opts.Stores = []archive.StoreConfig{{Store: d.store}}
	}
	n, err := node.Open(dir, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := d.checkNode(ctx, n, name, d.model.at(lsn), published); err != nil || !last {
		return err
	}
	return d.goOn(ctx, n)
}

// checkMoment finds the LSN of a moment by another way than the plan did: a
// binary search over the segments' times.
func (d *demo) checkMoment(ctx context.Context, a *archive.Archive, at time.Time, reached wal.LSN) error {
	catalog, err := a.Catalog(ctx)
	if err != nil {
		return err
	}
	for _, w := range catalog.Windows() {
		lsn, _, err := a.FindTime(ctx, w, at)
		if err != nil {
			return fmt.Errorf("find %s: %w", cli.FormatTime(at), err)
		}
		if lsn != reached {
			d.problem("restore to %s reached LSN %d, but the last record up to then is LSN %d", cli.FormatTime(at), reached, lsn)
		}
	}
	return nil
}

// goOn writes to a restored node that was started with its archive: it must
// have claimed a new timeline, write above everything that was archived, and be
// restorable itself.
func (d *demo) goOn(ctx context.Context, n *node.Node) error {
	lsn, err := n.Tenant(0).Put(ctx, []byte("nodedb demo"), []byte("life goes on"), nil)
	if err != nil {
		return fmt.Errorf("write to the restored node: %w", err)
	}
	d.report.Next = demoNext{Timeline: n.Status().Timeline, LSN: lsn}
	if _, err := n.Seal(ctx); err != nil {
		return err
	}
	if err := n.WaitArchived(ctx, lsn); err != nil {
		return fmt.Errorf("archive the new timeline: %w", err)
	}
	if lsn <= d.lsnMax {
		d.problem("the restored node wrote LSN %d, which is not above LSN %d in the archive", lsn, d.lsnMax)
	}
	a, err := archive.Open(d.store, demoNodeID)
	if err != nil {
		return err
	}
	plan, err := pitr.NewPlan(ctx, []*archive.Archive{a}, pitr.Target{LSN: lsn})
	if err != nil {
		return fmt.Errorf("plan a restore on the new timeline: %w", err)
	}
	if plan.Reached.Timeline != d.report.Next.Timeline || plan.Reached.LSN != lsn {
		d.problem("LSN %d of the new timeline cannot be restored: the plan reaches %s", lsn, plan.Reached)
	}
	return nil
}
