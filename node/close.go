package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// closeTimeout bounds Close. Nothing is lost when it passes: the log is kept,
// and the next start replays and archives what was left.
const closeTimeout = 30 * time.Second

// Close ends the node: it finishes the requests under way, takes a last
// checkpoint, seals the log, and lets the archive take the tail, within 30
// seconds altogether. A second Close returns what the first did.
func (n *Node) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return n.Shutdown(ctx)
}

// Shutdown is Close with the caller's own time limit. When ctx ends early the
// rest is left to the next start; the error says what was left.
func (n *Node) Shutdown(ctx context.Context) error {
	n.closeOnce.Do(func() { n.closeErr = n.shutdown(ctx) })
	return n.closeErr
}

func (n *Node) shutdown(ctx context.Context) error {
	empty := n.calls.shut()
	n.close()
	var errs []error
	select {
	case <-empty:
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("requests still under way: %w", ctx.Err()))
		if open := n.scanners.Load(); open > 0 {
			// Their snapshots hold the stores, and waiting for them has no limit.
			n.leftOpen = true
			errs = append(errs, fmt.Errorf("node: %d scanners were not closed, so the stores stay open; close them before the node", open))
		}
	}
	if err := n.checkpointLast(ctx); err != nil {
		errs = append(errs, fmt.Errorf("last checkpoint: %w", err))
	}
	n.seedLast(ctx)
	n.cancel(ErrClosed)
	if err := n.runtime.Close(ctx); err != nil {
		errs = append(errs, fmt.Errorf("stop cores: %w", err))
	}
	n.background.Wait()
	if err := n.log.Close(); err != nil {
		errs = append(errs, fmt.Errorf("seal the log: %w", n.writeError(err)))
	}
	n.logClosed = true
	if n.archiver != nil {
		if err := n.archiver.Close(ctx); err != nil && !errors.Is(err, archive.ErrNotDrained) {
			errs = append(errs, fmt.Errorf("close the archive: %w", err))
		} else if err != nil {
			n.logger.Warn("the archive lacks the tail of the log; the next start goes on with it", "err", err)
		}
	}
	errs = append(errs, n.release())
	return errors.Join(errs...)
}

// checkpointLast flushes what is applied, so that the next start has nothing to
// replay. A poisoned log cannot take the marker; the next start replays then.
func (n *Node) checkpointLast(ctx context.Context) error {
	if n.log.Err() != nil || n.log.Durable() == n.recovery.LSN && n.replayed == 0 {
		return nil
	}
	_, err := n.checkpoint(ctx)
	return err
}

// abandon ends an Open that failed half-way.
func (n *Node) abandon() error {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if n.runtime != nil {
		_ = n.runtime.Close(done) // nothing was accepted
	}
	if n.archiver != nil {
		_ = n.archiver.Close(done) // what it has not archived is left to the next start
	}
	return n.release()
}

// release gives back the files that Open took, in reverse order.
func (n *Node) release() error {
	var errs []error
	if n.log != nil && !n.logClosed {
		errs = append(errs, n.log.Close())
	}
	if n.leftOpen {
		return errors.Join(errs...) // somebody still reads; the lock stays as well
	}
	for _, s := range n.shards {
		if s.batch != nil {
			errs = append(errs, s.batch.Close())
		}
		errs = append(errs, s.v.Close())
	}
	if n.shared != nil {
		errs = append(errs, n.shared.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}
