package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// reopen opens the node that was killed, checks every acknowledged write, and
// lets the archive have all of it.
func (d *demo) reopen(ctx context.Context) (err error) {
	r := &d.report.Reopen
	segments, err := listSegments(filepath.Join(d.path("node"), "wal"))
	if err != nil {
		return err
	}
	if len(segments) > 0 {
		r.LogBegins = segments[0].First
	}
	if r.LogBegins <= d.events.points[0].LSN {
		d.problem("the log still begins at LSN %d, although truncation up to LSN %d was told", r.LogBegins, d.events.log.Truncated)
	}
	began := time.Now()
	opts := demoOptions(d.call)
	opts.Stores = []archive.StoreConfig{{Store: d.store}}
	n, err := node.Open(d.path("node"), opts)
	if err != nil {
		return fmt.Errorf("open the killed node: %w", err)
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	r.Took, r.Replayed = time.Since(began), n.Recovery().Records
	if err := d.settlePending(ctx, n); err != nil {
		return err
	}
	if err := d.checkNode(ctx, n, "the node after the kill", d.model.at(^wal.LSN(0)), nil); err != nil {
		return err
	}
	r.Checked = d.events.acks
	began = time.Now()
	final, err := n.Digest(ctx)
	if err != nil {
		return err
	}
	d.report.Final = final
	lsn, err := n.Seal(ctx)
	if err != nil {
		return err
	}
	if err := n.WaitArchived(ctx, lsn); err != nil {
		return fmt.Errorf("archive the rest: %w", err)
	}
	r.Archived = time.Since(began)
	return nil
}

// settlePending finds out which of the writes that were under way at the kill
// have survived it. They may or may not: nobody was told. A survivor belongs to
// the state from now on.
func (d *demo) settlePending(ctx context.Context, n *node.Node) error {
	r, db := &d.report.Reopen, n.Tenant(0)
	state := d.model.at(^wal.LSN(0))
	for w, op := range d.model.pending() {
		key := d.script.files[op.file].Path
		before := state[key]
		e, err := db.Lookup(ctx, []byte(key))
		r.Pending++
		switch {
		case errors.Is(err, node.ErrNotFound):
			if op.version == 0 && before.version != 0 {
				r.PendingKept++
				d.model.lsns[w] = append(d.model.lsns[w], n.Status().Watermarks.Durable)
			}
		case err != nil:
			return err
		case d.model.holds(e.Value, op):
			r.PendingKept++
			d.model.lsns[w] = append(d.model.lsns[w], e.LSN)
		}
	}
	return nil
}

// checkNode compares a node with a state, key by key and by digest, and with
// the digests that others published for it.
func (d *demo) checkNode(ctx context.Context, n *node.Node, name string, want map[string]demoOp, published map[string]string) error {
	scan, err := n.Tenant(0).Scan(ctx, node.ScanOptions{Consistent: true, Stored: true})
	if err != nil {
		return err
	}
	sum, entries, err := d.model.compare(scan, want, func(format string, args ...any) {
		d.problem(name+": "+format, args...)
	})
	if err := errors.Join(err, scan.Close()); err != nil {
		return err
	}
	for who, digest := range published {
		if digest != sum {
			d.problem("%s: its %d entries have the digest %s, but %s says %s", name, entries, sum, who, digest)
		}
	}
	return nil
}

// wipe removes the node's directory: the disk is lost, the archive is left.
func (d *demo) wipe(context.Context) error {
	var err error
	if d.report.NodeBytes, err = treeBytes(d.path("node")); err != nil {
		return err
	}
	if d.report.ArchiveBytes, err = treeBytes(d.path("archive")); err != nil {
		return err
	}
	return os.RemoveAll(d.path("node"))
}

// treeBytes is the size of all files below root.
func treeBytes(root string) (n int64, err error) {
	err = filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
