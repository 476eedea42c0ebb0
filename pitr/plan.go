package pitr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

const planFormat = 1

// Plan says what a restore will do. Making one changes nothing anywhere.
type Plan struct {
	Format int    `json:"format"`
	NodeID string `json:"node_id"`
	Target Target `json:"target"`

	// Reached is the last record that the restored state contains.
	Reached Position `json:"reached"`
	// Timeline is the history that is followed; Reached lies on it or on one of
	// its ancestors.
	Timeline wal.Timeline `json:"timeline"`
	// NextLSN is above every LSN in the archive: the restored node begins its
	// own timeline there, or higher.
	NextLSN      wal.LSN      `json:"next_lsn"`
	NextTimeline wal.Timeline `json:"next_timeline"` // or higher
	VShards      int          `json:"vshards"`

	Base     *PlanBase     `json:"base,omitempty"` // nil: from LSN 1
	Segments []PlanSegment `json:"segments"`       // in order of replay
	Digests  []PlanDigest  `json:"digests"`        // what bases say about exactly Reached
	// Proof is read for digest records about Reached, behind the last segment.
	// It is not applied, and not needed.
	Proof *PlanSegment `json:"proof,omitempty"`

	Shape *Shape `json:"shape,omitempty"` // set by Restore; nil: the node as it was

	Standby *PlanStandby `json:"standby,omitempty"` // set by Follow; nil: a node

	Gaps     []PlanGap `json:"gaps"`     // declared on this history; none is in the way
	Stores   []string  `json:"stores"`   // URLs; others refer to them by index
	Objects  int       `json:"objects"`  // to be fetched
	Bytes    int64     `json:"bytes"`    // of them
	Requests int       `json:"requests"` // to be made, without retries
	Records  uint64    `json:"records"`  // to be replayed

	// Cold are the objects that a fee or a delay stands before, as far as the
	// stores tell classes.
	Cold []PlanCold `json:"cold"`

	// MissingKeys are sets of recipients of which no identity was given.
	MissingKeys []PlanKey `json:"missing_keys"`

	EstimatedSeconds float64  `json:"estimated_seconds"`
	Pace             Pace     `json:"pace"` // what the estimate rests on
	Warnings         []string `json:"warnings"`

	src      *sources
	refused  map[string]bool // bases that were passed over
	contents bool            // PlanOptions.Contents
}

// PlanStandby makes a standby of what is restored.
type PlanStandby struct {
	Only  bool      `json:"only,omitempty"` // no later timeline than the plan's is followed
	Epoch wal.Epoch `json:"epoch"`          // the newest that the plan knows
}

// PlanBase is the base that a restore starts from.
type PlanBase struct {
	Key      string               `json:"key"` // of the manifest, below the node's prefix
	Timeline wal.Timeline         `json:"timeline"`
	LSN      wal.LSN              `json:"lsn"`
	Time     time.Time            `json:"time,omitzero"`
	Bytes    int64                `json:"bytes"`
	Objects  int                  `json:"objects"`
	Stores   []int                `json:"stores"`
	Class    archive.StorageClass `json:"class,omitempty"` // of the manifest
}

// PlanSegment is one object under wal/ and the LSNs From to To (inclusive) that
// are applied from it.
type PlanSegment struct {
	Key      string               `json:"key"`
	Timeline wal.Timeline         `json:"timeline"`
	From     wal.LSN              `json:"from"`
	To       wal.LSN              `json:"to"`
	Bytes    int64                `json:"bytes"`
	Stores   []int                `json:"stores"`
	Class    archive.StorageClass `json:"class,omitempty"` // in the first of the stores
}

// PlanDigest is a published digest of the state at the LSN that is reached.
type PlanDigest struct {
	Sum     string `json:"sum"`
	Entries uint64 `json:"entries"`
	Source  string `json:"source"`
}

// PlanGap is a declared gap.
type PlanGap struct {
	Key      string       `json:"key"`
	Timeline wal.Timeline `json:"timeline"`
	From     wal.LSN      `json:"from"`
	To       wal.LSN      `json:"to"`
}

// planner makes one plan.
type planner struct {
	src     *sources
	h       *history
	look    *lookup
	plan    *Plan
	refused map[string]bool // keys of bases that must not be used
	opts    *PlanOptions
}

// NewPlan finds the way to target: which base, which segments. It reads
// listings, epoch objects, one manifest and as many footers as the target
// needs. All archives belong to one node; what one of them cannot give, another
// may.
func NewPlan(ctx context.Context, archives []*archive.Archive, target Target) (*Plan, error) {
	return NewPlanWith(ctx, archives, target, nil)
}

// NewPlanWith is NewPlan with options.
func NewPlanWith(ctx context.Context, archives []*archive.Archive, target Target, opts *PlanOptions) (*Plan, error) {
	if err := target.valid(); err != nil {
		return nil, err
	}
	o := opts.withDefaults()
	if !o.NoSnapshot {
		plan, err := newPlan(ctx, archives, target, o, archive.SnapshotNames)
		switch {
		case err == nil:
			if ok, err := plan.confirm(ctx); ok || ctx.Err() != nil {
				return plan, err
			}
		case plan == nil || ctx.Err() != nil:
			return nil, err // no snapshot had a part in it
		}
		// What a snapshot says is out of date, or is no reason to refuse.
	}
	return newPlan(ctx, archives, target, o, archive.SnapshotContents)
}

// newPlan makes a plan. With an error there is a plan without use, if names of a
// snapshot had a part in it.
func newPlan(ctx context.Context, archives []*archive.Archive, target Target, o *PlanOptions, use archive.SnapshotUse) (*Plan, error) {
	src, h, err := survey(ctx, archives, use)
	if err != nil {
		return nil, err
	}
	p := &planner{src: src, h: h, look: newLookup(src), refused: make(map[string]bool), opts: o}
	plan, err := p.make(ctx, target)
	switch {
	case err == nil:
		return plan, nil
	case src.unlisted():
		return &Plan{src: src}, err
	}
	return nil, p.explain(ctx, err, target)
}

// withoutBase plans the same way again when a base turned out to be damaged:
// an older one, or LSN 1, may lead to the same state.
func (p *Plan) withoutBase(ctx context.Context, why error) (*Plan, error) {
	h := p.src.merge()
	h.finish()
	pl := &planner{src: p.src, h: h, look: newLookup(p.src), refused: maps.Clone(p.refused), opts: &PlanOptions{Pace: p.Pace, Contents: p.contents}}
	pl.refused[p.Base.Key] = true
	next, err := pl.make(ctx, Target{LSN: p.Reached.LSN, Timeline: p.Timeline})
	if err != nil {
		return nil, err
	}
	next.Target, next.Shape, next.Standby = p.Target, p.Shape, p.Standby
	next.Warnings = append(next.Warnings, fmt.Sprintf("base %s is not used: %v", p.Base.Key, why))
	return next, nil
}

// explain turns "it is not there" into "it cannot be known" while a store does
// not answer.
func (p *planner) explain(ctx context.Context, err error, t Target) error {
	if down := p.src.unreachable(); down != nil && (is[*OutOfWindowError](err) || is[*GapError](err)) {
		down.Op = fmt.Sprintf("plan restore to %s", t)
		down.Reachable = err
		return down
	}
	if cold := p.coldFirst(err, t); cold != nil {
		return cold
	}
	near := nearestOf(err)
	if near == nil {
		return err
	}
	for _, at := range []*Position{near.Before, near.After} {
		if at != nil && at.Time.IsZero() {
			// A time is a courtesy here; the refusal stands without it.
			if full, terr := p.look.position(ctx, p.h, at.Timeline, at.LSN); terr == nil {
				*at = full
			}
		}
	}
	return err
}

func (p *planner) make(ctx context.Context, t Target) (*Plan, error) {
	if down := p.src.unreachable(); down != nil && t.Latest {
		down.Op = "find the latest LSN"
		return nil, down
	}
	at, err := (&resolver{h: p.h, look: p.look, target: t}).resolve(ctx)
	if err != nil {
		return nil, err
	}
	p.plan = &Plan{
		Format: planFormat, NodeID: p.h.node, Target: t, Timeline: at.leaf, NextLSN: p.h.lsnMax + 1,
		NextTimeline: slices.Max(p.h.timelines()) + 1,
		Reached:      Position{Timeline: at.owner, LSN: at.lsn}, Stores: p.src.urls(), src: p.src,
		refused: p.refused, Segments: []PlanSegment{}, Digests: []PlanDigest{}, Gaps: []PlanGap{}, Warnings: p.src.warnings(),
		Pace: p.opts.Pace, Cold: []PlanCold{}, MissingKeys: []PlanKey{}, contents: p.opts.Contents,
	}
	rt, summary, err := p.chooseRoute(ctx, t, at)
	if err != nil {
		return nil, err
	}
	p.addSegments(rt)
	p.addProof(at)
	p.addMissingKeys()
	if err := p.addBase(ctx, rt, summary); err != nil {
		return nil, err
	}
	if err := p.addDigests(ctx, at); err != nil {
		return nil, err
	}
	p.addGaps(at)
	if err := p.finish(ctx, at); err != nil {
		return nil, err
	}
	return p.plan, nil
}

// chooseRoute takes the newest base whose manifest is whole and not newer than
// the target. A base that is passed over is a warning.
func (p *planner) chooseRoute(ctx context.Context, t Target, at resolved) (*route, *archive.SnapshotBase, error) {
	for {
		rt, missing := p.h.route(at.leaf, at.lsn, func(b *base) bool { return !p.refused[b.key] })
		if missing != nil {
			return nil, nil, p.refuse(t, at, missing)
		}
		if c := p.h.clashIn(rt); c != nil {
			return nil, nil, ambiguousClash(t, c)
		}
		if rt.base == nil {
			return rt, nil, nil
		}
		m, err := p.src.summary(ctx, rt.base)
		if err == nil {
			if m.Low < rt.base.low {
				rt.base.low = m.Low // the way must begin there; look again
				continue
			}
			return rt, m, nil
		}
		if !passOver(err) || errors.Is(err, archive.ErrCold) {
			return nil, nil, err // what is cold is not lost
		}
		p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf("base %s is not used: %v", rt.base.key, err))
		p.refused[rt.base.key] = true
	}
}

func (p *planner) refuse(t Target, at resolved, missing *hole) error {
	leaf := t.Timeline
	if leaf == 0 && missing.timeline != 0 {
		leaf = at.leaf
	}
	near := p.h.nearest(leaf, at.lsn)
	if missing.bottom {
		return &OutOfWindowError{Target: t, Nearest: near, Reason: fmt.Sprintf(
			"the archive has no base at or before LSN %d of timeline %d, and LSNs %d to %d are not in it",
			uint64(at.lsn), uint32(at.owner), uint64(missing.from), uint64(missing.to))}
	}
	return &GapError{Target: t, Timeline: missing.timeline, From: missing.from, To: missing.to,
		Declared: p.h.declared(missing), Nearest: near}
}

func (p *planner) addSegments(rt *route) {
	for _, l := range rt.legs {
		for i := range l.segments {
			s := planSegment(l.timeline, &l.segments[i])
			p.plan.Segments = append(p.plan.Segments, s)
			p.plan.Records += uint64(s.To - s.From + 1)
		}
	}
}

func planSegment(tl wal.Timeline, s *segment) PlanSegment {
	return PlanSegment{Key: s.name, Timeline: tl, From: s.lo, To: s.hi, Bytes: s.bytes, Stores: s.stores, Class: s.class}
}

// addProof finds the segment behind the last one: a digest of the reached state
// can only have been logged after it.
func (p *planner) addProof(at resolved) {
	b := p.h.branches[at.owner]
	next := at.lsn + 1
	if s := b.segmentWith(at.lsn); s != nil && len(p.plan.Segments) > 0 {
		next = s.hi + 1 // the rest of the last segment is read anyway
	}
	if s := b.segmentWith(next); s != nil {
		proof := planSegment(at.owner, s)
		p.plan.Proof = &proof
	}
}

func (p *planner) addBase(ctx context.Context, rt *route, m *archive.SnapshotBase) error {
	if rt.base == nil {
		n, err := p.src.vshards(ctx, p.h)
		p.plan.VShards = n
		return err
	}
	p.plan.VShards = m.VShards
	p.plan.Base = &PlanBase{Key: rt.base.key, Timeline: rt.from, LSN: rt.base.lsn, Time: m.Time,
		Bytes: m.SealedBytes, Objects: m.Files, Stores: rt.base.stores, Class: rt.base.class}
	return nil
}

// addDigests collects what bases at exactly the reached LSN say.
func (p *planner) addDigests(ctx context.Context, at resolved) error {
	for i := range p.h.branches[at.owner].bases {
		b := &p.h.branches[at.owner].bases[i]
		if b.lsn != at.lsn {
			continue
		}
		m, err := p.src.summary(ctx, b)
		if err != nil {
			if passOver(err) {
				continue // chooseRoute has warned, or it is not needed
			}
			return err
		}
		if m.Digest == "" {
			continue
		}
		p.plan.Digests = append(p.plan.Digests, PlanDigest{Sum: m.Digest, Entries: m.Entries, Source: b.key})
	}
	return nil
}

func (p *planner) addGaps(at resolved) {
	for _, s := range p.h.lineage(at.leaf) {
		for _, g := range p.h.branches[s.timeline].gaps {
			if g.from <= s.to && g.to >= s.from {
				p.plan.Gaps = append(p.plan.Gaps, PlanGap{Key: g.key, Timeline: s.timeline, From: g.from, To: g.to})
			}
		}
	}
}

// finish adds up.
func (p *planner) finish(ctx context.Context, at resolved) error {
	pl := p.plan
	p.src.tally(pl)
	if pl.Proof != nil {
		pl.Bytes += pl.Proof.Bytes
		pl.Objects++
		pl.Requests++
	}
	if pl.Base != nil {
		pl.Bytes += pl.Base.Bytes
		pl.Objects += 1 + pl.Base.Objects
		pl.Requests += 1 + pl.Base.Objects
	}
	pl.estimate()
	if err := pl.findCold(ctx); err != nil {
		return err
	}
	where, err := p.look.shown(ctx, p.h, at.owner, at.lsn)
	if err != nil {
		return err
	}
	pl.Reached = where
	return nil
}

func ambiguousClash(t Target, c *clash) error {
	return &AmbiguousError{Target: t, Reason: fmt.Sprintf(
		"%s and %s both hold LSNs %d to %d of one epoch: two writers shared a history",
		c.a, c.b, uint64(c.from), uint64(c.to))}
}

// clashIn finds two objects that claim the same LSNs of the route.
func (h *history) clashIn(rt *route) *clash {
	for _, l := range rt.legs {
		b := h.branches[l.timeline]
		i := slices.IndexFunc(b.clashes, func(c clash) bool { return c.from <= l.to && c.to >= l.from })
		if i >= 0 {
			return &b.clashes[i]
		}
	}
	return nil
}

// sameGoal tells whether o, a stored plan, leads to the target of p, of the same
// node and in the same shape.
func (p *Plan) sameGoal(o *Plan) bool {
	a, b := p.Target, o.Target
	same := a.Time.Equal(b.Time)
	a.Time, b.Time = time.Time{}, time.Time{}
	return same && a == b && p.NodeID == o.NodeID && p.Shape.asks(o.Shape) && (p.Standby == nil) == (o.Standby == nil)
}
