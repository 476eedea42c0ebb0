package pitr

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/time/rate"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// Options of a restore. Nil and the zero value work.
type Options struct {
	// Resume goes on with what an earlier run for the same target left beside
	// the target directory, with its plan. Without such a run it starts anew.
	Resume bool

	Parallel    int   // downloads at a time; default 4
	LimitBytes  int64 // fetched in a second, by all downloads together; 0: no limit
	Workers     int   // goroutines that replay; default GOMAXPROCS
	MemoryBytes int64 // segments held at a time, besides the one that is due; default 128 MiB
	ReplayBytes int64 // sorted runs of all vshards; default the engine's

	// Attempts bounds how often one object is asked for before its store counts
	// as unreachable; default 5. The pause doubles from BackoffMin to BackoffMax.
	Attempts               int
	BackoffMin, BackoffMax time.Duration // default 200ms, 10s
	AttemptTimeout         time.Duration // of one download, plus one second per MiB; default 60s

	// VShards, OnlyTenants and OnlyPrefixes make a new node of the state that was
	// restored and proven: one with another number of vshards, or with a part of
	// the entries. See Shape.
	VShards      int
	OnlyTenants  []uint32
	OnlyPrefixes [][]byte
	// NewNodeID names that node; default the old name and six random digits.
	NewNodeID string

	// IgnoreSpace starts even when the file system seems too small.
	IgnoreSpace bool

	// Progress is called from one goroutine: at every change of phase, and each
	// ProgressInterval (default 200ms). It must not block.
	Progress         func(Progress)
	ProgressInterval time.Duration

	Engines []engine.Engine // default kv
	FS      vfs.FS          // default the operating system's
	Logger  *slog.Logger    // default discards
	Clock   func() time.Time
	Rand    io.Reader // names of staging directories, incarnations; default crypto/rand

	limiter *rate.Limiter // of LimitBytes, nil: none
}

const (
	parallelMax        = 256
	vshardsMax         = 4096    // as a node takes
	checkpointBytes    = 1 << 30 // decoded bytes between two points that a resume starts from
	memoryBytesDefault = 128 << 20
	attemptsMax        = 100
)

func (o *Options) withDefaults() *Options {
	var d Options
	if o != nil {
		d = *o
	}
	setDefault(&d.Parallel, 4)
	setDefault(&d.Workers, runtime.GOMAXPROCS(0))
	setDefault(&d.MemoryBytes, memoryBytesDefault)
	setDefault(&d.Attempts, 5)
	setDefault(&d.BackoffMin, 200*time.Millisecond)
	setDefault(&d.BackoffMax, 10*time.Second)
	setDefault(&d.AttemptTimeout, time.Minute)
	setDefault(&d.ProgressInterval, 200*time.Millisecond)
	d.limiter = newLimiter(d.LimitBytes)
	if d.Progress == nil {
		d.Progress = func(Progress) {}
	}
	if d.Engines == nil {
		d.Engines = []engine.Engine{kv.New(nil)}
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
	return &d
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (o *Options) validate() error {
	var errs []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			errs = append(errs, fmt.Errorf("pitr: "+format, args...))
		}
	}
	bad(o.Parallel < 1 || o.Parallel > parallelMax, "parallel downloads %d outside 1 to %d", o.Parallel, parallelMax)
	bad(o.LimitBytes < 0, "limit of %d bytes a second", o.LimitBytes)
	bad(o.VShards < 0 || o.VShards > vshardsMax, "vshards %d outside 1 to %d", o.VShards, vshardsMax)
	bad(o.Workers < 1 || o.Workers > parallelMax, "workers %d outside 1 to %d", o.Workers, parallelMax)
	bad(o.MemoryBytes < 0, "memory of %d bytes", o.MemoryBytes)
	bad(o.ReplayBytes < 0, "replay memory of %d bytes", o.ReplayBytes)
	bad(o.Attempts < 1 || o.Attempts > attemptsMax, "attempts %d outside 1 to %d", o.Attempts, attemptsMax)
	bad(o.BackoffMin < 0 || o.BackoffMax < o.BackoffMin, "backoff from %v to %v", o.BackoffMin, o.BackoffMax)
	bad(o.AttemptTimeout < 0, "attempt timeout %v", o.AttemptTimeout)
	bad(o.ProgressInterval < 0, "progress interval %v", o.ProgressInterval)
	return errors.Join(errs...)
}

// knownType tells whether an engine applies records of type t.
func (o *Options) knownType(t wal.Type) bool {
	return slices.ContainsFunc(o.Engines, func(e engine.Engine) bool { return e.Owns(t) })
}
