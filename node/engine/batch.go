package engine

import (
	"errors"

	"github.com/nodedb-go/nodedb/wal"
)

// Batch collects the changes of records and makes them visible together with the
// LSN of the last one. It belongs to the vshard's core and is reused: after
// Commit it is empty again. A vshard has one batch in use at a time.
//
// Invariant: last is not below the vshard's applied LSN; the records between the
// two are whole in the front, or broken is set.
type Batch struct {
	v    *VShard
	rep  *Replay // nil in live use
	f    *front  // that takes the changes; nil: none needed yet
	last wal.LSN
	time int64 // of the record at last

	records int    // applied since the last Commit
	before  uint32 // operations in f before the record that is being applied
	own     int    // its operations, without DeleteIf
	broken  bool   // a record failed half-way
}

// NewBatch returns an empty batch.
func (v *VShard) NewBatch() *Batch {
	b := &Batch{v: v}
	b.rewind()
	return b
}

func (b *Batch) rewind() {
	b.f = b.v.front
	b.last, b.time = b.v.Applied(), b.v.AppliedTime()
	b.records, b.broken = 0, false
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
			if err := b.applyEngine(e, r); err != nil {
				return err
			}
		case r.Type.Required():
			return b.recordError(r, &wal.UnknownTypeError{LSN: r.LSN, Type: r.Type})
		}
	}
	b.last, b.time = r.LSN, r.Time
	b.records++
	return b.applyStates(r)
}

func (b *Batch) applyEngine(e Engine, r *wal.Record) error {
	if b.f == nil || b.f.full() {
		if err := b.nextFront(); err != nil {
			return err
		}
	}
	b.before, b.own = b.f.nOps, 0
	// Stays set when the engine panics: half a record must not be committed.
	b.broken = true
	if err := e.Apply(b, r); err != nil {
		return b.recordError(r, err)
	}
	b.broken = false
	if b.rep == nil {
		for i := b.before; i < b.f.nOps; i++ {
			b.f.insert(i)
		}
	}
	return nil
}

// nextFront gives the batch a front with room.
func (b *Batch) nextFront() error {
	if b.f != nil {
		if b.rep != nil {
			return b.rep.spill()
		}
		if err := b.publish(); err != nil {
			return err
		}
		b.v.freeze(nil)
	}
	b.v.front = newFront()
	b.f = b.v.front
	return nil
}

func (b *Batch) recordError(r *wal.Record, err error) error {
	b.broken = true
	return &RecordError{LSN: r.LSN, Type: r.Type, VShard: r.VShard, Err: err}
}

// Set adds or replaces one key and returns the slices to fill with the key and
// the value before Apply returns. It is the way without a copy.
func (b *Batch) Set(keyLen, valueLen int) (key, value []byte) {
	b.own++
	return b.f.set(keyLen, valueLen)
}

// Delete removes one key and returns the slice to fill with it.
func (b *Batch) Delete(keyLen int) (key []byte) {
	b.own++
	return b.f.delete(keyLen)
}

// DeleteIf removes the key if its value, as it was before this record, satisfies
// match. All DeleteIf of a record must come before its other changes. key is
// free after the call; match must be a pure function and is kept.
func (b *Batch) DeleteIf(key []byte, match func(value []byte) bool) error {
	if b.own > 0 {
		panic("engine: Batch.DeleteIf after other changes of the same record")
	}
	if b.rep != nil {
		b.f.deleteIf(key, match)
		return nil
	}
	value, closer, err := pendingReader{b}.Get(key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return b.v.Damage(err)
	}
	hit := match(value)
	if err := closer.Close(); err != nil {
		return b.v.Damage(err)
	}
	if hit {
		copy(b.f.delete(len(key)), key)
	}
	return nil
}

// Before returns a reader of the state before the record that is being applied,
// for this record only. It must be called before the record's own changes. In a
// replay it costs a table: it is for rare records.
func (b *Batch) Before() (Reader, error) {
	if b.own > 0 {
		panic("engine: Batch.Before after changes of the same record")
	}
	if b.rep != nil {
		if err := b.rep.barrier(); err != nil {
			return nil, err
		}
	}
	return pendingReader{b}, nil
}

// pendingView shows everything before the record that is being applied.
func (b *Batch) pendingView() *view {
	w := *b.v.view.Load()
	if b.rep == nil {
		w.active, w.visible = b.f, b.before
	}
	return &w
}

// Commit makes the batch visible: its changes and the applied LSN, max(last,
// Last), at once. Readers see all of it or nothing. last lets the caller move the
// LSN over records that are not for this vshard; timeMicros is its time.
//
// It does not make anything durable: the WAL did. It does not wait for anything
// either. Errors: ErrBatchBroken, *StoreError.
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
	if err := b.publish(); err != nil {
		return err
	}
	if b.f != nil && b.f.bytes() >= int(b.v.shared.opts.MemtableBytes) {
		b.v.freeze(nil)
		b.f = nil
	}
	return nil
}

func (b *Batch) publish() error {
	if err := b.v.storeErr(); err != nil {
		return err
	}
	b.v.show(b.f, mark{lsn: uint64(b.last), time: b.time})
	return nil
}

// Reset drops what was not committed.
func (b *Batch) Reset() {
	if b.rep == nil {
		b.v.dropPending()
	}
	b.rewind()
}

// Close is Reset; the batch must not be used after it.
func (b *Batch) Close() error {
	b.Reset()
	b.broken = true
	return nil
}
