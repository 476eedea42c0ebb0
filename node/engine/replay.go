package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// Replay applies a long stream of records to one vshard, for recovery and
// restore. The engines' Apply is the same as in live use, and so is the way to
// disk; what is left out is everything for readers: fronts are not indexed, and
// compactions wait. What a replay finishes is durable.
//
// Apply and Finish are for one goroutine; tables are written on another. Readers
// of the vshard see one table after the other, each with its applied LSN.
type Replay struct {
	v        *VShard
	batch    Batch
	runBytes int
	runOps   uint32

	spilling chan error // result of the spill that runs; nil: none
	seq      int        // of table files
	ingested int        // tables since compactions were last let in
	err      error      // sticky
	closed   bool
}

// ReplayOptions of one vshard's replay. The zero value works.
type ReplayOptions struct {
	// RunBytes is the memory of one front; a replay uses up to two. Default: this
	// vshard's share of Options.ReplayBytes.
	RunBytes int
}

const (
	runBytesMin = 1 << 20
	runBytesMax = 512 << 20
	// runsBeforeCompaction is how many tables may lie on top of each other before
	// the replay waits for compactions.
	runsBeforeCompaction = 24
)

// NewReplay starts a replay. No batch of the vshard may be in use until Finish
// or Close; what was applied before is flushed first.
func (v *VShard) NewReplay(opts *ReplayOptions) (*Replay, error) {
	if v.closed.Load() {
		return nil, ErrClosed
	}
	n := 0
	if opts != nil {
		n = opts.RunBytes
	}
	if n == 0 {
		n = int(v.shared.opts.ReplayBytes) / int(2*max(v.shared.open.Load(), 1))
	}
	if err := v.Flush(); err != nil {
		return nil, fmt.Errorf("flush before replay: %w", err)
	}
	r := &Replay{v: v, runBytes: min(max(n, runBytesMin), runBytesMax), runOps: segmentOps * frontSegmentsMax / 2}
	r.batch = Batch{v: v, rep: r}
	r.batch.rewind()
	r.batch.f = newFront()
	v.replaying(true)
	v.store.sched.pause()
	return r, nil
}

// Apply takes one record, as Batch.Apply does. The record's memory is free after
// the call.
func (r *Replay) Apply(rec *wal.Record) error {
	if r.err != nil {
		return r.err
	}
	if err := r.batch.Apply(rec); err != nil {
		return r.fail(err)
	}
	if f := r.batch.f; f.bytes() < r.runBytes && f.nOps < r.runOps {
		return nil
	}
	return r.fail(r.spill())
}

// Applied returns the LSN of the last record that the replay took; Finish makes
// it the vshard's.
func (r *Replay) Applied() wal.LSN { return r.batch.last }

// Finish writes what is left and moves the applied LSN to max(last, Applied):
// the caller promises that it gave all records of the vshard up to last. After it
// everything is durable, and the vshard is in normal use again.
func (r *Replay) Finish(last wal.LSN, timeMicros int64) error {
	if r.err != nil {
		return errors.Join(r.err, r.Close())
	}
	if last > r.batch.last {
		r.batch.last, r.batch.time = last, timeMicros
	}
	if r.batch.last > r.v.Applied() {
		r.err = r.spill()
	}
	return r.Close()
}

// Close ends the replay without what was not written yet. The vshard stays at the
// LSN that it reached. After Finish it does nothing.
func (r *Replay) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := errors.Join(r.err, r.wait())
	r.v.replaying(false)
	r.batch.f, r.batch.broken = nil, true
	r.v.store.sched.resume()
	if r.err = err; err == nil {
		r.err = ErrClosed
	}
	return err
}

func (r *Replay) fail(err error) error {
	if err != nil && r.err == nil {
		r.err = err
	}
	return err
}

// barrier makes everything before the current record readable in the tables.
func (r *Replay) barrier() error {
	if r.batch.f.nOps > 0 {
		if err := r.spill(); err != nil {
			return err
		}
		r.batch.before = 0
	}
	return r.wait()
}

// spill hands the current front to a goroutine of its own and goes on with a new
// one. At most one spill of a vshard runs; they are ordered.
func (r *Replay) spill() error {
	if err := r.wait(); err != nil {
		return err
	}
	full, m := r.batch.f, mark{lsn: uint64(r.batch.last), time: r.batch.time}
	r.batch.f = newFront()
	r.seq++
	name := fmt.Sprintf("%sreplay.%06d.sst", spillFilePrefix, r.seq)
	done := make(chan error, 1)
	r.spilling = done
	go func() {
		r.v.shared.replays <- struct{}{}
		defer func() { <-r.v.shared.replays }()
		err := r.v.ingestFront(full, full.nOps, m, name)
		if err == nil {
			r.v.show(nil, m)
		}
		done <- err
	}()
	return nil
}

// wait ends the spill that runs, if any.
func (r *Replay) wait() error {
	if r.spilling == nil {
		return nil
	}
	err := <-r.spilling
	r.spilling = nil
	if err != nil {
		return err
	}
	if r.ingested++; r.ingested < runsBeforeCompaction || r.closed {
		return nil
	}
	r.ingested = 0
	return r.compact()
}

// compact lets compactions catch up: too many tables on top of each other would
// make each read look into all of them.
func (r *Replay) compact() error {
	r.v.store.sched.resume()
	defer r.v.store.sched.pause()
	if err := r.v.compact(context.Background()); err != nil {
		return fmt.Errorf("compact during replay: %w", err)
	}
	return nil
}

// removeUnfinished removes tables that a crash left half-way, and the empty logs
// that Pebble makes although its WAL is off. A log makes Open flush, and a flush
// that fails there, on a full disk, is tried again for ever.
func removeUnfinished(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, spillFilePrefix) || strings.HasSuffix(name, ".log") {
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
