package pitr

import (
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// DivergedError: what a standby applied is not in the history that its node goes
// on with.
type DivergedError struct {
	Applied  Position     // the last record that some vshard of the standby has
	Timeline wal.Timeline // the history that goes on
	Fork     wal.LSN      // the last LSN that both have
	Epoch    wal.Epoch    // the claim by which that is known
}

func (e *DivergedError) Error() string {
	if e.Applied.Timeline == e.Timeline {
		return fmt.Sprintf("the standby has applied records up to %s, but epoch %d of that timeline began anew at LSN %d: what a fenced writer archived from there on is no history",
			e.Applied, uint64(e.Epoch), uint64(e.Fork+1))
	}
	return fmt.Sprintf("the standby has applied records up to %s, but the node was restored to LSN %d and goes on on timeline %d",
		e.Applied, uint64(e.Fork), uint32(e.Timeline))
}

// newestEpoch is the last claim that any listing tells of, and its timeline;
// zeros when there is none.
func (h *history) newestEpoch() (wal.Epoch, wal.Timeline) {
	var epoch wal.Epoch
	var tl wal.Timeline
	for _, b := range h.branches {
		for _, e := range b.epochs {
			if e.epoch > epoch {
				epoch, tl = e.epoch, b.id
			}
		}
	}
	return epoch, tl
}

// owner is the timeline of leaf's history on which lsn was written, 0 if none.
func (h *history) owner(leaf wal.Timeline, lsn wal.LSN) wal.Timeline {
	spans := h.lineage(leaf)
	if i := spanWith(spans, lsn); i >= 0 {
		return spans[i].timeline
	}
	return 0
}

// agrees tells whether a state at lsn of timeline was's history, that took into
// account all claims up to epoch, is in the history of leaf.
func (h *history) agrees(was wal.Timeline, epoch wal.Epoch, lsn wal.LSN, leaf wal.Timeline) error {
	tl := h.owner(was, lsn)
	out := &DivergedError{Applied: Position{Timeline: tl, LSN: lsn}, Timeline: leaf}
	if tl == 0 || h.owner(leaf, lsn) != tl {
		out.Epoch, _ = h.newestEpoch()
		for _, s := range h.lineage(leaf) {
			if h.owner(was, s.to) == s.timeline && s.to < lsn {
				out.Fork = s.to
			}
		}
		return out
	}
	for _, e := range h.branches[tl].epochs {
		if e.epoch > epoch && e.first <= lsn {
			out.Timeline, out.Fork, out.Epoch = tl, e.first-1, e.epoch
			return out
		}
	}
	return nil
}

// onward is the way from a state at lsn along the history of leaf, as far as it
// is there. next is the first LSN that is not. missing tells that something is
// there behind it, nil when nothing is.
func (h *history) onward(leaf wal.Timeline, lsn wal.LSN) (rt *route, next Position, missing *hole) {
	rt = &route{}
	at := lsn + 1
	for _, s := range h.lineage(leaf) {
		if s.to < at {
			continue
		}
		at = max(at, s.from)
		b := h.branches[s.timeline]
		if r := b.runWith(at); r != nil {
			to := min(r.to, s.to)
			rt.addLeg(s.timeline, r, at, to)
			if at = to + 1; at > s.to {
				continue
			}
		}
		return rt, Position{Timeline: s.timeline, LSN: at}, b.holeAt(at, s.to)
	}
	return rt, Position{Timeline: leaf, LSN: at}, nil // not reached: the last span is open
}

// holeAt is what is missing from at on, where no segment holds at; to is the end
// of the span, and what comes behind that is known to exist.
func (b *branch) holeAt(at, to wal.LSN) *hole {
	for _, r := range b.runs {
		if r.from > at && r.from <= to {
			return &hole{timeline: b.id, from: at, to: r.from - 1}
		}
	}
	if to != lsnEnd {
		return &hole{timeline: b.id, from: at, to: to}
	}
	return nil
}

// listFrom is the LSN at which the segment that holds next begins, at the
// earliest: behind the last one that is known to end before it.
func (h *history) listFrom(next Position) wal.LSN {
	b := h.branches[next.Timeline]
	from := max(b.first, 1)
	for i := range b.segments {
		if hi := b.segments[i].hi; hi < next.LSN {
			from = max(from, hi+1)
		}
	}
	return min(from, next.LSN)
}

// newestOf is the highest LSN of leaf's history that segments hold.
func (h *history) newestOf(leaf wal.Timeline) wal.LSN {
	var out wal.LSN
	for _, s := range h.lineage(leaf) {
		for _, r := range h.branches[s.timeline].runs {
			if r.from <= s.to {
				out = max(out, min(r.to, s.to))
			}
		}
	}
	return out
}
