package wal

import "time"

// gathering lets the clients of a group come back before the next one is
// written. Without it, clients that ask again at once fall into two halves: while
// one waits for the disk the other comes back, too late for this group. Each
// group then holds half of them, and each client waits for two.
//
// A group is due when as many wait for it as were woken by the last one plus
// those who waited already. Whoever comes last writes it, so when all come back
// no time is lost. When they do not, it is written after as long as the last one
// took, and gathering pauses: at each failure in a row for twice as many groups.
// So it costs next to nothing where clients think longer than the disk.
//
// Guarded by Log.mu.
type gathering struct {
	target int         // waiters that make the pending group due; 0: not gathering
	till   time.Time   // when it is due whoever is missing
	timer  *time.Timer // kicks the committer then
	misses uint        // in a row
	pause  int         // groups until the next try
}

const (
	gatherMin       = 20 * time.Microsecond // below it a disk gains nothing from larger groups
	gatherMax       = time.Millisecond
	gatherMissesMax = 6
	gatherLate      = 16 // one in so many may be late
)

// begin is called when a group is durable, before its waiters wake: woken are
// theirs, waiting those of the pending group.
func (g *gathering) begin(woken, waiting int, took time.Duration) {
	if woken < 2 || took < gatherMin {
		return
	}
	if g.pause > 0 {
		g.pause--
		return
	}
	took = min(took, gatherMax)
	all := woken + waiting
	g.target = all - all/gatherLate
	g.till = time.Now().Add(took)
	g.timer.Reset(took)
}

// holds reports whether a group with so many waiters is not due yet.
func (g *gathering) holds(waiting int) bool {
	return waiting < g.target && time.Now().Before(g.till)
}

// end is called when a group with so many waiters is about to be written.
func (g *gathering) end(waiting int) {
	switch {
	case g.target == 0:
		return
	case waiting >= g.target:
		g.misses = 0
	default:
		g.misses = min(g.misses+1, gatherMissesMax)
		g.pause = 1 << g.misses
	}
	g.cancel()
}

// cancel makes the pending group due.
func (g *gathering) cancel() {
	g.target = 0
	g.timer.Stop()
}

// held reports whether the pending group waits for more than those who wait now
// and the arriving ones. Cores gather by themselves: what they appended is due.
// mu is held.
func (l *Log) held(arriving int) bool {
	p := l.mu.pending
	return len(p.appenders) == 0 && l.mu.gather.holds(p.waiters+arriving)
}
