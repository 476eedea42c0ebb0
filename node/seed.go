package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/wal"
)

// seed says whether a base is due before the archive is worth anything: the log
// in it does not reach back to the node's beginning, or has a gap.
type seed struct {
	mu   sync.Mutex
	owed chan struct{} // closed when the base is there, or with err; nil: none is due
	err  error         // why there will be none
}

func (s *seed) set() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owed == nil {
		s.owed = make(chan struct{})
	}
}

func (s *seed) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owed != nil && s.err == nil {
		close(s.owed)
	}
	s.owed, s.err = nil, nil
}

// fail says that the base that is due will never come.
func (s *seed) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owed != nil && s.err == nil {
		s.err = err
		close(s.owed)
	}
}

func (s *seed) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owed != nil
}

// wait returns when no base is due, or none will come, or with the cause of ctx.
func (s *seed) wait(ctx context.Context) error {
	s.mu.Lock()
	owed := s.owed
	s.mu.Unlock()
	if owed == nil {
		return nil
	}
	select {
	case <-owed:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waitSeed is the part of WaitArchived that comes after the log is there.
func (n *Node) waitSeed(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(n.ctx, func() { cancel(ErrClosed) })()
	if err := n.seed.wait(ctx); err != nil {
		return fmt.Errorf("the archive has the log, but not yet the base that it begins with: %w", err)
	}
	return nil
}

// seedLast gives the base that is due up to half of the time that is left to a
// shutdown: a node that only ever runs for a moment would never have one. The
// other half is for the tail of the log.
func (n *Node) seedLast(ctx context.Context) {
	if n.archiver == nil || !n.seed.due() {
		return
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	if err := n.seed.wait(ctx); err != nil {
		n.logger.Warn("the archive lacks the base that it begins with, so nothing in it can be restored yet; the next start takes it", "err", err)
	}
}

// wasShed is called by the archiver after it gave up a segment: what comes
// behind the gap can be restored only from a base behind it.
func (n *Node) wasShed(last wal.LSN) {
	n.shedUpTo.Store(uint64(last))
	if err := n.needSeed(); err != nil {
		n.logger.Warn("a base is due after a gap, and a restart would forget it", "err", err)
	}
	select {
	case n.shed <- struct{}{}:
	default:
	}
}

// seedName marks, in the archive's local directory, that a base is due: the
// archive was attached late, or has a gap, and has no base behind that yet.
const seedName = "needs-base"

// needSeed records it, for a late archive before that is claimed: a crash or a
// short run in between must not forget it.
func (n *Node) needSeed() error {
	fs, path := n.opts.FS, n.path(archiveDir, seedName)
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("record that a base is due: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close(), durable.SyncDir(fs, n.path(archiveDir))); err != nil {
		return fmt.Errorf("record that a base is due: %w", err)
	}
	return nil
}

// seeded forgets it. A crash before leaves the mark, and costs one more base.
// So does a gap that is shed at this moment: its signal is still to come.
func (n *Node) seeded() {
	if err := n.opts.FS.Remove(n.path(archiveDir, seedName)); err != nil {
		n.logger.Warn("remove the mark of a base that is due", "err", err)
	}
	n.seed.clear()
}
