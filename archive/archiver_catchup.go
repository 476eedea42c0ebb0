package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// catchUp is the copier of a store: it brings what the store lacks and the WAL no
// longer has from the other stores. It ends when the archiver closes or the store
// is fenced; the next start goes on with what is still missing then.
func (s *storeRun) catchUp() {
	for {
		r, ok := s.takeLag()
		if !ok {
			return
		}
		s.finishLag(r, s.fill(r))
		s.mark()
	}
}

// takeLag waits for a range that can be filled now.
func (s *storeRun) takeLag() (gap, bool) {
	a := s.a
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		due := s.lag.due
		if s.openUntil.After(due) {
			due = s.openUntil
		}
		switch {
		case a.closed || s.fenced != nil || a.fence.Load() != nil:
			return gap{}, false
		case s.lag.unsaved && len(s.lag.ranges) > 0:
			s.lag.unsaved = false
			first := s.lag.ranges[0].first
			a.mu.Unlock()
			_ = a.journal.add(journalLine{Kind: lineMissed, Store: s.url, First: first, Last: first}, false) // a cache
			a.mu.Lock()
			continue
		case len(s.lag.ranges) == 0 || !s.ready:
		case due.After(time.Now()):
			a.wakeAt(&s.lag.timer, due)
		default:
			s.lag.busy = true
			return s.lag.ranges[0], true
		}
		a.work.Wait()
	}
}

func (s *storeRun) finishLag(r gap, err error) {
	a := s.a
	a.mu.Lock()
	defer a.mu.Unlock()
	s.lag.busy = false
	var fenced *FencedError
	switch {
	case err == nil:
		s.lag.filled(r)
		s.lag.tries, s.lag.due, s.lastErr = 0, time.Time{}, nil
		s.LastSuccess = a.opts.Clock()
	case errors.As(err, &fenced):
		s.setFenced(fenced)
	case a.ctx.Err() != nil:
	default:
		s.lag.tries++
		s.lag.due = time.Now().Add(a.jitter(s.lag.tries))
		s.lastErr, s.LastFailure = err, a.opts.Clock()
		a.opts.Logger.Warn("copy to a store that is behind failed", "store", s.url, "first", r.first, "last", r.last, "err", err)
	}
	a.advance()
}

// fill brings a range from the other stores, and declares what none of them has.
// A store that does not answer may have it: that is an error, unless this store is
// required and the other one is not, because nothing waits for an optional store.
func (s *storeRun) fill(r gap) error {
	left, err := s.lacking(r)
	if err != nil {
		return err
	}
	var unknown error
	for _, other := range s.a.stores {
		if other == s || len(left) == 0 {
			continue
		}
		err := s.copyFrom(other, r)
		switch {
		case s.a.ctx.Err() != nil:
			return s.a.ctx.Err()
		case errors.Is(err, ErrFenced), errors.Is(err, errTarget):
			return err
		case err != nil && (s.Optional || !other.Optional):
			unknown = fmt.Errorf("copy from %s: %w", other.url, err)
		}
		if left, err = s.lacking(r); err != nil {
			return err
		}
	}
	if unknown != nil && len(left) > 0 {
		return unknown
	}
	for _, g := range left {
		if err := s.declare(g.first, g.last, nowhereReason); err != nil {
			return err
		}
		s.a.count(func() { s.Gaps++ })
	}
	ctx, cancel := s.attempt(0)
	defer cancel()
	return s.checkFence(ctx)
}

// lacking tells what of a range the store does not have, nor its gap.
func (s *storeRun) lacking(r gap) ([]gap, error) {
	ctx, cancel := context.WithTimeout(s.a.ctx, settleAttempts*s.a.opts.AttemptTimeout)
	defer cancel()
	if err := s.checkFence(ctx); err != nil {
		return nil, err
	}
	spans, err := s.listSpans(ctx, r.first)
	if err != nil {
		return nil, fmt.Errorf("look for what is missing: %w", err)
	}
	return missing(spans, r.first-1, true, r.last), nil
}

// copyFrom copies what another store has of a range: segments and packs, who
// wrote them and for whom, and the bases from there on.
func (s *storeRun) copyFrom(other *storeRun, r gap) error {
	o := &s.a.opts
	from, err := Open(other.Store, o.Epoch.NodeID)
	if err != nil {
		return err
	}
	w := &wanted{timeline: o.Epoch.Timeline, gap: r}
	within, cancel := context.WithTimeout(s.a.ctx, settleAttempts*o.AttemptTimeout)
	defer cancel()
	if err := w.bases(within, from, s.Store); err != nil {
		return err
	}
	report, err := Copy(s.a.ctx, []*Archive{from}, s.Store, &CopyOptions{
		Parallel: o.Parallel, RateBytes: o.CatchUpRate, Attempts: 3,
		BackoffMin: o.BackoffMin, BackoffMax: o.BackoffMax, AttemptTimeout: o.AttemptTimeout,
		Logger: o.Logger, memory: s.memory, only: w.key,
	})
	if report != nil {
		s.a.count(func() {
			s.Copied += int64(report.Copied)
			s.CopiedBytes += report.CopiedBytes
		})
		o.Logger.Info("copied to a store that was behind", "store", s.url, "from", other.url,
			"objects", report.Copied, "bytes", report.CopiedBytes, "problems", len(report.Problems))
	}
	return err
}

// wanted says which objects a store needs for a range.
type wanted struct {
	gap
	timeline wal.Timeline
	contents map[ObjKey]bool // of bases
	manifest map[BaseKey]bool
}

func (w *wanted) key(k Key) bool {
	covers := func(tl wal.Timeline, first, last wal.LSN) bool {
		return tl == w.timeline && first <= w.last && last >= w.first
	}
	switch k := k.(type) {
	case FormatKey, EpochKey, RecipientsKey:
		return true
	case SegmentKey:
		return covers(k.Timeline, k.First, k.Last)
	case PackKey:
		return covers(k.Timeline, k.First, k.Last)
	case BaseKey:
		return w.manifest[k]
	case ObjKey:
		return w.contents[k.Content()]
	}
	return false
}

// bases finds the bases that the target missed, and their contents. One whose
// manifest cannot be used is left out.
func (w *wanted) bases(ctx context.Context, from *Archive, to Store) error {
	w.manifest, w.contents = make(map[BaseKey]bool), make(map[ObjKey]bool)
	has, err := ListBases(ctx, to, from.nodeID)
	if err != nil {
		return &targetError{fmt.Errorf("list bases: %w", err)}
	}
	there := make(map[BaseKey]bool)
	for _, k := range has {
		there[k] = true
	}
	all, err := ListBases(ctx, from.store, from.nodeID)
	if err != nil {
		return fmt.Errorf("list bases: %w", err)
	}
	for _, k := range all {
		if k.Timeline != w.timeline || k.LSN < w.first || there[k] {
			continue
		}
		m, err := ReadBase(ctx, from.store, from.nodeID, k)
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) || errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		w.manifest[k] = true
		for i := range m.VShards {
			for j := range m.VShards[i].Files {
				if obj, err := m.VShards[i].Files[j].Object(); err == nil {
					w.contents[obj.Content()] = true
				}
			}
		}
	}
	return nil
}
