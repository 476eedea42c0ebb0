package node

import (
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// BaseStatus is what the node's base backups have done since Open.
type BaseStatus struct {
	Taken    uint64           `json:"taken"`
	Failed   uint64           `json:"failed"`
	Last     archive.BaseInfo `json:"last"`
	LastTime time.Time        `json:"last_time,omitzero"`
	LastErr  string           `json:"last_error,omitempty"`
}

type baseStatus struct {
	mu sync.Mutex
	s  BaseStatus
}

func (b *baseStatus) observe(info archive.BaseInfo, at time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.s.Failed++
		b.s.LastErr = err.Error()
		return
	}
	b.s.Taken++
	b.s.Last, b.s.LastTime, b.s.LastErr = info, at, ""
}

func (b *baseStatus) status() BaseStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.s
}

const (
	// seedRetry is the pause after a base that is due failed.
	seedRetry = 10 * time.Second
	// seedNow begins with a base.
	seedNow = time.Nanosecond
)

// runBases takes bases on schedule, and one at once when the log that is in the
// archive does not connect to what comes: the archive was attached to a node
// that has history, or a gap was shed.
func (n *Node) runBases() {
	if len(n.opts.Stores) == 0 {
		return
	}
	pause := n.opts.BaseInterval
	if n.seed.due() {
		pause = seedNow
	}
	for n.awaitBase(pause) {
		pause = n.takeDueBase()
	}
}

// awaitBase returns true when a base is due: after the pause (0: none is
// scheduled), or after a gap, once the archive holds the log behind it. It is
// false when the node closes or no base can be taken any more.
func (n *Node) awaitBase(pause time.Duration) bool {
	var due <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-n.ctx.Done():
		return false
	case <-due:
		return true
	case <-n.shed:
		n.seed.set()
		err := n.archiver.Wait(n.ctx, wal.LSN(n.shedUpTo.Load()))
		return err == nil
	}
}

// takeDueBase takes a base, unless it is not needed any more, and returns the
// pause until the next one is due. A failed one is tried again soon.
func (n *Node) takeDueBase() (pause time.Duration) {
	last := n.bases.status().Last.LSN
	switch {
	case n.seed.due() && n.connects(last): // one was taken by hand
		n.seeded()
		return n.opts.BaseInterval
	case !n.seed.due() && last != 0 && n.log.Durable() <= last+1:
		return n.opts.BaseInterval // nothing was written since
	}
	info, err := n.backup(n.ctx)
	if fence := n.archiver.Fenced(); err != nil && fence != nil {
		n.seed.fail(fence)
		return 0
	}
	if err != nil {
		if pause = n.opts.BaseInterval / 10; n.seed.due() {
			pause = seedRetry
		}
		if n.ctx.Err() == nil { // else the node closes
			n.logger.Error("scheduled base backup failed", "err", err, "retry_after", pause)
		}
		return pause
	}
	if n.seed.due() && n.connects(info.LSN) {
		n.seeded()
	}
	return n.opts.BaseInterval
}

// connects tells whether a base at lsn makes the log from there on restorable.
func (n *Node) connects(lsn wal.LSN) bool { return lsn > wal.LSN(n.shedUpTo.Load()) }
