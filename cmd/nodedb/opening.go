package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/admin"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
)

// drainTimeout is how long a verb lets its node finish: the last checkpoint and
// the archive's tail. What is left after it waits for the next start.
// drainNotice is how long it does so silently.
const (
	drainTimeout = 30 * time.Second
	drainNotice  = time.Second
)

func dirFlag() ucli.Flag {
	return &ucli.StringFlag{Name: "dir", Usage: "directory `DIR` of the node"}
}

func tenantFlag() ucli.Flag {
	return &ucli.UintFlag{Name: "tenant", Usage: "`N`: tenant whose keys are meant"}
}

// readFlags are those of verbs that only look.
func readFlags(more ...ucli.Flag) []ucli.Flag {
	return append([]ucli.Flag{dirFlag(), tenantFlag()}, more...)
}

// writeFlags are those of short verbs that write.
func writeFlags(more ...ucli.Flag) []ucli.Flag {
	return slices.Concat([]ucli.Flag{dirFlag(), tenantFlag()}, archiveFlags(), more)
}

func archiveFlags() []ucli.Flag {
	return append([]ucli.Flag{cli.ArchiveFlag(), cli.NodeIDFlag("`ID` of the node in its archive (default: the directory's; random for a new one)")},
		cli.RecipientFlags()...)
}

// tuningFlags are the options of a node that runs for longer.
func tuningFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.IntFlag{Name: "cores", Usage: "`N` pinned threads (default: one less than the CPUs)"},
		&ucli.IntFlag{Name: "vshards", Usage: "`N` hash slots of a new node, fixed for its life (default: from the CPUs)"},
		&ucli.BoolFlag{Name: "pin", Usage: "bind each core's thread to a CPU"},
		cli.SizeFlag("segment-size", node.SegmentBytesDefault, "size at which a log segment is sealed"),
		&ucli.DurationFlag{Name: "archive-timeout", Value: node.ArchiveTimeoutDefault, Usage: "age at which a log segment is sealed; how far the archive may lag"},
		&ucli.DurationFlag{Name: "checkpoint-interval", Value: node.CheckpointIntervalDefault, Usage: "time between checkpoints"},
		cli.SizeFlag("checkpoint-size", node.CheckpointBytesDefault, "bytes of log between checkpoints"),
		&ucli.DurationFlag{Name: "base-interval", Usage: "time between base backups; 0: only by nodedb backup"},
		cli.SizeFlag("cache", node.CacheBytesDefault, "cache of what was read from tables"),
		&ucli.IntFlag{Name: "archive-parallel", Usage: "`N` uploads at a time to each store (default 2)"},
		cli.SizeFlag("catch-up-rate", 0, "bytes read in a second to bring a store what it missed; 0: no limit"),
		cli.SizeFlag("wal-budget", 4<<30, "unarchived log that is kept before --on-archive-stall applies"),
		&ucli.StringFlag{Name: "on-archive-stall", Value: "block", Usage: "`block` refuses writes, shed gives up the oldest log and records a gap"},
	}
}

// opening is how a verb wants its node.
type opening struct {
	create  bool         // make a node in an empty or absent directory
	archive bool         // the verb has --archive
	tuning  bool         // the verb has the tuning flags
	meter   *admin.Meter // counts the requests to the stores; nil: nobody does
	tracer  *trace.Tracer
}

// session is an open node and what must be closed with it.
type session struct {
	*node.Node
	call   *cli.Call
	stores cli.Stores
}

// prepare finds what is wrong with the directory and the flags before anything is
// opened or created.
func (o *opening) prepare(c *cli.Call) (dir string, opts *node.Options, err error) {
	if dir = c.String("dir"); dir == "" {
		return "", nil, cli.Hint(cli.Usagef("no directory given"), "name it with --dir DIR or NODEDB_DIR")
	}
	if err := checkDir(dir, o.create); err != nil {
		return "", nil, err
	}
	opts = &node.Options{Logger: c.Log, Progress: recoveryProgress(c), Checkpointed: checkpointed(o.tracer)}
	if o.tuning {
		err = tune(c, opts)
	}
	return dir, opts, err
}

// openNode opens the node of --dir.
func openNode(c *cli.Call, o opening) (*session, error) {
	dir, opts, err := o.prepare(c)
	if err != nil {
		return nil, err
	}
	return o.open(c, dir, opts)
}

// open opens what was prepared.
func (o *opening) open(c *cli.Call, dir string, opts *node.Options) (*session, error) {
	s := &session{call: c}
	if o.archive {
		opts.NodeID = c.String("node-id")
		var err error
		if opts.Recipients, opts.PlainArchive, err = c.Recipients(); err != nil {
			return nil, err
		}
		stores, err := c.OpenStores()
		if err != nil {
			return nil, err
		}
		if o.meter != nil {
			for i := range stores {
				stores[i].Store = o.meter.Over(stores[i].Store)
			}
		}
		s.stores, opts.Stores = stores, stores
	}
	fresh := !exists(filepath.Join(dir, engine.MetaFile))
	keep := len(opts.Stores) == 0 && hasArchive(dir)
	if keep {
		opts.CheckpointInterval, opts.CheckpointBytes = -1, math.MaxInt64
	}
	n, err := node.OpenContext(c.Context(), dir, opts)
	c.EndProgress()
	if err != nil {
		return nil, errors.Join(usedIDHint(dir, err), s.stores.Close())
	}
	s.Node = n
	if fresh {
		c.Notef("created node %s in %s", n.ID(), dir)
	}
	if keep {
		return s, s.keepLog()
	}
	return s, nil
}

// usedIDHint is for a node that the archive refuses although it never claimed
// it: another one has its name.
func usedIDHint(dir string, err error) error {
	e, ok := errors.AsType[*archive.FencedError](err)
	if !ok {
		return err
	}
	m, merr := engine.ReadMeta(vfs.Default, dir)
	if merr != nil || m.TimelineClaimed || m.ParentTimeline != 0 {
		return err
	}
	return cli.Hint(err, "the archive holds node %s already: restore it with pitr-restore, or take another --node-id in an empty directory", e.NodeID)
}

// hasArchive says whether an archive holds a part of the node's history: it was
// opened with one, or restored from one.
func hasArchive(dir string) bool {
	if exists(filepath.Join(dir, "archive", "claims.log")) {
		return true
	}
	m, err := engine.ReadMeta(vfs.Default, dir)
	return err == nil && m.ParentTimeline != 0
}

// keepLog holds the log of a node that has an archive while it is open without
// it: nothing may leave the disk that the archive has not got.
func (s *session) keepLog() error {
	_, err := s.PinLog("opened without its archive", s.Status().Watermarks.Truncated+1)
	if err != nil {
		return errors.Join(fmt.Errorf("keep the log: %w", err), s.Close())
	}
	s.call.Log.Info("opened without --archive: the log is kept until the archive has it")
	return nil
}

// Close drains and closes the node, with its own time limit: the verb's context
// may have been cancelled by a signal. When that takes longer than a moment it
// says so, and a first signal is enough to end the wait; after an earlier one
// the second ends the process.
func (s *session) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if len(s.stores) > 0 && s.call.Context().Err() == nil {
		notice := time.AfterFunc(drainNotice, func() {
			s.call.Notef("waiting for the archive, up to %s; Ctrl-C leaves the rest to the next start", drainTimeout)
			context.AfterFunc(s.call.Context(), cancel)
		})
		defer notice.Stop()
	}
	return errors.Join(s.Shutdown(ctx), s.stores.Close())
}

// closeInto closes the node and keeps the first error of the verb.
func (s *session) closeInto(err *error) {
	if cerr := s.Close(); *err == nil && cerr != nil {
		*err = fmt.Errorf("close node: %w", cerr)
	}
}

// db is the tenant of --tenant.
func (s *session) db() *node.DB { return s.Tenant(uint32(s.call.Uint("tenant"))) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// checkDir refuses a wrong path before anything is created.
func checkDir(dir string, create bool) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%w: %s is a file", node.ErrNotANode, dir)
	case errors.Is(err, os.ErrNotExist) && !create:
		return fmt.Errorf("%w: %s does not exist", node.ErrNotANode, dir)
	case errors.Is(err, os.ErrNotExist):
		if parent := filepath.Dir(filepath.Clean(dir)); !exists(parent) {
			return cli.Hint(fmt.Errorf("create %s: %s does not exist", dir, parent), "create it first: mkdir -p %s", parent)
		}
		return nil
	case err != nil:
		return err
	}
	if _, err := engine.ReadMeta(vfs.Default, dir); err != nil {
		if errors.Is(err, engine.ErrNotANode) && exists(filepath.Join(dir, engine.StandbyFile)) {
			return fmt.Errorf("%w: %s follows an archive and cannot be written", node.ErrStandby, dir)
		}
		if create && errors.Is(err, engine.ErrNotANode) {
			return nil
		}
		if errors.Is(err, engine.ErrNotANode) {
			return fmt.Errorf("%w: %s has no %s", node.ErrNotANode, dir, engine.MetaFile)
		}
		return err
	}
	return nil
}

// tune takes the tuning flags over into the options.
func tune(c *cli.Call, o *node.Options) error {
	o.Cores, o.VShards, o.Pin = c.Int("cores"), c.Int("vshards"), c.Bool("pin")
	o.SegmentBytes, o.ArchiveTimeout = c.Size("segment-size"), c.Duration("archive-timeout")
	o.CheckpointInterval, o.CheckpointBytes = c.Duration("checkpoint-interval"), c.Size("checkpoint-size")
	o.BaseInterval, o.CacheBytes = c.Duration("base-interval"), c.Size("cache")
	o.ArchiveParallel, o.WALBudget = c.Int("archive-parallel"), c.Size("wal-budget")
	o.CatchUpRate = c.Size("catch-up-rate")
	for name, d := range map[string]time.Duration{"archive-timeout": o.ArchiveTimeout, "checkpoint-interval": o.CheckpointInterval} {
		if d == 0 {
			return cli.Usagef("--%s is 0, want a time like 30s, or a negative one for never", name)
		}
	}
	switch c.String("on-archive-stall") {
	case "block":
		o.OnArchiveStall = archive.Block
	case "shed":
		o.OnArchiveStall = archive.Shed
	default:
		return cli.Usagef("--on-archive-stall is %q, want block or shed", c.String("on-archive-stall"))
	}
	return nil
}

// recoveryProgress shows a bar when a start has much to replay.
func recoveryProgress(c *cli.Call) func(node.Recovery) {
	var bar *cli.Bar
	return func(r node.Recovery) {
		if r.Done {
			if bar != nil {
				bar.Set(int64(r.LSN - r.From + 1))
				bar.Done()
			}
			return
		}
		if bar == nil {
			bar = c.Progress().Bar("replay the log", int64(r.To-r.From+1), cli.Items)
		}
		bar.Set(int64(r.LSN - r.From + 1))
	}
}
