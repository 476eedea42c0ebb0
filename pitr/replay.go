package pitr

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// replayer fetches segments side by side, checks that they follow each other,
// and hands their records to workers, each of which owns some vshards:
//
//	fetch, verify, decode (Parallel) ─▶ in order: chain, LSNs ─▶ worker 0 ─▶ vshards 0, n, …
//	                                                          └▶ worker n-1
type replayer struct {
	opts    *Options
	plan    *Plan
	vshards []*engine.VShard
	workers int
	budget  *budget
	meter   *meter
	decoder decoder

	prev     *decoded      // the last one that was applied, nil: unknown; its records are gone
	segments []PlanSegment // what is left to apply
	ready    []chan *decoded
	inboxes  []chan delivery
	digests  []wal.Digest // of exactly the reached LSN; owned by the sequencer
}

// delivery is one worker's share of a segment, or the order to make all durable.
type delivery struct {
	share  share
	from   *pending
	settle *settle
}

// settle: no record up to lsn is missing, so every vshard may say it is there.
type settle struct {
	lsn wal.LSN
	us  int64
}

// pending counts the workers that still read a decoded segment.
type pending struct {
	left atomic.Int32
	seg  *decoded
}

func newReplayer(o *Options, p *Plan, vshards []*engine.VShard, m *meter) *replayer {
	workers, b := min(o.Workers, len(vshards)), newBudget(o.MemoryBytes)
	return &replayer{
		opts: o, plan: p, vshards: vshards, workers: workers, budget: b, meter: m,
		decoder: decoder{nodeID: p.NodeID, vshards: len(vshards), workers: workers, budget: b, known: o.knownType},
	}
}

func (r *replayer) run(ctx context.Context) error {
	r.skipApplied()
	r.ready = make([]chan *decoded, len(r.segments))
	for i := range r.ready {
		r.ready[i] = make(chan *decoded, 1)
	}
	g := newGroup(ctx)
	stop := r.budget.endWith(g.ctx)
	defer stop()
	r.inboxes = make([]chan delivery, r.workers)
	for w := range r.inboxes {
		r.inboxes[w] = make(chan delivery, 2)
		g.run(func() error { return r.work(g.ctx, w) })
	}
	g.run(func() error {
		return parallel(g.ctx, r.opts.Parallel, len(r.segments), r.fetch)
	})
	g.run(func() error { return r.sequence(g.ctx) })
	return g.wait()
}

// skipApplied leaves out what every vshard has: all of it was durable when an
// earlier run ended.
func (r *replayer) skipApplied() {
	low := lsnEnd
	for _, v := range r.vshards {
		low = min(low, v.Applied())
	}
	for _, s := range r.plan.Segments {
		if s.To > low {
			r.segments = append(r.segments, s)
			continue
		}
		r.meter.skip(s.Bytes, uint64(s.To-s.From+1), s.To)
	}
	r.plan.src.expect(r.segments)
}

func (r *replayer) fetch(ctx context.Context, i int) error {
	d, err := r.plan.src.segment(ctx, r.opts, &r.decoder, i, r.segments[i], r.meter)
	if err != nil {
		return err
	}
	r.ready[i] <- d // has room for one
	return nil
}

// sequence hands on decoded segments in order.
func (r *replayer) sequence(ctx context.Context) error {
	defer func() {
		for _, in := range r.inboxes {
			close(in)
		}
	}()
	var since int64
	for i := range r.segments {
		r.budget.setTurn(i)
		d, _, err := receive(ctx, r.ready[i])
		if err != nil {
			return err
		}
		if err := r.follows(r.prev, d); err != nil {
			return err
		}
		r.collectDigests(d)
		since += d.held
		durable := since >= checkpointBytes
		if durable {
			since = 0
		}
		if err := r.deliver(ctx, d, durable); err != nil {
			return err
		}
		r.meter.handed(uint64(d.plan.To-d.plan.From+1), d.plan.To, d.timeTo)
		r.prev = d
	}
	r.budget.setTurn(len(r.segments))
	us := r.plan.Reached.Time.UnixMicro()
	if r.prev != nil && r.prev.plan.To == r.plan.Reached.LSN {
		us = r.prev.timeTo
	}
	return r.settleAll(ctx, settle{lsn: r.plan.Reached.LSN, us: us})
}

// follows checks that d continues prev: position and hash chain.
func (r *replayer) follows(prev, d *decoded) error {
	if prev == nil || prev.plan.Timeline != d.plan.Timeline {
		return nil
	}
	if prev.plan.To+1 != d.plan.From {
		return fmt.Errorf("pitr: segment %s begins at LSN %d, not behind LSN %d", d.plan.Key, uint64(d.plan.From), uint64(prev.plan.To))
	}
	if reason := chainBreak(&prev.seg, &d.seg, d.prev, prev.plan.To != prev.seg.Last); reason != "" {
		return r.plan.src.damaged(d.plan, reason)
	}
	return nil
}

// chainBreak says how the hash chain is broken between two segments. A writer
// that does not know its predecessor says so with zeros: only at its start. A
// clipped predecessor is not what the later writer saw.
func chainBreak(prev, next *wal.Segment, says [32]byte, clipped bool) string {
	switch {
	case clipped || prev.SHA256 == says:
		return ""
	case says == [32]byte{} && prev.Epoch != next.Epoch:
		return ""
	}
	return fmt.Sprintf("hash chain: it follows a segment with SHA-256 %x, but the one with LSNs %d to %d has %x",
		says, uint64(prev.First), uint64(prev.Last), prev.SHA256)
}

func (r *replayer) collectDigests(d *decoded) {
	for _, dg := range d.digests {
		if dg.LSN == r.plan.Reached.LSN {
			r.digests = append(r.digests, dg)
		}
	}
	d.digests = nil
}

// deliver gives each worker its share; the memory is given back by the last.
func (r *replayer) deliver(ctx context.Context, d *decoded, durable bool) error {
	p, to := &pending{seg: d}, settle{lsn: d.plan.To, us: d.timeTo}
	p.left.Store(int32(r.workers))
	shares := d.shares // d.free takes them away when the last worker is done
	for w, in := range r.inboxes {
		if err := send(ctx, in, delivery{share: shares[w], from: p}); err != nil {
			return err
		}
	}
	if !durable {
		return nil
	}
	return r.settleAll(ctx, to)
}

func (r *replayer) settleAll(ctx context.Context, s settle) error {
	for _, in := range r.inboxes {
		if err := send(ctx, in, delivery{settle: &s}); err != nil {
			return err
		}
	}
	return nil
}

// work applies the records of the vshards of worker w. It opens and ends their
// replays itself: they belong to one goroutine.
func (r *replayer) work(ctx context.Context, w int) error {
	replays := make(map[uint16]*engine.Replay)
	defer func() {
		for _, rp := range replays {
			_ = rp.Close() // after an error, which counts
		}
	}()
	for {
		in, ok, err := receive(ctx, r.inboxes[w])
		if err != nil || !ok {
			return err
		}
		if in.settle != nil {
			if err := r.settleOwn(w, replays, *in.settle); err != nil {
				return err
			}
			continue
		}
		for _, piece := range in.share {
			if err := r.apply(replays, piece); err != nil {
				return err
			}
		}
		if in.from.left.Add(-1) == 0 {
			in.from.seg.free()
			r.budget.give(in.from.seg.held)
		}
	}
}

func (r *replayer) apply(replays map[uint16]*engine.Replay, records []wal.Record) error {
	var last uint16 = wal.VShardNone
	var rp *engine.Replay
	for i := range records {
		rec := &records[i]
		if rec.VShard != last || rp == nil {
			var err error
			if rp, err = r.replayOf(replays, rec.VShard); err != nil {
				return err
			}
			last = rec.VShard
		}
		if err := rp.Apply(rec); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
	}
	return nil
}

func (r *replayer) replayOf(replays map[uint16]*engine.Replay, id uint16) (*engine.Replay, error) {
	if rp := replays[id]; rp != nil {
		return rp, nil
	}
	rp, err := r.vshards[id].NewReplay(nil)
	if err != nil {
		return nil, fmt.Errorf("begin replay of vshard %04x: %w", id, err)
	}
	replays[id] = rp
	return rp, nil
}

// settleOwn makes the worker's vshards durable at s.lsn. Crash here: some
// vshards are at s.lsn, others behind; a resume starts from the lowest.
func (r *replayer) settleOwn(w int, replays map[uint16]*engine.Replay, s settle) error {
	for id := w; id < len(r.vshards); id += r.workers {
		rp, err := r.replayOf(replays, uint16(id))
		if err != nil {
			return err
		}
		delete(replays, uint16(id))
		if err := rp.Finish(s.lsn, s.us); err != nil {
			return fmt.Errorf("finish replay of vshard %04x: %w", id, err)
		}
	}
	return nil
}
