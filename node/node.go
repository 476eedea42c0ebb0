package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

// A Node is an open database directory. Its methods may be called from any
// goroutine.
type Node struct {
	// Immutable after Open.
	dir       string
	opts      *Options
	logger    *slog.Logger
	opened    time.Time // by Options.Clock
	meta      *engine.Meta
	epoch     archive.EpochInfo // zero without an archive
	lock      io.Closer
	shared    *engine.Shared
	shards    []*shard
	cores     []*core
	runtime   *tpc.Runtime
	log       *wal.Log
	archiver  *archive.Archiver // nil without an archive
	recovery  Recovery          // what Open did
	logClosed bool              // by shutdown
	replayed  uint64            // records of vshards that Open applied
	leftOpen  bool              // by a shutdown that ran out of time

	closing    context.Context // ends when Close begins
	close      context.CancelFunc
	ctx        context.Context // ends when the last requests and checkpoint are done
	cancel     context.CancelCauseFunc
	background sync.WaitGroup

	// Callers inside; shut by Close. An open scanner is one.
	calls    gate
	scanners atomic.Int64

	// Cuts: one at a time, by whoever holds the slot.
	cutSlot    chan struct{}
	cut        atomic.Pointer[cut] // armed by the holder, read by the cores
	barrierMu  sync.Mutex
	barrier    wal.Batch
	barrierApp *wal.Appender

	checkpointMu sync.Mutex // one checkpoint at a time
	truncateMu   sync.Mutex // taken after checkpointMu
	baseMu       sync.Mutex // one base at a time
	checkpoints  checkpointStatus
	bases        baseStatus
	known        *archive.KnownObjects
	seed         seed
	shedUpTo     atomic.Uint64 // last LSN that was given up
	pins         pins
	ballast      ballast

	watermarks struct{ checkpointed, truncated atomic.Uint64 }
	advanced   chan struct{} // capacity 1: the archive advanced
	shed       chan struct{} // capacity 1: the archiver gave up a segment
	diskFull   chan struct{} // capacity 1: a write or a flush met a full disk

	closeOnce sync.Once
	closeErr  error
}

const (
	walDir     = "wal"
	archiveDir = "archive"
	vshardDir  = "vshard"
)

// Open opens the node in dir, or creates one in an empty or absent directory.
// It recovers: every acknowledged write is applied when it returns. The error
// says what is wrong with the directory and what to do.
func Open(dir string, options *Options) (*Node, error) {
	return OpenContext(context.Background(), dir, options)
}

// OpenContext is [Open] that gives up when ctx ends, between two records of the
// log that it replays or while it asks the archive. The directory is left as a
// crash would leave it: the next Open recovers from where the last checkpoint
// was. Once it has returned, ctx means nothing to the node.
func OpenContext(ctx context.Context, dir string, options *Options) (_ *Node, err error) {
	o := options.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		dir: dir, opts: o, logger: o.Logger, opened: o.Clock(),
		cutSlot:  make(chan struct{}, 1),
		advanced: make(chan struct{}, 1),
		shed:     make(chan struct{}, 1),
		diskFull: make(chan struct{}, 1),
		known:    archive.NewKnownObjects(),
	}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.closing, n.close = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			n.cancel(ErrClosed)
			n.close()
			err = errors.Join(err, n.abandon())
		}
	}()
	detach := context.AfterFunc(ctx, func() { n.cancel(context.Cause(ctx)) })
	defer detach()
	// The background comes last: an Open that fails has none that uses its stores.
	goOn := func() error {
		if !detach() {
			return context.Cause(ctx)
		}
		return nil
	}
	for _, step := range []func() error{
		n.openDir, n.openShards, n.openLog, n.recover, n.startArchive, n.startLog, n.startCores, goOn, n.startBackground,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("open node %s: %w", dir, err)
		}
	}
	return n, nil
}

// startLog begins the log's new segment; from here records can be appended.
func (n *Node) startLog() error {
	epoch := n.epoch.Epoch
	if segments := n.log.Segments(); epoch == 0 && len(segments) > 0 {
		epoch = segments[len(segments)-1].Epoch
	}
	// Without an archive the log is that of a first epoch, so that an archive
	// can take it later.
	if err := n.log.Start(n.meta.Timeline, max(epoch, 1)); err != nil {
		return fmt.Errorf("begin a log segment: %w", err)
	}
	n.barrierApp = n.log.NewAppender(n.wakeCores)
	return nil
}

// startCores starts the threads; each owns the vshards whose number is its own
// modulo the number of cores.
func (n *Node) startCores() error {
	n.cores = make([]*core, n.opts.Cores)
	for id := range n.cores {
		c := &core{node: n, id: id, idem: make(map[string]stagedOutcome), lastWait: n.log.Durable()}
		c.app = n.log.NewAppender(func() { c.tpc.Wake() })
		n.cores[id] = c
	}
	for _, s := range n.shards {
		c := n.cores[int(s.id)%len(n.cores)]
		s.core, s.batch = c, s.v.NewBatch()
		c.shards = append(c.shards, s)
	}
	var err error
	n.runtime, err = tpc.New(&tpc.Options{
		Cores:            n.opts.Cores,
		NewDriver:        func(id int) tpc.Driver { return n.cores[id] },
		Pin:              n.opts.Pin,
		MaintainInterval: n.opts.MaintainInterval,
		Logger:           n.logger,
		Clock:            n.opts.Clock,
	})
	if err != nil {
		return fmt.Errorf("start cores: %w", err)
	}
	for _, c := range n.cores {
		c.tpc = n.runtime.Core(c.id)
	}
	return nil
}

func (n *Node) startBackground() error {
	n.background.Go(n.runCheckpoints)
	n.background.Go(n.runBases)
	return nil
}

// begin lets a call in; end must follow when it returns nil.
func (n *Node) begin() error {
	if !n.calls.enter() {
		return ErrClosed
	}
	return nil
}

func (n *Node) end() { n.calls.leave() }

// writeError gives an error of the log the name that callers of a node know.
func (n *Node) writeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wal.ErrPoisoned):
		return fmt.Errorf("%w: %w; reopen the node to go on from what is on disk", ErrReadOnly, err)
	case errors.Is(err, wal.ErrClosed):
		return ErrClosed
	}
	n.noteDiskFull(err)
	return err
}

// submitError gives a refusal of the runtime the name that callers know.
func (n *Node) submitError(err error) error {
	if errors.Is(err, tpc.ErrClosed) {
		return ErrClosed
	}
	return err
}

// admit refuses a write that the node as a whole cannot take, before anything
// is queued.
func (n *Node) admit() error {
	if err := n.log.Err(); err != nil {
		return n.writeError(err)
	}
	if n.archiver != nil {
		return n.archiver.Admit()
	}
	return nil
}

// Dir is the node's directory.
func (n *Node) Dir() string { return n.dir }

// MemoryBytes is what the options let the caches and all memtables take, in
// bytes: most of a node's memory.
func (n *Node) MemoryBytes() int64 { return n.shared.MemoryBytes() }

// ID is the node's name in its archive.
func (n *Node) ID() string { return n.meta.NodeID }

func (n *Node) path(parts ...string) string {
	return filepath.Join(append([]string{n.dir}, parts...)...)
}
