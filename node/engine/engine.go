package engine

import (
	"context"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// Engine gives meaning to a range of record types. One value serves all vshards
// and all goroutines, so it holds no state of its own.
type Engine interface {
	// Name is short, lower-case and never changes: it is part of stored keys.
	Name() string

	// Owns says whether the engine applies records of type t. Two engines of one
	// Shared must not own the same type.
	Owns(t wal.Type) bool

	// Apply turns one record into changes of the batch. It must be a function of
	// the record and of the state before it: no clock, no randomness, no map
	// order. It may keep nothing of r after it returns. An error, or a panic,
	// breaks the batch: nothing of it is written.
	Apply(b *Batch, r *wal.Record) error

	// AddDigest adds every live entry that the engine keeps in r. A state in
	// memory (see Stateful) is derived from what is stored and is not part of it.
	AddDigest(ctx context.Context, r Reader, d *Digest) error

	// Maintain looks for work that changes data (expired entries, …) and proposes
	// it as records; the core logs them like any other write. It returns when the
	// slice is used up, and says whether it left work.
	Maintain(m *Maintenance) (more bool, err error)
}

// Maintenance is one slice of background work on one vshard.
type Maintenance struct {
	VShard *VShard
	Now    time.Time
	// Budget is how long the slice may take; design says at most 2 ms.
	Budget time.Duration
	// Emit hands a record to the core. The payload is the callee's after the
	// call. An error ends the slice.
	Emit func(t wal.Type, tenant uint32, payload []byte) error
}

// Stateful is an Engine that also keeps state in memory, per vshard, such as an
// index that is too dear to update on disk with every record. Its state lags
// behind the store or runs level with it, never ahead: it has an applied LSN of
// its own, and VShard.Flushed is the smallest of them, so that the WAL is kept
// for whoever needs it most.
//
// The image of a state is kept in the vshard's own store, so bases carry it and
// a crash leaves the old image or the new one whole.
type Stateful interface {
	Engine

	// NewState makes the empty state of one vshard.
	NewState(v *VShard) State
}

// State is the memory of a Stateful engine for one vshard. Apply and Freeze are
// called by the vshard's core; Load before any of them.
type State interface {
	// Load reads an image that Image.Save wrote: chunk after chunk, until next
	// returns false.
	Load(next func() ([]byte, bool, error)) error

	// Apply takes one record. It is called after the engine's own Apply, with
	// each record once and in order of LSN; a record that the loaded image
	// holds already is not given again.
	Apply(r *wal.Record) error

	// Freeze returns an image of the state as it is now. It must be quick (copy
	// on write, or a copy of what is small): the core waits for it.
	Freeze() (Image, error)

	// Close frees what the garbage collector does not.
	Close() error
}

// Image is a frozen State. Save runs on its own goroutine while the core goes
// on; it hands over the image in chunks, in order.
type Image interface {
	Save(ctx context.Context, put func(chunk []byte) error) error
}
