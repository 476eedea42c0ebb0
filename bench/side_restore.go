package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// restoreSide builds a node's directory from its archive: plan, fetch, verify,
// replay, activate. Option "archive": the directory of the file:// store.
type restoreSide struct{}

func (restoreSide) open(dir string, options map[string]string) error {
	ctx := context.Background()
	store, _, err := archive.OpenStore(ctx, "file://"+options["archive"])
	if err != nil {
		return err
	}
	defer store.Close()
	a, err := archive.Open(store, nodeID)
	if err != nil {
		return err
	}
	plan, err := pitr.NewPlan(ctx, []*archive.Archive{a}, pitr.Target{Latest: true})
	if err != nil {
		return err
	}
	_, err = pitr.Restore(ctx, plan, dir, nil)
	return err
}

func (restoreSide) close() error { return nil }

// replaySide is what a restore is compared with: one goroutine reads the plain
// segments in order and applies each record as the node does while it runs, 256
// records to a batch, into the same stores; then everything is flushed. Option
// "log": the directory of the segments; "vshards" of node.json there decides
// their number.
type replaySide struct{}

func (replaySide) close() error { return nil }

func (replaySide) open(dir string, options map[string]string) (err error) {
	meta, err := engine.ReadMeta(vfs.Default, options["log"])
	if err != nil {
		return err
	}
	shared, err := engine.NewShared(&engine.Options{Engines: []engine.Engine{kv.New(nil)}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shared.Close()) }()
	r := replayer{}
	for id := range meta.VShards {
		v, err := engine.OpenVShard(shared, filepath.Join(dir, fmt.Sprintf("%04x", id)), uint16(id))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, v.Close()) }()
		r.shards, r.batches = append(r.shards, v), append(r.batches, v.NewBatch())
	}
	names, err := filepath.Glob(filepath.Join(options["log"], "wal", "*.wal"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for i, name := range names {
		err := r.segment(name)
		if torn := new(wal.CorruptError); i == len(names)-1 && errors.As(err, &torn) {
			break // a crash left the last segment without an end
		}
		if err != nil {
			return fmt.Errorf("replay %s: %w", name, err)
		}
	}
	return r.finish()
}

// replayer applies records one after the other.
type replayer struct {
	shards  []*engine.VShard
	batches []*engine.Batch
	pending int
	last    wal.Record
}

func (r *replayer) segment(name string) error {
	seg, err := wal.OpenSegment(vfs.Default, name)
	if err != nil {
		return err
	}
	defer seg.Close()
	for {
		rec, err := seg.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if rec.VShard == wal.VShardNone {
			continue
		}
		if err := r.batches[rec.VShard].Apply(&rec); err != nil {
			return err
		}
		r.last = rec
		if r.pending++; r.pending == 256 {
			if err := r.commit(); err != nil {
				return err
			}
		}
	}
}

func (r *replayer) commit() error {
	r.pending = 0
	for _, b := range r.batches {
		if err := b.Commit(r.last.LSN, r.last.Time); err != nil {
			return err
		}
	}
	return nil
}

func (r *replayer) finish() error {
	if r.last.LSN == 0 {
		return errors.New("the log holds no record")
	}
	if err := r.commit(); err != nil {
		return err
	}
	for i, b := range r.batches {
		if err := errors.Join(b.Close(), r.shards[i].Flush()); err != nil {
			return err
		}
	}
	return nil
}
