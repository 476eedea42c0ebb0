package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// Recovery is the progress of Open, and afterwards what it did.
type Recovery struct {
	From     wal.LSN       `json:"from_lsn"` // first record that some vshard lacked
	LSN      wal.LSN       `json:"lsn"`      // replayed up to here
	To       wal.LSN       `json:"to_lsn"`   // the log's end
	Records  uint64        `json:"records"`  // read
	Bytes    int64         `json:"bytes"`    // of their payloads
	Time     time.Time     `json:"time"`     // of the record at LSN
	Duration time.Duration `json:"duration_ns"`
	Done     bool          `json:"done"`
}

// recoveryStep is how many records lie between two calls of Progress.
const recoveryStep = 1 << 16

// stopStep is how many records lie between two looks at Open's context.
const stopStep = 1 << 10

// recover replays the log above what the vshards have flushed. It streams: the
// memory it takes is bounded by the engine's replay budget, not by the log.
func (n *Node) recover() error {
	low, high := n.appliedRange()
	end := n.log.Durable()
	if err := n.checkJoin(low, high, end); err != nil {
		return err
	}
	began := n.opts.Clock()
	// A restored node's log begins above the LSN it was restored to.
	from := max(low+1, n.meta.FirstLSN)
	n.recovery = Recovery{From: from, LSN: from - 1, To: end}
	n.watermarks.checkpointed.Store(uint64(from - 1))
	n.watermarks.truncated.Store(uint64(n.oldestLSN() - 1))
	if err := n.verifyLog(from); err != nil {
		return fmt.Errorf("verify the log before LSN %d: %w", from, err)
	}
	if from <= end {
		if err := n.replay(from, end); err != nil {
			return fmt.Errorf("replay the log from LSN %d: %w", from, err)
		}
	}
	n.recovery.LSN, n.recovery.Done = end, true
	n.recovery.Duration = n.opts.Clock().Sub(began)
	n.progress()
	if n.recovery.Records > 0 {
		n.logger.Info("recovered", "from", n.recovery.From, "to", end, "records", n.recovery.Records, "took", n.recovery.Duration)
	}
	return nil
}

// verifyLog reads what the log still holds of records that every vshard has
// flushed: damage there would only show when the archive takes the segment, or
// a reader asks for it, and law 11 wants it to stop the start. There is little
// of it, unless the archive is far behind.
func (n *Node) verifyLog(upTo wal.LSN) error {
	r := n.log.NewReader(n.oldestLSN())
	defer func() { _ = r.Close() }()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) || err == nil && rec.LSN >= upTo {
			return nil
		}
		if err != nil {
			return err
		}
		if err := n.stopped(rec.LSN); err != nil {
			return err
		}
	}
}

// stopped is the error of an OpenContext whose context has ended. It is asked
// once in many records.
func (n *Node) stopped(at wal.LSN) error {
	if at%stopStep != 0 || n.ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("stopped at LSN %d: %w", at, context.Cause(n.ctx))
}

func (n *Node) progress() {
	if n.opts.Progress != nil {
		n.opts.Progress(n.recovery)
	}
}

// appliedRange is the lowest and the highest LSN that the vshards hold.
func (n *Node) appliedRange() (low, high wal.LSN) {
	low = ^wal.LSN(0)
	for _, s := range n.shards {
		low, high = min(low, s.v.Applied()), max(high, s.v.Applied())
	}
	return low, high
}

// checkJoin proves that the log and the vshards belong together: the log holds
// every record above what the vshards have flushed, and all that they hold.
func (n *Node) checkJoin(low, high, end wal.LSN) error {
	if high > end && high >= n.meta.FirstLSN {
		return fmt.Errorf("%w: a vshard holds LSN %d, but the log ends at %d, so acknowledged records are missing from %s; restore the node from its archive",
			ErrMissingLog, high, end, n.path(walDir))
	}
	if low < n.meta.ForkLSN {
		return fmt.Errorf("%w: a vshard holds records up to LSN %d, but the node was restored to LSN %d, and no log holds what is missing; restore it again",
			ErrMissingLog, low, n.meta.ForkLSN)
	}
	first := end + 1
	if segments := n.log.Segments(); len(segments) > 0 {
		first = segments[0].First
	}
	// A timeline's LSNs begin at FirstLSN: there is nothing between what it was
	// restored to and that.
	if first > max(low+1, n.meta.FirstLSN) {
		return fmt.Errorf("%w: a vshard holds records up to LSN %d, but the log in %s begins at %d; restore the node from its archive",
			ErrMissingLog, low, n.path(walDir), first)
	}
	return nil
}

// replay reads the log once and hands each record to its vshard's replay; those
// run in parallel.
func (n *Node) replay(from, end wal.LSN) (err error) {
	vshards := make([]*engine.VShard, len(n.shards))
	for i, s := range n.shards {
		vshards[i] = s.v
	}
	replay, err := engine.NewFanout(vshards)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := replay.Close(); err == nil {
			err = cerr
		}
	}()
	r := n.log.NewReader(from)
	defer func() { _ = r.Close() }()
	var last int64
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			n.recovery.Time = time.UnixMicro(last).UTC()
			return replay.Finish(end, last)
		}
		if err != nil {
			return err
		}
		if err := replay.Add(&rec); err != nil {
			return err
		}
		if err := n.stopped(rec.LSN); err != nil {
			return err
		}
		last = rec.Time
		n.count(&rec)
	}
}

func (n *Node) count(rec *wal.Record) {
	n.recovery.Records++
	if rec.VShard != wal.VShardNone {
		n.replayed++
	}
	n.recovery.Bytes += int64(len(rec.Payload))
	n.recovery.LSN = rec.LSN
	if n.recovery.Records%recoveryStep == 0 {
		n.recovery.Time = time.UnixMicro(rec.Time).UTC()
		n.progress()
	}
}
