package retain

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// DefaultGrace is the time between mark and deletion.
const DefaultGrace = 72 * time.Hour

// ErrBusy: another pruner is at work in the store; nothing was deleted by this
// one. Try again later.
var ErrBusy = errors.New("retain: another pruner is at work")

// Options configure Run.
type Options struct {
	Policy Policy
	Grace  time.Duration // between mark and deletion; 0: none
	Apply  bool          // false: only say what would be done
	Host   string        // for people who read the log
	Clock  func() time.Time
	Rand   io.Reader // default crypto/rand
}

// Report is what is kept, and what Run did or would do.
type Report struct {
	Policy string        `json:"policy"`
	Grace  time.Duration `json:"grace_ns"`
	Apply  bool          `json:"applied"`
	Kept   []Kept        `json:"kept"`
	Stores []StoreReport `json:"stores"`
}

// StoreReport is one store's part.
type StoreReport struct {
	Store   string   `json:"store"`
	Objects int      `json:"kept_objects"`
	Items   []Item   `json:"items"`
	Unclear []string `json:"unclear"` // cannot be read, so nothing that they may need is deleted
}

type pruner struct {
	Options
	archives []*archive.Archive
	views    []*view
}

// Run applies the policy to a node's archive in all its stores. All must
// answer: what one of them holds may need what is in another.
func Run(ctx context.Context, archives []*archive.Archive, o Options) (*Report, error) {
	if err := o.Policy.Valid(); err != nil {
		return nil, err
	}
	if o.Grace < 0 {
		return nil, fmt.Errorf("retain: negative grace period %s", o.Grace)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	p := &pruner{Options: o, archives: archives}
	if err := p.survey(ctx); err != nil {
		return nil, err
	}
	now := o.Clock()
	out := &Report{Policy: o.Policy.String(), Grace: o.Grace, Apply: o.Apply, Kept: Decide(merge(p.views), o.Policy, now).Kept}
	for i := range archives {
		r, err := p.store(ctx, i, now)
		out.Stores = append(out.Stores, r)
		if err != nil {
			return out, fmt.Errorf("prune %s: %w", archives[i].Store().URL(), err)
		}
	}
	return out, nil
}

func (p *pruner) survey(ctx context.Context) error {
	p.views = p.views[:0]
	for _, a := range p.archives {
		v, err := look(ctx, a)
		if err != nil {
			return err
		}
		p.views = append(p.views, v)
	}
	return nil
}

// decide makes the decisions that store i has to respect: its own, and that of
// all stores together.
func (p *pruner) decide(i int, now time.Time, forced ...archive.BaseKey) []*Decision {
	ds := []*Decision{Decide(p.views[i].facts, p.Policy, now, forced...)}
	if len(p.views) > 1 {
		ds = append(ds, Decide(merge(p.views), p.Policy, now, forced...))
	}
	return ds
}

func (p *pruner) store(ctx context.Context, i int, now time.Time) (StoreReport, error) {
	v := p.views[i]
	ds := p.decide(i, now)
	items, kept := v.garbage(now, ds...)
	voided := v.stage(items, kept, now, p.Grace)
	r := StoreReport{Store: v.a.Store().URL(), Objects: len(kept), Items: items}
	for _, d := range ds {
		r.Unclear = append(r.Unclear, d.Unclear...)
	}
	slices.Sort(r.Unclear)
	r.Unclear = slices.Compact(r.Unclear)
	if r.Items == nil {
		r.Items = []Item{}
	}
	if r.Unclear == nil {
		r.Unclear = []string{}
	}
	if !p.Apply {
		return r, nil
	}
	if err := p.mark(ctx, v, items, voided); err != nil {
		return r, err
	}
	due := false
	for _, it := range items {
		due = due || it.Stage == StageDelete || it.Stage == StageMark && p.Grace == 0
	}
	if !due {
		return r, nil
	}
	swept, err := p.sweep(ctx, i)
	if swept != nil {
		r.Items = swept
	}
	return r, err
}

func (p *pruner) record(v *view, kind archive.PruneKind) (archive.PruneRecord, error) {
	var id [16]byte
	if _, err := io.ReadFull(p.Rand, id[:]); err != nil {
		return archive.PruneRecord{}, fmt.Errorf("draw record id: %w", err)
	}
	return archive.PruneRecord{NodeID: v.a.NodeID(), Seq: v.log.Next(), Kind: kind, ID: hex.EncodeToString(id[:]),
		Host: p.Host, At: p.Clock().UTC(), Policy: p.Policy.String()}, nil
}

// append appends a record, and reads it back with the time of the store.
func (p *pruner) append(ctx context.Context, v *view, r archive.PruneRecord) error {
	err := archive.AppendPrune(ctx, v.a.Store(), r)
	if errors.Is(err, archive.ErrExists) {
		return fmt.Errorf("%w: record %d of the prune log is its", ErrBusy, r.Seq)
	}
	if err != nil {
		return err
	}
	return v.log.Update(ctx, v.a.Store())
}

// mark appends the marks. Crash here: objects that are marked, or are not.
func (p *pruner) mark(ctx context.Context, v *view, items []Item, voided []string) error {
	var objects []archive.PruneObject
	for _, it := range items {
		if it.Stage == StageMark {
			objects = append(objects, archive.SawObject(v.a.NodeID(), it.object, it.Reason))
		}
	}
	for len(objects) > 0 || len(voided) > 0 {
		r, err := p.record(v, archive.PruneMark)
		if err != nil {
			return err
		}
		n := min(len(objects), archive.PruneObjectsMax)
		r.Objects, r.Voided, r.GraceSeconds = objects[:n], voided, int64(p.Grace/time.Second)
		objects, voided = objects[n:], nil
		if err := p.append(ctx, v, r); err != nil {
			return err
		}
	}
	return nil
}
