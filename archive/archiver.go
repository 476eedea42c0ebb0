package archive

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// Policy says what happens when the WAL that waits for the archive passes its
// budget.
type Policy uint8

const (
	// Block refuses writes (ErrArchiveStalled) until the archive has caught up.
	Block Policy = iota
	// Shed gives the oldest segments up: the gap is declared, then released.
	Shed
)

// String is the policy's name on the command line.
func (p Policy) String() string {
	if p == Shed {
		return "shed"
	}
	return "block"
}

// ArchiverOptions configure an Archiver.
type ArchiverOptions struct {
	Stores []StoreConfig // at least one; closed by the caller, after Close
	// Epoch is what ClaimEpoch returned. Where a store was offline then, the
	// Archiver creates the epoch object before its first upload.
	Epoch EpochInfo
	// From is the LSN below which there is nothing left to archive: one below
	// the first LSN of the oldest local segment. Zero takes it from the first
	// segment that is added.
	From wal.LSN
	// JournalDir holds "journal.log", a cache of what is archived, and the
	// durable record of what is shed.
	JournalDir string

	// Recipients are for whom segments are encrypted; nil: not at all, which
	// a store with encrypted objects refuses unless AllowPlain is set.
	Recipients *Recipients
	AllowPlain bool

	FS             vfs.FS           // default vfs.Default
	Parallel       int              // uploads at a time for each store; default 2, at most 64
	BudgetBytes    int64            // sealed, not archived WAL; default 4 GiB
	Policy         Policy           // at the budget; default Block
	AttemptTimeout time.Duration    // of one upload attempt, plus one second per MiB; default 30s
	BackoffMin     time.Duration    // default 100ms
	BackoffMax     time.Duration    // default 30s
	BreakerTrips   int              // failures in a row that open a store's circuit; default 5
	MemoryBytes    int64            // compressed bytes held at a time, all stores; default 128 MiB
	CatchUpRate    int64            // bytes read in a second to bring a store what it missed; 0: no limit
	Logger         *slog.Logger     // default discards
	Clock          func() time.Time // default time.Now; timestamps only
	Rand           io.Reader        // seeds the jitter; default crypto/rand
	// OnAdvance is called, from the Archiver's goroutines and without locks,
	// after Archived or Releasable has grown. It must not block.
	OnAdvance func()
	// OnShed is called in the same way after segments up to last were given
	// up. Meanwhile nothing else is shed.
	OnShed func(last wal.LSN)
}

func (o *ArchiverOptions) withDefaults() ArchiverOptions {
	var d ArchiverOptions
	if o != nil {
		d = *o
	}
	if d.FS == nil {
		d.FS = vfs.Default
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	if d.OnAdvance == nil {
		d.OnAdvance = func() {}
	}
	if d.OnShed == nil {
		d.OnShed = func(wal.LSN) {}
	}
	setDefault(&d.Parallel, 2)
	setDefault(&d.BudgetBytes, 4<<30)
	setDefault(&d.AttemptTimeout, 30*time.Second)
	setDefault(&d.BackoffMin, 100*time.Millisecond)
	setDefault(&d.BackoffMax, 30*time.Second)
	setDefault(&d.BreakerTrips, 5)
	setDefault(&d.MemoryBytes, 128<<20)
	return d
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

const parallelMax = 64

func (o *ArchiverOptions) validate() error {
	var errs []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			errs = append(errs, fmt.Errorf("archive: "+format, args...))
		}
	}
	bad(len(o.Stores) == 0, "archiver needs a store")
	for i, s := range o.Stores {
		bad(s.Store == nil, "store %d is nil", i)
	}
	bad(o.JournalDir == "", "archiver needs a journal directory")
	bad(o.Parallel < 1 || o.Parallel > parallelMax, "parallel uploads %d outside 1 to %d", o.Parallel, parallelMax)
	bad(o.BudgetBytes < 0, "budget of %d bytes", o.BudgetBytes)
	bad(o.CatchUpRate < 0, "catch-up rate of %d bytes", o.CatchUpRate)
	bad(o.MemoryBytes < 0, "memory of %d bytes", o.MemoryBytes)
	bad(o.Policy > Shed, "unknown policy %d", o.Policy)
	bad(o.AttemptTimeout < 0, "attempt timeout %v", o.AttemptTimeout)
	bad(o.BackoffMin < 0 || o.BackoffMax < o.BackoffMin, "backoff from %v to %v", o.BackoffMin, o.BackoffMax)
	bad(o.BreakerTrips < 1, "circuit breaker at %d failures", o.BreakerTrips)
	if err := o.Epoch.valid(); err != nil {
		errs = append(errs, fmt.Errorf("archive: invalid epoch: %w", err))
	}
	return errors.Join(errs...)
}

// NewArchiver starts an Archiver. It makes no request before the first Add.
// A journal that is lost or damaged only costs asking the stores again.
func NewArchiver(opts *ArchiverOptions) (*Archiver, error) {
	o := opts.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	var seed [16]byte
	if _, err := io.ReadFull(o.Rand, seed[:]); err != nil {
		return nil, fmt.Errorf("draw seed: %w", err)
	}
	a := &Archiver{
		opts:    o,
		journal: openJournal(o.FS, o.JournalDir, o.Epoch.Timeline, o.Logger),
		rand:    mrand.New(mrand.NewPCG(binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:]))),
		changed: make(chan struct{}),
	}
	a.work = sync.NewCond(&a.mu)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for i, sc := range o.Stores {
		a.stores = append(a.stores, &storeRun{
			StoreConfig: sc, a: a, index: i, url: sc.Store.URL(),
			memory: newBudget(o.MemoryBytes / int64(len(o.Stores))),
		})
	}
	if o.From > 0 {
		a.track.from, a.track.next = o.From, o.From+1
		a.archived.Store(uint64(o.From))
		a.releasable.Store(uint64(o.From))
		a.restart()
	}
	a.wg.Go(a.keep)
	for _, s := range a.stores {
		for range o.Parallel {
			a.wg.Go(s.run)
		}
		if a.siblings() {
			a.wg.Go(s.catchUp)
		}
	}
	return a, nil
}
