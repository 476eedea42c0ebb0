package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// claimTimeout bounds the claim of an epoch at Open, over all stores.
const claimTimeout = 60 * time.Second

// startArchive claims the archive for this process and hands it the segments
// that the last one left. Without stores it does nothing but give a restored
// node its new timeline.
func (n *Node) startArchive() error {
	if len(n.opts.Stores) == 0 {
		return nil
	}
	if err := n.checkPlain(); err != nil {
		return err
	}
	info, err := n.claim()
	if err != nil {
		return fmt.Errorf("claim the archive: %w", err)
	}
	n.epoch = info
	if err := n.adoptTimeline(info); err != nil {
		return err
	}
	segments := n.log.Segments()
	from := n.log.Durable()
	if len(segments) > 0 {
		from = segments[0].First - 1
	}
	n.archiver, err = archive.NewArchiver(&archive.ArchiverOptions{
		Stores: n.opts.Stores, Epoch: info, From: from,
		JournalDir: n.path(archiveDir), FS: n.opts.FS,
		Parallel: n.opts.ArchiveParallel, BudgetBytes: n.opts.WALBudget, Policy: n.opts.OnArchiveStall,
		CatchUpRate: n.opts.CatchUpRate,
		Recipients:  n.opts.Recipients, AllowPlain: n.opts.PlainArchive,
		Logger: n.logger, Clock: n.opts.Clock,
		OnAdvance: n.archiveAdvanced, OnShed: n.wasShed,
	})
	if err != nil {
		return fmt.Errorf("start the archiver: %w", err)
	}
	for _, s := range segments {
		if s.Sealed && s.Records > 0 {
			if err := n.archiver.Add(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPlain refuses at once to go on in plain where the archive is encrypted. A
// store that does not answer now is asked again before the first upload.
func (n *Node) checkPlain() error {
	if n.opts.Recipients != nil || n.opts.PlainArchive {
		return nil
	}
	ctx, cancel := context.WithTimeout(n.ctx, claimTimeout)
	defer cancel()
	for _, s := range n.opts.Stores {
		err := archive.CheckPlain(ctx, s.Store, n.meta.NodeID)
		if errors.Is(err, archive.ErrEncrypted) && !s.Optional {
			return err
		}
		if err != nil {
			n.logger.Warn("cannot tell whether the archive is encrypted", "store", s.Store.URL(), "err", err)
		}
	}
	return nil
}

func (n *Node) claim() (archive.EpochInfo, error) {
	ctx, cancel := context.WithTimeout(n.ctx, claimTimeout)
	defer cancel()
	c := archive.Claim{
		NodeID:         n.meta.NodeID,
		VShards:        n.meta.VShards,
		ParentTimeline: n.meta.ParentTimeline,
		ForkLSN:        n.meta.ForkLSN,
		FirstLSN:       n.log.Durable() + 1,
		Dir:            n.path(archiveDir),
		// A node that owns its timeline must start while a store is down.
		AllowOffline: n.meta.TimelineClaimed,
		FS:           n.opts.FS, Logger: n.logger, Clock: n.opts.Clock,
	}
	// What was truncated before the archive came is in no segment: the archive
	// begins with a base.
	lateStart := n.meta.ParentTimeline == 0 && n.meta.FirstLSN > 1 // a copy of another node's state
	if !n.meta.TimelineClaimed && (lateStart || n.oldestLSN() > n.meta.FirstLSN) {
		if err := n.needSeed(); err != nil {
			return archive.EpochInfo{}, err
		}
	}
	_, err := n.opts.FS.Stat(n.path(archiveDir, seedName))
	if err == nil {
		n.seed.set()
	}
	var oldest wal.LSN
	if segments := n.log.Segments(); len(segments) > 0 && segments[0].Records > 0 {
		oldest = segments[0].First
		c.OldestLSN, c.LastEpoch = oldest, segments[len(segments)-1].Epoch
	}
	switch {
	case n.meta.TimelineClaimed:
		c.Timeline = n.meta.Timeline
	case n.meta.ParentTimeline == 0 || oldest != 0:
		// It was written without an archive so far: what the log still holds is
		// this claim's own, under the number it was written with.
		c.Timeline, c.LastEpoch = n.meta.Timeline, 0
		if oldest != 0 {
			c.FirstLSN = oldest
		}
	}
	return archive.ClaimEpoch(ctx, n.opts.Stores, c)
}

// oldestLSN is the first LSN that the log still holds, or will hold next.
func (n *Node) oldestLSN() wal.LSN {
	if segments := n.log.Segments(); len(segments) > 0 {
		return segments[0].First
	}
	return n.log.Durable() + 1
}

// adoptTimeline records a timeline that was claimed, before anything is written
// under it.
func (n *Node) adoptTimeline(info archive.EpochInfo) error {
	if n.meta.TimelineClaimed && n.meta.Timeline == info.Timeline {
		return nil
	}
	// Crash here: the epoch is claimed and nobody writes under it; the next
	// start claims the one after.
	meta := *n.meta
	meta.Timeline, meta.TimelineClaimed = info.Timeline, true
	meta.FirstLSN = max(meta.FirstLSN, info.FirstLSN)
	raised := meta.FirstLSN > n.meta.FirstLSN
	if err := engine.WriteMeta(n.opts.FS, n.dir, &meta); err != nil {
		return fmt.Errorf("record timeline %d: %w", info.Timeline, err)
	}
	n.meta = &meta
	if raised && n.log.Durable() < info.FirstLSN-1 {
		return n.reopenLog()
	}
	return nil
}

// reopenLog opens a log that is still empty again, now that its first LSN is
// known to be higher.
func (n *Node) reopenLog() error {
	if err := n.log.Close(); err != nil {
		return fmt.Errorf("reopen the log: %w", err)
	}
	return n.openLog()
}

// sealed is called by the log for every sealed segment.
func (n *Node) sealed(s wal.Segment) {
	if n.archiver != nil && s.Records > 0 {
		if err := n.archiver.Add(s); err != nil {
			// The segment is kept: nothing that was not added is released.
			n.logger.Error("hand a segment to the archiver", "segment", s.Path, "err", err)
		}
	}
}

// archiveAdvanced is called by the archiver; truncation is left to the
// checkpoint goroutine.
func (n *Node) archiveAdvanced() {
	select {
	case n.advanced <- struct{}{}:
	default:
	}
}

// Seal ends the log's open segment if it holds records, so that the archive
// takes it now, and returns the last sealed LSN.
func (n *Node) Seal(ctx context.Context) (wal.LSN, error) {
	if err := n.begin(); err != nil {
		return 0, err
	}
	defer n.end()
	s, sealed, err := n.log.Seal(ctx)
	if err != nil {
		return 0, fmt.Errorf("seal the log: %w", n.writeError(err))
	}
	if sealed {
		return s.Last, nil
	}
	return n.log.Durable(), nil
}

// WaitArchived returns when every required store holds the log up to lsn,
// verified, and the base that it begins with when the archive was attached late
// or has a gap. The open segment is not archived before it is sealed: see Seal.
func (n *Node) WaitArchived(ctx context.Context, lsn wal.LSN) error {
	if n.archiver == nil {
		return ErrNoArchive
	}
	if err := n.archiver.Wait(ctx, lsn); err != nil {
		return err
	}
	return n.waitSeed(ctx)
}
