package archive

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	lostReason      = "truncated before it was archived here"
	nowhereReason   = "not in the node's WAL, and in none of its other stores"
	missingAtReason = "not in the node's WAL when it started"
)

// lag is what one store lacks and the node's WAL no longer has, so that only
// another store can give it. It holds the store's archived LSN, and nothing
// else: what is sealed now is uploaded meanwhile. Guarded by Archiver.mu.
//
// What has to survive a restart is in the store itself: a listing shows the hole.
// Only where the hole is at the very beginning the journal has to say so.
type lag struct {
	ranges  []gap // ascending, apart from each other
	guess   gap   // is in ranges until the store was asked; last 0: none
	unsaved bool  // the journal does not know that there is one
	busy    bool
	tries   int
	due     time.Time
	timer   *time.Timer
}

// add takes a range in. Ranges that touch become one, so that a store which is
// down for long costs no memory.
func (l *lag) add(g gap) {
	l.unsaved = l.unsaved || len(l.ranges) == 0 || g.first < l.ranges[0].first
	at, _ := slices.BinarySearchFunc(l.ranges, g, func(x, y gap) int { return cmp.Compare(x.first, y.first) })
	l.ranges = slices.Insert(l.ranges, at, g)
	merged := l.ranges[:1]
	for _, g := range l.ranges[1:] {
		if end := &merged[len(merged)-1]; end.last+1 >= g.first {
			end.last = max(end.last, g.last)
			continue
		}
		merged = append(merged, g)
	}
	l.ranges = merged
}

// filled takes g out. What was added meanwhile stays.
func (l *lag) filled(g gap) {
	var left []gap
	for _, r := range l.ranges {
		if r.first < g.first {
			left = append(left, gap{r.first, min(r.last, g.first-1)})
		}
		if r.last > g.last {
			left = append(left, gap{max(r.first, g.last+1), r.last})
		}
	}
	l.ranges = left
}

// limit is archived as far as the lag lets it be.
func (l *lag) limit(archived wal.LSN) wal.LSN {
	if len(l.ranges) == 0 {
		return archived
	}
	return min(archived, l.ranges[0].first-1)
}

// lsns counts what is missing.
func (l *lag) lsns() (n uint64) {
	for _, g := range l.ranges {
		n += uint64(g.last - g.first + 1)
	}
	return n
}

// siblings tells whether another store may give what this one lacks.
func (a *Archiver) siblings() bool { return len(a.stores) > 1 }

// miss is for an item that the WAL no longer has. What another store may have
// is left to the copier; without another store it is a gap. The caller holds mu.
func (s *storeRun) miss(it *item) {
	p := &it.at[s.index]
	switch {
	case !s.a.siblings() || it.hole:
		p.giveUp(lostReason)
	case p.done() || p.state == shed || p.shed:
	case p.busy:
		p.gone = true // finish knows how it ended
	default:
		p.state = missed
		s.lag.add(gap{it.seg.First, it.seg.Last})
	}
}

// expect takes what the journal says for granted until the store was asked: it
// ends before what the WAL holds, so there is something to ask for.
func (s *storeRun) expect() {
	from := s.a.track.from
	upTo, known := s.a.journal.upTo(s.url)
	if known && upTo < from && s.a.siblings() {
		s.lag.guess = gap{upTo + 1, from}
		s.lag.add(s.lag.guess)
		s.archived = s.lag.limit(s.reached)
	}
}

// lack takes in the holes before the first item, which a listing showed.
func (s *storeRun) lack(holes []gap) {
	if !s.a.siblings() {
		s.holes = holes
		return
	}
	if s.lag.guess.last > 0 {
		s.lag.filled(s.lag.guess)
		s.lag.guess = gap{}
	}
	for _, g := range holes {
		s.lag.add(g)
	}
}
