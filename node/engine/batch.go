package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/wal"
)

// Batch collects the changes of records and writes them together with the LSN of
// the last one. It belongs to the vshard's core and is reused: after Commit it is
// empty again. A vshard has one batch in use at a time.
//
// Invariant: last ≥ the vshard's applied LSN. Records up to last are in the store
// or in pb; the changes of a record are in pb only if all of them are, or broken
// is set.
type Batch struct {
	v    *VShard
	pb   *pebble.Batch // nil in a replay
	run  *run          // nil in live use
	rep  *Replay       // owner of run
	last wal.LSN
	time int64 // of the record at last

	records int  // applied since the last Commit
	ops     int  // operations that wait in pb
	own     int  // operations of the record being applied, without DeleteIf
	before  bool // the record being applied called Before
	broken  bool // a record failed half-way
}

const (
	batchBytesStart    = 16 << 10
	batchBytesRetained = 4 << 20
)

// NewBatch returns an empty batch. Close it when it is no longer needed.
func (v *VShard) NewBatch() *Batch {
	b := &Batch{v: v, pb: v.newPebbleBatch()}
	b.rewind()
	return b
}

func (v *VShard) newPebbleBatch() *pebble.Batch {
	return v.store.db.NewBatchWithSize(batchBytesStart, pebble.WithMaxRetainedSizeBytes(batchBytesRetained))
}

func (b *Batch) rewind() {
	b.last, b.time = b.v.Applied(), b.v.AppliedTime()
	b.records, b.ops, b.broken = 0, 0, false
}

// VShard returns the vshard that the batch changes.
func (b *Batch) VShard() *VShard { return b.v }

// Last returns the LSN of the last record that the batch, or the store under it,
// holds.
func (b *Batch) Last() wal.LSN { return b.last }

// Records returns how many records were applied since the last Commit.
func (b *Batch) Records() int { return b.records }

// Apply adds the changes of one record. Records must come in the order of their
// LSNs; one that is not above Last is skipped, so a log may be applied from any
// point at or before Last. Records of the node itself, and optional ones that no
// engine knows, only move Last.
//
// After an error, a *RecordError, the batch is broken until Reset. The record's
// memory is free after the call.
func (b *Batch) Apply(r *wal.Record) error {
	if b.broken {
		return ErrBatchBroken
	}
	if r.LSN <= b.last {
		return b.applyStates(r)
	}
	if r.VShard != b.v.id && r.VShard != wal.VShardNone {
		return b.recordError(r, ErrWrongVShard)
	}
	if r.VShard == b.v.id {
		e := b.v.shared.route.engine(r.Type)
		switch {
		case e != nil:
			b.own, b.before = 0, false
			// Stays set when the engine panics: half a record must not be written.
			b.broken = true
			if err := e.Apply(b, r); err != nil {
				return b.recordError(r, err)
			}
			b.broken = false
		case r.Type.Required():
			return b.recordError(r, &wal.UnknownTypeError{LSN: r.LSN, Type: r.Type})
		}
	}
	b.last, b.time = r.LSN, r.Time
	b.records++
	return b.applyStates(r)
}

func (b *Batch) recordError(r *wal.Record, err error) error {
	b.broken = true
	return &RecordError{LSN: r.LSN, Type: r.Type, VShard: r.VShard, Err: err}
}

// Set adds or replaces one key and returns the slices to fill with the key and
// the value, both valid until the next call. It is the way without a copy.
func (b *Batch) Set(keyLen, valueLen int) (key, value []byte) {
	b.ops++
	b.own++
	if b.run != nil {
		return b.run.set(keyLen, valueLen)
	}
	op := b.pb.SetDeferred(keyLen, valueLen)
	return op.Key, op.Value
}

// Delete removes one key and returns the slice to fill with it.
func (b *Batch) Delete(keyLen int) (key []byte) {
	b.ops++
	b.own++
	if b.run != nil {
		return b.run.delete(keyLen)
	}
	return b.pb.DeleteDeferred(keyLen).Key
}

// DeleteIf removes the key if its value, as it was before this record, satisfies
// match. All DeleteIf of a record must come before its other changes. key is
// free after the call; match must be a pure function and is kept.
func (b *Batch) DeleteIf(key []byte, match func(value []byte) bool) error {
	if b.run != nil {
		b.ops++
		b.run.deleteIf(key, match)
		return nil
	}
	r, err := b.Before()
	if err != nil {
		return err
	}
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return b.v.Damage(err)
	}
	defer closer.Close()
	if match(value) {
		b.ops++
		copy(b.pb.DeleteDeferred(len(key)).Key, key)
	}
	return nil
}

// Before returns a reader of the state before the record that is being applied.
// It must be called before the record's own changes, and costs a write of what
// the batch holds so far: it is for rare records.
func (b *Batch) Before() (pebble.Reader, error) {
	if b.own > 0 {
		panic("engine: Batch.Before after changes of the same record")
	}
	if b.before {
		return b.v.store.db, nil
	}
	b.before = true
	if b.run != nil {
		if err := b.rep.barrier(); err != nil {
			return nil, err
		}
	} else if b.ops > 0 {
		if err := b.write(); err != nil {
			return nil, err
		}
	}
	return b.v.store.db, nil
}

// Commit writes the batch: its changes and the applied LSN, max(last, Last), in
// one atomic write. Readers see all of it or nothing. last lets the caller move
// the LSN over records that are not for this vshard; time is its time.
//
// It does not make anything durable: the WAL did. Errors: ErrBatchBroken,
// *StoreError.
func (b *Batch) Commit(last wal.LSN, timeMicros int64) error {
	if b.broken {
		return ErrBatchBroken
	}
	if last > b.last {
		b.last, b.time = last, timeMicros
	}
	b.records = 0
	if b.last == b.v.Applied() {
		return nil
	}
	return b.write()
}

// write puts pb and the applied LSN into the store and empties pb.
func (b *Batch) write() error {
	if err := b.v.storeErr(); err != nil {
		return err
	}
	op := b.pb.SetDeferred(len(keyApplied), 16)
	copy(op.Key, keyApplied)
	appendApplied(op.Value[:0], b.last, b.time)
	size := b.pb.Len()
	if err := b.pb.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("write batch: %w", err)
	}
	b.pb.Reset()
	b.ops = 0
	b.v.applied.Store(uint64(b.last))
	b.v.appliedTime.Store(b.time)
	b.v.admission.wrote(b.v.store, size)
	// Pebble reports an error of its commit as fatal and returns none.
	return b.v.storeErr()
}

// Reset drops what was not committed.
func (b *Batch) Reset() {
	if b.pb != nil {
		b.pb.Reset()
	}
	b.rewind()
}

// Close frees the batch.
func (b *Batch) Close() error {
	if b.pb == nil {
		return nil
	}
	pb := b.pb
	b.pb, b.broken = nil, true
	return pb.Close()
}
