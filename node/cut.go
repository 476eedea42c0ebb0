package node

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

// A cut is the state at exactly one LSN over all vshards, taken while everybody
// goes on.
//
// It is armed before its LSN is chosen. A core that sees an armed cut without
// an LSN applies nothing new; what it was applying already was durable, hence
// appended, before the LSN was chosen. Once the LSN is known, a core applies up
// to it, takes its vshards' snapshots, and goes on.
type cut struct {
	lsn       atomic.Uint64 // 0: not chosen yet
	snapshots []*engine.Snapshot
	errs      []error       // one a core
	answered  []atomic.Bool // one a core: it has answered, or somebody for it
	left      atomic.Int32  // cores that have not answered
	done      chan struct{} // closed by the last core
}

// A Cut holds one snapshot per vshard, all at LSN. It must be closed.
type Cut struct {
	LSN       wal.LSN
	Micros    int64 // time of the record LSN, since the Unix epoch
	Snapshots []*engine.Snapshot
}

// Close releases the snapshots.
func (c *Cut) Close() {
	for _, s := range c.Snapshots {
		if s != nil {
			_ = s.Close() // of memory only: nothing is written
		}
	}
	c.Snapshots = nil
}

// takeConsistentCut returns the state at exactly one new LSN, that of a no-op
// record. One cut is taken at a time.
func (n *Node) takeConsistentCut(ctx context.Context) (*Cut, error) {
	select {
	case n.cutSlot <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another cut: %w", ctx.Err())
	}
	k := &cut{
		snapshots: make([]*engine.Snapshot, len(n.shards)),
		errs:      make([]error, len(n.cores)),
		answered:  make([]atomic.Bool, len(n.cores)),
		done:      make(chan struct{}),
	}
	k.left.Store(int32(len(n.cores)))
	n.cut.Store(k)
	for _, c := range n.cores {
		if c.stopped.Load() { // before it could see the cut
			k.answer(c.id, tpc.ErrClosed)
		}
	}
	lsn, micros, err := n.appendBarrier()
	if err != nil {
		n.cut.Store(nil)
		n.wakeCores()
		<-n.cutSlot
		return nil, fmt.Errorf("append cut record: %w", n.writeError(err))
	}
	k.lsn.Store(uint64(lsn))
	n.log.Kick()
	n.wakeCores()
	return n.awaitCut(ctx, k, &Cut{LSN: lsn, Micros: micros, Snapshots: k.snapshots})
}

func (n *Node) awaitCut(ctx context.Context, k *cut, result *Cut) (*Cut, error) {
	select {
	case <-k.done:
	case <-ctx.Done():
		// The cores may still be taking snapshots; with nobody waiting for the
		// last one, the release is left to a goroutine of the node. A core that
		// stops answers too, so it ends with the node at the latest.
		n.background.Go(func() {
			<-k.done
			n.endCut()
			result.Close()
		})
		return nil, fmt.Errorf("wait for all cores to reach LSN %d: %w", result.LSN, ctx.Err())
	}
	n.endCut()
	for _, err := range k.errs {
		if err != nil {
			result.Close()
			return nil, err
		}
	}
	return result, nil
}

func (n *Node) endCut() {
	n.cut.Store(nil)
	<-n.cutSlot
}

// appendBarrier appends a no-op record without waiting. Its group commit wakes
// every core.
func (n *Node) appendBarrier() (wal.LSN, int64, error) {
	n.barrierMu.Lock()
	defer n.barrierMu.Unlock()
	n.barrier.Reset()
	if err := n.barrier.Add(wal.TypeNoop, 0, wal.VShardNone, nil, nil); err != nil {
		return 0, 0, err
	}
	return n.barrierApp.Append(&n.barrier)
}

// cutLimit is how far the core may apply now, and the cut that is due once it
// has.
func (c *core) cutLimit(durable wal.LSN) (limit wal.LSN, due *cut) {
	k := c.node.cut.Load()
	if k == nil || k == c.cutDone {
		return durable, nil
	}
	lsn := wal.LSN(k.lsn.Load())
	if lsn == 0 {
		return 0, nil
	}
	if durable < lsn {
		if err := c.node.log.Err(); err != nil {
			c.answerCut(k, c.node.writeError(err))
		}
		return durable, nil
	}
	return lsn, k
}

// takeCut snapshots the core's vshards. Everything up to the cut is applied.
func (c *core) takeCut(k *cut) {
	if len(c.pending) > 0 {
		return
	}
	for _, s := range c.shards {
		if s.state.Load() != shardServing {
			c.answerCut(k, s.failure())
			return
		}
	}
	for _, s := range c.shards {
		snap, err := s.v.Snapshot()
		if err != nil {
			c.answerCut(k, fmt.Errorf("snapshot of vshard %04x: %w", s.id, err))
			return
		}
		k.snapshots[s.id] = snap
	}
	c.answerCut(k, nil)
}

func (c *core) answerCut(k *cut, err error) {
	c.cutDone = k
	k.answer(c.id, err)
}

// answer takes one core's answer; the first one counts.
func (k *cut) answer(core int, err error) {
	if k.answered[core].Swap(true) {
		return
	}
	k.errs[core] = err
	if k.left.Add(-1) == 0 {
		close(k.done)
	}
}

// abandonCut answers the cut when the core stops before it could take it.
func (c *core) abandonCut() {
	c.stopped.Store(true)
	if k := c.node.cut.Load(); k != nil && k != c.cutDone {
		c.answerCut(k, tpc.ErrClosed)
	}
}

func (n *Node) wakeCores() {
	for _, c := range n.cores {
		c.tpc.Wake()
	}
}
