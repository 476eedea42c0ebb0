package archive

import (
	"context"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// Archiver moves sealed segments into every store and says how far it is.
//
// Each store has its own workers, memory share and circuit, so that a store
// that hangs stops nobody else. A segment goes, for each store by itself,
// sealed → uploading → uploaded → verified, in any order; what counts is the
// prefix without a hole. Archived ≤ Releasable, and both only grow.
//
// An upload compresses the segment into memory: never into a file, so that
// freeing the disk needs no disk. MemoryBytes bounds that, in equal shares.
type Archiver struct {
	opts    ArchiverOptions
	journal *journal
	stores  []*storeRun
	ctx     context.Context // ends all work
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	// Written under mu, read without: each is a single word, and a reader that
	// is late by one update only waits a little longer.
	archived   atomic.Uint64
	releasable atomic.Uint64
	stalled    atomic.Pointer[StalledError]
	fence      atomic.Pointer[FencedError]

	mu        sync.Mutex
	work      *sync.Cond // on mu: something for a worker or the keeper may have changed
	rand      *mrand.Rand
	changed   chan struct{} // closed and replaced when a waiter should look again
	draining  bool          // no Add any more
	closed    bool          // workers end
	notify    bool          // OnAdvance is to be called
	track     track
	shedErr   error     // why the last shed could not be recorded
	shedDue   time.Time // when to try again
	shedTimer *time.Timer
}

// track is the list of segments that some store still needs, oldest first and
// without a hole. Guarded by Archiver.mu.
type track struct {
	from      wal.LSN // last LSN before items; Archived starts here
	next      wal.LSN // first LSN that the next Add must bring; 0: any
	truncated wal.LSN // the WAL is gone up to here
	items     []*item
	released  int   // items before it hold no WAL back
	waiting   int64 // bytes of the items from released on
}

// item is one segment, or a range that the WAL lost (hole).
type item struct {
	seg  wal.Segment
	key  SegmentKey
	hole bool
	at   []progress // by store
}

// progress is how far one item is in one store.
type progress struct {
	state    state
	busy     bool // a worker has it
	shed     bool // given up while a worker had it: declare unless that worked
	gone     bool // the WAL let go of it while a worker had it
	recorded bool // the shed is durable: the WAL may be released
	attempts int
	due      time.Time
	sent     *upload // what was, or may have been, uploaded; nil when nothing is known
	reason   string  // of a shed
}

// upload is one object that was sent for an item, and what its bytes were.
type upload struct {
	key   SegmentKey
	proof proof
}

// state of an item in a store. Verified, declared and missed are final.
type state uint8

const (
	sealed   state = iota
	uploaded       // acknowledged, not yet proven
	verified
	shed     // given up; the gap object is still to be created
	declared // the gap object is there
	missed   // left to the copier
)

func (p *progress) done() bool {
	return p.state == verified || p.state == declared || p.state == missed
}

// releasable tells whether this store lets go of the local file.
func (p *progress) releasable() bool {
	return p.done() || p.recorded && (p.state == shed || p.shed)
}

// Add hands a sealed segment over, in LSN order. It makes no request and does
// no I/O. A segment that is known already is passed over. A hole before it
// (after a salvage) becomes a gap object in every store.
func (a *Archiver) Add(seg wal.Segment) error {
	if !seg.Sealed || seg.Last < seg.First || seg.First == 0 {
		return fmt.Errorf("archive: segment %s is not a sealed one with records", seg.Path)
	}
	e := &a.opts.Epoch
	key := SegmentKey{Timeline: seg.Timeline, First: seg.First, Last: seg.Last, Epoch: seg.Epoch, SHA16: Short(seg.SHA256)}
	if err := ValidKey(key); err != nil {
		return err
	}
	if seg.NodeID != e.NodeID || seg.Timeline != e.Timeline || seg.Epoch > e.Epoch {
		return fmt.Errorf("archive: segment %s is of node %q timeline %d epoch %d, not of node %q timeline %d up to epoch %d",
			seg.Path, seg.NodeID, seg.Timeline, seg.Epoch, e.NodeID, e.Timeline, e.Epoch)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.draining {
		return ErrArchiverClosed
	}
	t := &a.track
	if t.next == 0 {
		t.from, t.next = seg.First-1, seg.First
		a.restart()
	}
	switch {
	case seg.Last < t.next:
		return nil
	case seg.First < t.next:
		return fmt.Errorf("archive: segment %s begins at LSN %d, inside what was added up to %d", seg.Path, seg.First, t.next-1)
	case seg.First > t.next:
		a.append(a.holeItem(t.next, seg.First-1))
	}
	a.append(a.segmentItem(seg, key))
	a.advance()
	return nil
}

func (a *Archiver) append(it *item) {
	a.track.items = append(a.track.items, it)
	a.track.next = it.seg.Last + 1
	a.track.waiting += it.seg.Bytes
}

func (a *Archiver) holeItem(first, last wal.LSN) *item {
	it := &item{hole: true, at: make([]progress, len(a.stores))}
	it.seg.First, it.seg.Last = first, last
	for i, s := range a.stores {
		it.at[i] = progress{state: shed, recorded: true, reason: "not in the node's WAL"}
		if l, ok := a.journal.find(s.url, last); ok && l.Kind == lineDeclared {
			it.at[i].state = declared
		}
	}
	return it
}

// segmentItem takes up where the journal left off.
func (a *Archiver) segmentItem(seg wal.Segment, key SegmentKey) *item {
	it := &item{seg: seg, key: key, at: make([]progress, len(a.stores))}
	for i, s := range a.stores {
		p := &it.at[i]
		if upTo, ok := a.journal.archivedUpTo(s.url); ok && seg.Last <= upTo {
			p.state = verified
			continue
		}
		l, ok := a.journal.find(s.url, seg.Last)
		if !ok || l.First != seg.First {
			continue
		}
		there, ours := l.object(key)
		switch {
		case l.Kind == lineVerified && ours:
			p.state = verified
		case l.Kind == lineUploaded && ours && l.Proof != nil:
			p.state, p.sent = uploaded, &upload{there, *l.Proof}
		case l.Kind == lineUploading && ours && there.Age.Encrypted() && l.Proof != nil:
			p.sent = &upload{there, *l.Proof}
		case l.Kind == lineShed:
			p.state, p.recorded, p.reason = shed, true, shedReason
		case l.Kind == lineDeclared:
			p.state = declared
		}
	}
	return it
}

// Truncated tells that the WAL no longer holds LSNs up to upTo. What a store
// did not get by then it gets from another store; what no store has becomes a gap.
func (a *Archiver) Truncated(upTo wal.LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := &a.track
	t.truncated = max(t.truncated, upTo)
	for _, it := range t.items {
		if it.seg.Last > t.truncated {
			break
		}
		for i := range it.at {
			a.stores[i].miss(it)
			it.at[i].recorded = true // the missing file itself tells the next start
		}
	}
	a.advance()
}

// giveUp turns an item that is not done into a gap.
func (p *progress) giveUp(reason string) {
	switch {
	case p.done() || p.state == shed || p.shed:
	case p.busy:
		p.shed, p.reason = true, reason
	default:
		p.state, p.reason = shed, reason
	}
}

// restart puts every watermark to where items begin. The caller holds mu.
func (a *Archiver) restart() {
	for _, s := range a.stores {
		s.reached, s.archived, s.releasable = a.track.from, a.track.from, a.track.from
		s.expect()
	}
}

// advance recomputes the watermarks after any change, and tells who waits.
// The caller holds mu.
func (a *Archiver) advance() {
	t := &a.track
	var end wal.LSN
	if t.next > 0 {
		end = t.next - 1
	}
	archived, releasable := end, end
	for _, s := range a.stores {
		s.advance()
		if !s.Optional {
			archived, releasable = min(archived, s.archived), min(releasable, s.releasable)
		}
	}
	for t.released < len(t.items) && t.items[t.released].seg.Last <= releasable {
		t.waiting -= t.items[t.released].seg.Bytes
		t.released++
	}
	a.forget()
	// Published last: who sees them may release what they cover.
	if uint64(archived) > a.archived.Load() || uint64(releasable) > a.releasable.Load() {
		a.archived.Store(max(a.archived.Load(), uint64(archived)))
		a.releasable.Store(max(a.releasable.Load(), uint64(releasable)))
		a.notify = true
	}
	a.measure()
	a.wake()
}

// wake makes workers, the keeper and all waiters look again. The caller holds
// mu.
func (a *Archiver) wake() {
	close(a.changed)
	a.changed = make(chan struct{})
	a.work.Broadcast()
}

// measure compares what holds the WAL with its budget.
func (a *Archiver) measure() {
	fence := a.fence.Load()
	full := a.track.waiting > a.opts.BudgetBytes
	if !full || a.opts.Policy == Shed && fence == nil && a.shedErr == nil {
		a.stalled.Store(nil)
		return
	}
	e := &StalledError{
		Bytes: a.track.waiting, Budget: a.opts.BudgetBytes,
		Archived: wal.LSN(a.archived.Load()), Last: a.track.next - 1,
	}
	switch {
	case fence != nil:
		e.Cause = fence
	case a.shedErr != nil:
		e.Cause = a.shedErr
	default:
		e.Cause = a.behind()
	}
	a.stalled.Store(e)
}

// behind is the newest failure of the required store that is behind most.
func (a *Archiver) behind() (err error) {
	low := a.track.next
	for _, s := range a.stores {
		if !s.Optional && s.archived < low {
			low, err = s.archived, s.lastErr
		}
	}
	return err
}

// forget drops items that no store and no WAL needs any more.
func (a *Archiver) forget() {
	t, n := &a.track, 0
	for n < t.released && t.items[n].seg.Last <= t.truncated && t.items[n].over() {
		n++
	}
	if n == 0 {
		return
	}
	t.from = t.items[n-1].seg.Last
	t.items = append([]*item(nil), t.items[n:]...)
	t.released -= n
	for _, s := range a.stores {
		s.done -= n
		s.loose -= n
	}
}

// over tells whether every store has the item, or its gap.
func (it *item) over() bool {
	for i := range it.at {
		if !it.at[i].done() || it.at[i].busy {
			return false
		}
	}
	return true
}
