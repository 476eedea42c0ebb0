package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// A CheckpointResult tells apart what a checkpoint reached.
type CheckpointResult struct {
	Flushed   wal.LSN `json:"flushed_lsn"`   // every vshard's state is on disk up to here
	Marker    wal.LSN `json:"marker_lsn"`    // the log record that says so
	Archived  wal.LSN `json:"archived_lsn"`  // what the required stores hold, verified; 0 without an archive
	Truncated wal.LSN `json:"truncated_lsn"` // the log begins above this LSN
	HeldBy    string  `json:"held_by,omitempty"`

	RemovedSegments int           `json:"removed_segments"`
	RemovedBytes    int64         `json:"removed_bytes"`
	Duration        time.Duration `json:"duration_ns"`
}

// Checkpoint flushes every vshard while the cores go on, logs a marker, and
// truncates the log as far as flushed state, archive and pins allow.
//
// All vshards must answer within Options.CoreTimeout; otherwise nothing is
// truncated and the error is a *CheckpointError.
func (n *Node) Checkpoint(ctx context.Context) (CheckpointResult, error) {
	if err := n.begin(); err != nil {
		return CheckpointResult{}, err
	}
	defer n.end()
	return n.checkpoint(ctx)
}

func (n *Node) checkpoint(ctx context.Context) (CheckpointResult, error) {
	n.checkpointMu.Lock()
	defer n.checkpointMu.Unlock()
	began := n.opts.Clock()
	result, err := n.checkpointOnce(ctx)
	if isDiskFull(err) && n.giveUpBallast() {
		result, err = n.checkpointOnce(ctx)
	}
	result.Duration = n.opts.Clock().Sub(began)
	n.checkpoints.observe(result, n.opts.Clock(), err)
	if n.opts.Checkpointed != nil {
		n.opts.Checkpointed(began, result, err)
	}
	if err != nil {
		return result, err
	}
	n.logger.Info("checkpoint", "flushed", result.Flushed, "archived", result.Archived,
		"truncated", result.Truncated, "removed_bytes", result.RemovedBytes, "took", result.Duration)
	return result, nil
}

func (n *Node) checkpointOnce(ctx context.Context) (CheckpointResult, error) {
	var result CheckpointResult
	flushed, err := n.flushAll(ctx)
	if err != nil {
		return result, err
	}
	result.Flushed = flushed
	n.watermarks.checkpointed.Store(uint64(flushed))
	// Crash here: the state is on disk, the log is longer than it need be.
	result.Marker, _, err = n.appendControl(ctx, wal.TypeCheckpoint, wal.Checkpoint{LSN: flushed}.Append(nil))
	if err != nil && !isDiskFull(err) {
		return result, fmt.Errorf("log the checkpoint marker: %w", err)
	}
	if err != nil {
		// The marker only informs. What frees the disk must not wait for it.
		n.logger.Warn("no room for the checkpoint marker", "flushed", flushed, "err", err)
	}
	err = n.truncate(&result)
	return result, err
}

// truncate removes what law 6 allows: the minimum of the flushed state, the
// archive's contiguous verified LSN, and the oldest pin.
func (n *Node) truncate(result *CheckpointResult) error {
	n.truncateMu.Lock()
	defer n.truncateMu.Unlock()
	limit := wal.LSN(n.watermarks.checkpointed.Load())
	if n.archiver != nil {
		result.Archived = n.archiver.Archived()
		if r := n.archiver.Releasable(); r < limit {
			limit, result.HeldBy = r, "archive"
		}
	}
	if pin, name, ok := n.pins.oldest(); ok && pin <= limit {
		limit, result.HeldBy = pin-1, "pin "+name
	}
	removed, err := n.log.Truncate(limit)
	for _, s := range removed {
		result.RemovedSegments++
		result.RemovedBytes += s.Bytes
		result.Truncated = s.Last
	}
	if result.Truncated == 0 {
		result.Truncated = wal.LSN(n.watermarks.truncated.Load())
	}
	n.watermarks.truncated.Store(uint64(result.Truncated))
	if n.archiver != nil && len(removed) > 0 {
		n.archiver.Truncated(result.Truncated)
	}
	if err != nil {
		return fmt.Errorf("truncate the log up to LSN %d: %w", limit, err)
	}
	return nil
}

// flushAll has every vshard flushed and returns the minimum of what they
// flushed. A vshard or core that does not answer in time fails the whole.
func (n *Node) flushAll(ctx context.Context) (wal.LSN, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, n.opts.CoreTimeout,
		fmt.Errorf("no answer within %s: %w", n.opts.CoreTimeout, context.DeadlineExceeded))
	defer cancel()
	type answer struct {
		c       *core
		flushes []flush
		err     error
	}
	answers := make(chan answer, len(n.cores))
	for _, c := range n.cores {
		var flushes []flush
		c.post(func() (err error) {
			flushes, err = c.startFlush()
			return err
		}, func(err error) { answers <- answer{c, flushes, err} })
	}
	failed := new(CheckpointError)
	low, answered := ^wal.LSN(0), make([]bool, len(n.cores))
	for range n.cores {
		select {
		case a := <-answers:
			answered[a.c.id] = true
			if a.err != nil {
				failed.add(fmt.Sprintf("core %d: %v", a.c.id, a.err), a.err)
			}
			for _, f := range a.flushes {
				low = min(low, f.await(ctx, failed))
			}
		case <-ctx.Done():
		}
	}
	for id, ok := range answered {
		if !ok {
			failed.add(fmt.Sprintf("core %d: %v", id, context.Cause(ctx)), context.Cause(ctx))
		}
	}
	if len(failed.Failed) > 0 {
		return 0, failed
	}
	return low, nil
}

func (e *CheckpointError) add(text string, err error) {
	e.Failed = append(e.Failed, text)
	e.Errs = append(e.Errs, err)
}

// A flush is one vshard's flush under way.
type flush struct {
	shard *shard
	lsn   wal.LSN // flushed when done reports nil
	done  <-chan error
}

func (f flush) await(ctx context.Context, failed *CheckpointError) wal.LSN {
	var err error
	select {
	case err = <-f.done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		failed.add(fmt.Sprintf("vshard %04x: %v", f.shard.id, err), err)
		return 0
	}
	return f.lsn
}

// startFlush begins to flush the core's vshards. Only this core appends their
// records, so with nothing staged everything durable is applied; otherwise
// everything below the oldest staged flight is.
func (c *core) startFlush() ([]flush, error) {
	upTo := c.node.log.Durable()
	for _, f := range [][]*flight{c.queue.items, c.pending} {
		for _, fl := range f {
			if fl.batch.Len() > 0 {
				upTo = min(upTo, fl.batch.Record(0).LSN-1)
			}
		}
	}
	var flushes []flush
	var errs []error
	for _, s := range c.shards {
		if s.state.Load() != shardServing {
			errs = append(errs, s.failure())
			continue
		}
		done := s.v.StartFlush(upTo, c.lastTime)
		flushes = append(flushes, flush{s, max(upTo, s.v.Applied()), done})
	}
	return flushes, errors.Join(errs...)
}
