package node

import (
	"context"
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// waitersMax bounds the ReadAfter calls that wait on one core.
const waitersMax = 4096

// An applyWaiter waits until its core has applied everything up to lsn.
type applyWaiter struct {
	lsn  wal.LSN
	done func(error)
}

// ReadAfter returns when every write up to lsn is visible to readers: for one
// who learned an LSN from somebody else's write. An LSN that the log has not
// given yet is waited for, until ctx ends.
func (n *Node) ReadAfter(ctx context.Context, lsn wal.LSN) error {
	if err := n.begin(); err != nil {
		return err
	}
	defer n.end()
	if n.log.Durable() < lsn {
		// Nobody knows whether the LSN ever comes: Close does not wait for it.
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(n.closing, func() { cancel(ErrClosed) })()
	}
	if err := n.log.Wait(ctx, lsn); err != nil {
		return fmt.Errorf("wait for LSN %d: %w", lsn, n.writeError(err))
	}
	done := make(chan error, len(n.cores))
	for _, c := range n.cores {
		c.post(func() error { return c.awaitApplied(lsn, func(err error) { done <- err }) },
			func(err error) {
				if err != nil {
					done <- err
				}
			})
	}
	for range n.cores {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("wait for LSN %d to be applied: %w", lsn, err)
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for LSN %d to be applied: %w", lsn, context.Cause(ctx))
		}
	}
	return nil
}

// awaitApplied answers done once the core has applied everything up to lsn,
// which is durable. An error means that done will not be called.
func (c *core) awaitApplied(lsn wal.LSN, done func(error)) error {
	if len(c.waiters) >= waitersMax {
		return fmt.Errorf("%w: %d readers wait on core %d already", ErrOverloaded, waitersMax, c.id)
	}
	c.waiters = append(c.waiters, applyWaiter{lsn, done})
	c.answerWaiters()
	return nil
}

// answerWaiters is called after flights were applied.
func (c *core) answerWaiters() {
	if len(c.waiters) == 0 || len(c.pending) > 0 {
		return
	}
	kept := c.waiters[:0]
	for _, w := range c.waiters {
		if c.queue.len() > 0 && c.queue.items[0].wait <= w.lsn {
			kept = append(kept, w)
			continue
		}
		w.done(nil)
	}
	clear(c.waiters[len(kept):])
	c.waiters = kept
}

func (c *core) failWaiters(err error) {
	for _, w := range c.waiters {
		w.done(err)
	}
	c.waiters = nil
}
