package node

import (
	"context"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// CheckpointStatus is what the node's checkpoints have done since Open.
type CheckpointStatus struct {
	Taken    uint64           `json:"taken"`
	Failed   uint64           `json:"failed"`
	InARow   int              `json:"failed_in_a_row"`
	Last     CheckpointResult `json:"last"`
	LastTime time.Time        `json:"last_time,omitzero"`
	LastErr  string           `json:"last_error,omitempty"`
}

// checkpointStatus guards a CheckpointStatus.
type checkpointStatus struct {
	mu sync.Mutex
	s  CheckpointStatus
}

func (c *checkpointStatus) observe(r CheckpointResult, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.s.Failed++
		c.s.InARow++
		c.s.LastErr = err.Error()
		return
	}
	c.s.Taken++
	c.s.InARow, c.s.LastErr = 0, ""
	c.s.Last, c.s.LastTime = r, at
}

func (c *checkpointStatus) status() CheckpointStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s
}

// Backoff after failed checkpoints, doubled up to the maximum.
const (
	checkpointBackoffMin = 5 * time.Second
	checkpointBackoffMax = 4 * time.Minute
	// checkpointPoll is how often the log's growth is looked at.
	checkpointPoll = time.Second
)

// runCheckpoints takes checkpoints by time and by bytes of log until the node
// closes. A node without writes takes none.
func (n *Node) runCheckpoints() {
	ticker := time.NewTicker(checkpointPoll)
	defer ticker.Stop()
	sched := checkpointSchedule{n: n, last: n.opts.Clock(), bytes: n.log.Stats().Bytes, lsn: n.log.Durable()}
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.advanced:
			n.truncateAdvanced()
		case <-n.diskFull:
			if n.giveUpBallast() || sched.mayFree() {
				sched.take(n.ctx)
			}
		case <-ticker.C:
			if sched.due() {
				sched.take(n.ctx)
			}
		}
	}
}

// truncateAdvanced truncates after the archive advanced, without a checkpoint.
func (n *Node) truncateAdvanced() {
	var r CheckpointResult
	if err := n.truncate(&r); err != nil {
		n.logger.Warn("truncate the log after archiving", "err", err)
	}
}

// A checkpointSchedule decides when the next checkpoint is due. Owned by the
// checkpoint goroutine.
type checkpointSchedule struct {
	n       *Node
	last    time.Time // of the last attempt
	bytes   uint64    // written to the log at the last success
	lsn     wal.LSN   // durable after the last success
	backoff time.Duration
}

func (s *checkpointSchedule) due() bool {
	n, since := s.n, s.n.opts.Clock().Sub(s.last)
	if n.log.Durable() == s.lsn || n.log.Err() != nil {
		return false
	}
	if s.backoff > 0 {
		return since >= s.backoff
	}
	grown := n.log.Stats().Bytes - s.bytes
	return n.opts.CheckpointInterval > 0 && since >= n.opts.CheckpointInterval ||
		n.opts.CheckpointBytes > 0 && grown >= uint64(n.opts.CheckpointBytes)
}

// mayFree tells whether a checkpoint because of a full disk is due: the refusals
// come by the thousand.
func (s *checkpointSchedule) mayFree() bool {
	return s.n.log.Err() == nil && s.n.opts.Clock().Sub(s.last) >= checkpointBackoffMin
}

func (s *checkpointSchedule) take(ctx context.Context) {
	grown := s.n.log.Stats().Bytes
	_, err := s.n.checkpoint(ctx)
	s.last = s.n.opts.Clock()
	if ctx.Err() != nil {
		return // the node closes, and takes a last checkpoint of its own
	}
	if err != nil {
		s.backoff = min(max(checkpointBackoffMin, 2*s.backoff), checkpointBackoffMax)
		s.n.logger.Error("checkpoint failed, log kept", "err", err, "retry_after", s.backoff)
		return
	}
	s.backoff, s.bytes, s.lsn = 0, grown, s.n.log.Durable()
}
