package archive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// settleAttempts is how many attempts' time settling may take.
const settleAttempts = 20

// checkFence asks whether a later epoch owns the archive.
func (s *storeRun) checkFence(ctx context.Context) error {
	own := &s.a.opts.Epoch
	later := own.Epoch + 1
	_, err := s.Store.Stat(ctx, Join(own.NodeID, EpochKey{Epoch: later}))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("check fence: %w", err)
	}
	if err != nil {
		if len(s.a.stores) == 1 {
			return nil // one store: its numbers have no holes
		}
		// A number may have been taken in another store only.
		numbers, err := listEpochs(ctx, s.Store, own.NodeID, own.Epoch)
		if err != nil {
			return fmt.Errorf("check fence: %w", err)
		}
		if len(numbers) == 0 {
			return nil
		}
		later = numbers[0]
	}
	return s.fencedBy(ctx, later)
}

func (s *storeRun) fencedBy(ctx context.Context, later wal.Epoch) *FencedError {
	own := &s.a.opts.Epoch
	e := &FencedError{Store: s.url, NodeID: own.NodeID, Own: own.Epoch, Reason: fmt.Sprintf("epoch %d owns the archive now", later)}
	if info, err := ReadEpoch(ctx, s.Store, own.NodeID, later); err == nil {
		e.By = &info // only for the message: its being there is enough
	}
	return e
}

// settle is done once, before the first upload to a store: the epoch object
// is ours, nobody came after us, the history that is there is ours, and what
// is missing before our first segment is known.
func (s *storeRun) settle() error {
	// Without a journal the whole timeline is listed, a thousand names at a time.
	ctx, cancel := context.WithTimeout(s.a.ctx, settleAttempts*s.a.opts.AttemptTimeout)
	defer cancel()
	if err := s.settleEpoch(ctx); err != nil {
		return err
	}
	if err := s.checkFence(ctx); err != nil {
		return err
	}
	if err := settleRecipients(ctx, s.Store, s.a.opts.Epoch.NodeID, s.a.opts.Recipients, s.a.opts.AllowPlain); err != nil {
		return err
	}
	from, list := s.listFrom()
	if !list {
		return nil
	}
	spans, err := s.listSpans(ctx, from)
	if err != nil {
		return err
	}
	return s.settleSpans(ctx, spans)
}

// settleEpoch makes sure of the own epoch object. A store that was offline
// when the epoch was claimed gets it now, if nobody else went on meanwhile.
func (s *storeRun) settleEpoch(ctx context.Context) error {
	own := s.a.opts.Epoch
	there, err := ReadEpoch(ctx, s.Store, own.NodeID, own.Epoch)
	if err == nil {
		if there.Incarnation == own.Incarnation {
			return nil
		}
		return s.fencedBy(ctx, own.Epoch)
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	mine, err := openClaims(s.a.opts.FS, s.a.opts.JournalDir)
	if err != nil {
		return err
	}
	epochs, err := ReadEpochs(ctx, s.Store, own.NodeID)
	if err != nil {
		return err
	}
	oldest := mine.oldest(own.Epoch)
	for _, e := range epochs {
		if e.Epoch > own.Epoch || e.Epoch >= oldest && !mine.has(e) {
			return s.fencedBy(ctx, e.Epoch)
		}
	}
	if err := createEpoch(ctx, s.Store, own); err != nil {
		if errors.Is(err, ErrExists) {
			return s.fencedBy(ctx, own.Epoch)
		}
		return fmt.Errorf("create epoch %d: %w", own.Epoch, err)
	}
	return nil
}

// listFrom tells from which LSN the store must be listed, and whether at all:
// not when the journal knows everything before and in the queue.
func (s *storeRun) listFrom() (from wal.LSN, list bool) {
	a := s.a
	upTo, known := a.journal.archivedUpTo(s.url)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !known {
		return 0, true
	}
	if upTo < a.track.from {
		return upTo + 1, true
	}
	for _, it := range a.track.items[s.done:] {
		p := &it.at[s.index]
		if p.state != sealed {
			continue
		}
		// What this process sealed cannot be there, unless it was sent before
		// a restart: the journal's own line tells.
		if _, sent := a.journal.find(s.url, it.seg.Last); sent || it.seg.Epoch != a.opts.Epoch.Epoch {
			return it.seg.First, true
		}
	}
	return 0, false
}

// span is a segment or gap object of our timeline that a listing showed.
type span struct {
	first, last wal.LSN
	segment     *SegmentKey // nil: a gap, or a pack of segments
}

func (s *storeRun) listSpans(ctx context.Context, from wal.LSN) ([]span, error) {
	own := &s.a.opts.Epoch
	var spans []span
	packs := PackPrefix(own.Timeline)
	for _, dir := range []string{SegmentPrefix(own.Timeline), packs, "gap/" + own.Timeline.Hex() + "/"} {
		after := ""
		if from > 0 && dir != packs { // a pack that begins before may reach beyond
			after = dir + from.Hex() // sorts before every key that begins at from
		}
		for o, err := range listKeys[Key](ctx, s.Store, own.NodeID, dir, after) {
			if err != nil {
				return nil, err
			}
			switch k := o.Key.(type) {
			case SegmentKey:
				spans = append(spans, span{k.First, k.Last, &k})
			case PackKey:
				spans = append(spans, span{k.First, k.Last, nil})
			case GapKey:
				spans = append(spans, span{k.First, k.Last, nil})
			}
		}
	}
	slices.SortFunc(spans, func(x, y span) int {
		if x.first != y.first {
			return int(min(max(int64(x.first)-int64(y.first), -1), 1))
		}
		return 0
	})
	return spans, nil
}

// settleSpans takes in what the listing showed.
func (s *storeRun) settleSpans(ctx context.Context, spans []span) error {
	upTo, known := s.a.journal.upTo(s.url)
	m := s.match(spans)
	if err := s.judge(ctx, m.odd); err != nil {
		return err
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.present, s.ahead = m.present, m.ahead
	s.lack(missing(spans, upTo, known, s.a.track.from))
	s.a.advance()
	return nil
}

// judge fences when one of the segments, which overlap ours under another name,
// is history: of an epoch that had not ended before it.
func (s *storeRun) judge(ctx context.Context, odd []SegmentKey) error {
	if len(odd) == 0 {
		return nil
	}
	own := &s.a.opts.Epoch
	epochs, err := ReadEpochs(ctx, s.Store, own.NodeID)
	if err != nil {
		return err
	}
	for _, k := range odd {
		if k.First < DeadFrom(epochs, k.Timeline, k.Epoch) {
			return &FencedError{Store: s.url, NodeID: own.NodeID, Own: own.Epoch, Key: Join(own.NodeID, k),
				Reason: "the archive holds another history of the same LSNs"}
		}
	}
	return nil
}

// judgeAhead does it for a segment that was added after the listing.
func (s *storeRun) judgeAhead(ctx context.Context, it *item) error {
	var odd []SegmentKey
	s.a.mu.Lock()
	for _, k := range s.ahead {
		if k.First <= it.seg.Last && k.Last >= it.seg.First && k.Content() != it.key {
			odd = append(odd, k)
		}
	}
	s.a.mu.Unlock()
	return s.judge(ctx, odd)
}

// matched is what a listing says of our segments.
type matched struct {
	present map[SegmentKey][]SegmentKey // they are there, under these names
	odd     []SegmentKey                // overlap ours under another name
	ahead   []SegmentKey                // end after all that was added so far
}

func (s *storeRun) match(spans []span) (m matched) {
	a := s.a
	a.mu.Lock()
	defer a.mu.Unlock()
	m.present = make(map[SegmentKey][]SegmentKey)
	items, i := a.track.items, 0
	for _, sp := range spans {
		if sp.segment == nil {
			continue
		}
		if sp.last >= a.track.next {
			m.ahead = append(m.ahead, *sp.segment)
		}
		for i < len(items) && items[i].seg.Last < sp.first {
			i++
		}
		for k := i; k < len(items) && items[k].seg.First <= sp.last; k++ {
			switch {
			case items[k].hole:
			case items[k].key == sp.segment.Content():
				m.present[items[k].key] = append(m.present[items[k].key], *sp.segment)
			default:
				m.odd = append(m.odd, *sp.segment)
			}
		}
	}
	return m
}

// missing is what the store lacks up to from: after upTo when that is known,
// else after the first LSN that it has. A store without anything lacks
// nothing: its history begins with our first segment.
func missing(spans []span, upTo wal.LSN, known bool, from wal.LSN) []gap {
	var out []gap
	for _, sp := range spans {
		if sp.first > from {
			break
		}
		if known && sp.first > upTo+1 {
			out = append(out, gap{upTo + 1, sp.first - 1})
		}
		upTo, known = max(upTo, sp.last), true
	}
	if known && upTo < from && from < math.MaxUint64 {
		out = append(out, gap{upTo + 1, from})
	}
	return out
}
