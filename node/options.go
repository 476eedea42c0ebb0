package node

import (
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
)

// Defaults. The runtime's own (queue length, panics, cool-down) are in tpc.
const (
	CheckpointIntervalDefault = 5 * time.Minute
	CheckpointBytesDefault    = 1 << 30
	CoreTimeoutDefault        = 30 * time.Second
	ArchiveTimeoutDefault     = 60 * time.Second
	SegmentBytesDefault       = 64 << 20
	CacheBytesDefault         = 128 << 20
	BallastBytesDefault       = 16 << 20
	IdempotencyTTLDefault     = 24 * time.Hour

	vshardsMax = 4096
	coresMax   = 1024
)

// Options configure a node. The zero value of a field is its default; a nil
// *Options is all defaults.
type Options struct {
	// NodeID names the node in its archive. Empty: the one of the directory,
	// or a random one for a new directory. A different one is refused.
	NodeID string
	// Cores is the number of pinned threads. It may change at every open.
	// Zero: one less than the CPUs, at least one.
	Cores int
	// VShards is fixed when the node is created. Zero: the next power of two
	// of the CPUs, at least 4; for an existing node, whatever it has.
	VShards int
	// Pin binds each core's thread to a CPU.
	Pin bool

	// SegmentBytes is the size at which a log segment is sealed.
	SegmentBytes int64
	// ArchiveTimeout seals a segment that holds records after this long, so
	// that the archive lags by no more. Negative: only by size.
	ArchiveTimeout time.Duration

	// CheckpointInterval, CheckpointBytes: a checkpoint is taken after this
	// long, or after this many bytes of log, if anything was written.
	// Negative interval: only by bytes and by hand.
	CheckpointInterval time.Duration
	CheckpointBytes    int64
	// CoreTimeout is how long a checkpoint waits for all cores.
	CoreTimeout time.Duration

	// CacheBytes is the memory in which all vshards keep what was read from tables:
	// three quarters for blocks, one for the values of single keys.
	CacheBytes int64
	// MemtableBytes is the size of a vshard's memtable. Zero: the engine's default.
	MemtableBytes int64
	// RecoveryBytes bounds the memory that Open takes to replay the log, however
	// long that is. Zero: the engine's default.
	RecoveryBytes int64
	// BallastBytes is a file kept to be given up when the disk is full, so
	// that a checkpoint can still flush and free the log. Negative: none.
	BallastBytes int64

	// Stores are the archive's stores; none means no archive.
	Stores []archive.StoreConfig
	// Recipients are for whom the archive is encrypted. The node needs no
	// identity: it cannot read what it archived. Nil: not encrypted, which an
	// archive that has encrypted objects refuses unless PlainArchive is set.
	Recipients   *archive.Recipients
	PlainArchive bool
	// ArchiveParallel is the number of uploads in flight per store.
	ArchiveParallel int
	// CatchUpRate bounds the bytes read in a second to bring a store what it
	// missed while it was down. Zero: no limit.
	CatchUpRate int64
	// WALBudget is how many bytes of unarchived log are kept before
	// OnArchiveStall applies. Zero: the archiver's default.
	WALBudget      int64
	OnArchiveStall archive.Policy
	// BaseInterval schedules base backups. Zero: none, only on demand.
	BaseInterval time.Duration

	// IdempotencyTTL is how long outcomes of idempotent requests are kept.
	IdempotencyTTL time.Duration
	// MaintainInterval is how often cores look for expired keys. Zero: the runtime's default.
	MaintainInterval time.Duration

	// Progress is called during recovery, on the goroutine of Open.
	Progress func(Recovery)
	// Checkpointed is called after each checkpoint with when it began and its error,
	// on its goroutine: it must not wait. Checkpoints come one after the other.
	Checkpointed func(began time.Time, r CheckpointResult, err error)

	// For tests and embedding.
	FS      vfs.FS
	Logger  *slog.Logger
	Clock   func() time.Time
	Engines []engine.Engine // besides kv
}

func (o *Options) withDefaults() *Options {
	c := Options{}
	if o != nil {
		c = *o
	}
	def(&c.Cores, max(1, runtime.NumCPU()-1))
	def(&c.SegmentBytes, SegmentBytesDefault)
	def(&c.ArchiveTimeout, ArchiveTimeoutDefault)
	def(&c.CheckpointInterval, CheckpointIntervalDefault)
	def(&c.CheckpointBytes, CheckpointBytesDefault)
	def(&c.CoreTimeout, CoreTimeoutDefault)
	def(&c.CacheBytes, CacheBytesDefault)
	def(&c.BallastBytes, BallastBytesDefault)
	def(&c.IdempotencyTTL, IdempotencyTTLDefault)
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &c
}

// vshardsDefault is the number of vshards of a new node.
func vshardsDefault() int {
	n := runtime.NumCPU()
	return max(4, 1<<bits.Len(uint(n-1)))
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("node: "+format, args...)) }
	if o.NodeID != "" && !archive.ValidNodeID(o.NodeID) {
		errs = append(errs, fmt.Errorf("%w: %q", archive.ErrBadNodeID, o.NodeID))
	}
	if o.Cores < 1 || o.Cores > coresMax {
		bad("Cores %d: must be 1 to %d", o.Cores, coresMax)
	}
	if o.VShards < 0 || o.VShards > vshardsMax {
		bad("VShards %d: must be 1 to %d", o.VShards, vshardsMax)
	}
	if o.CheckpointBytes < 0 {
		bad("CheckpointBytes %d: must not be negative", o.CheckpointBytes)
	}
	if o.CoreTimeout < 0 {
		bad("CoreTimeout %s: must not be negative", o.CoreTimeout)
	}
	if o.CacheBytes < 0 {
		bad("CacheBytes %d: must not be negative", o.CacheBytes)
	}
	if o.RecoveryBytes < 0 {
		bad("RecoveryBytes %d: must not be negative", o.RecoveryBytes)
	}
	return errors.Join(errs...)
}
