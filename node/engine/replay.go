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
// restore. The engines' Apply is the same as in live use; what differs is where
// the changes go: they are sorted in memory, written as tables and ingested. That
// takes a third of the time of memtables and flushes, and what it finishes is
// durable at once.
//
// Apply and Finish are for one goroutine; tables are written on another. Readers
// of the vshard see one run after the other, each with its applied LSN.
type Replay struct {
	v        *VShard
	batch    Batch
	runBytes int

	cur, spare *run
	spilling   chan error // result of the spill that runs; nil: none
	seq        int        // of run files
	ingested   int        // runs since compactions were last let in
	err        error      // sticky
}

// ReplayOptions of one vshard's replay. The zero value works.
type ReplayOptions struct {
	// RunBytes is the memory of one run; a replay uses up to two. Default: this
	// vshard's share of Options.ReplayBytes.
	RunBytes int
}

const (
	runBytesMin = 1 << 20
	runBytesMax = 512 << 20
	// runsBeforeCompaction is how many runs may lie on top of each other before
	// the replay waits for compactions.
	runsBeforeCompaction = 24
	runFilePrefix        = "replay."
)

// NewReplay starts a replay. No batch of the vshard may be in use until Finish
// or Close.
func (v *VShard) NewReplay(opts *ReplayOptions) (*Replay, error) {
	if v.closed.Load() {
		return nil, ErrClosed
	}
	if err := v.storeErr(); err != nil {
		return nil, err
	}
	n := 0
	if opts != nil {
		n = opts.RunBytes
	}
	if n == 0 {
		n = int(v.shared.opts.ReplayBytes) / int(2*max(v.shared.open.Load(), 1))
	}
	// A table that is ingested must not overlap a memtable.
	if err := v.flush(v.store, nil); err != nil {
		return nil, fmt.Errorf("flush before replay: %w", err)
	}
	r := &Replay{
		v:        v,
		runBytes: min(max(n, runBytesMin), runBytesMax),
		cur:      new(run),
		spare:    new(run),
	}
	r.batch = Batch{v: v, run: r.cur, rep: r}
	r.batch.rewind()
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
	if r.cur.bytes() < r.runBytes {
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
	if r.batch.last > r.v.Applied() || len(r.cur.ops) > 0 {
		r.err = r.spill()
	}
	return r.Close()
}

// Close ends the replay without what was not written yet. The vshard stays at the
// LSN that it reached. After Finish it does nothing.
func (r *Replay) Close() error {
	if r.cur == nil {
		return r.err
	}
	err := errors.Join(r.err, r.wait())
	r.cur, r.spare, r.batch.run = nil, nil, nil
	r.batch.broken = true
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

// barrier makes everything before the current record readable in the store.
func (r *Replay) barrier() error {
	if len(r.cur.ops) > 0 {
		if err := r.spill(); err != nil {
			return err
		}
	}
	return r.wait()
}

// spill hands the current run to a goroutine of its own and goes on with the
// other one. At most one spill of a vshard runs; they are ordered.
func (r *Replay) spill() error {
	if err := r.wait(); err != nil {
		return err
	}
	full, lsn, micros := r.cur, r.batch.last, r.batch.time
	r.cur, r.spare = r.spare, full
	r.batch.run, r.batch.ops = r.cur, 0
	key, value := full.set(len(keyApplied), 16)
	copy(key, keyApplied)
	appendApplied(value[:0], lsn, micros)
	r.seq++
	name := fmt.Sprintf("%s%06d.sst", runFilePrefix, r.seq)
	done := make(chan error, 1)
	r.spilling = done
	go func() {
		r.v.shared.spills <- struct{}{}
		defer func() { <-r.v.shared.spills }()
		done <- r.v.ingestRun(full, name)
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
	lsn, micros, err := readApplied(r.v.store.db)
	if err != nil {
		return r.v.Damage(fmt.Errorf("read applied lsn: %w", err))
	}
	r.v.applied.Store(uint64(lsn))
	r.v.appliedTime.Store(micros)
	r.spare.reset()
	if r.ingested++; r.ingested >= runsBeforeCompaction {
		r.ingested = 0
		return r.compact()
	}
	return nil
}

// compact lets compactions catch up: too many runs on top of each other would
// make each read look into all of them.
func (r *Replay) compact() error {
	r.v.store.sched.resume()
	defer r.v.store.sched.pause()
	if err := r.v.store.db.Compact(context.Background(), []byte{0x00}, []byte{0xff}, true); err != nil {
		return r.v.Damage(fmt.Errorf("compact during replay: %w", err))
	}
	return nil
}

// removeLeftRuns removes what a replay that crashed left. The store does not know
// these files: ingesting links them under another name first.
func removeLeftRuns(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, runFilePrefix) {
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
