package pitr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// ThawOptions of Thaw. The zero value only looks.
type ThawOptions struct {
	Tier  archive.ThawTier // default: Standard
	Days  int              // for which copies stay readable; default 7
	Apply bool             // ask the stores; without it nothing is asked for
	// Wait returns when all that a restore needs can be read. With a target that
	// only cold objects can tell it asks and waits more than once.
	Wait     bool
	Poll     time.Duration // between two looks while waiting; default 5 minutes
	Parallel int           // requests at a time; default 16
	Logger   *slog.Logger
	// Progress is told while waiting how many objects are readable.
	Progress func(readable, all int)
}

const (
	thawDays     = 7
	thawPoll     = 5 * time.Minute
	thawParallel = 16
)

func (o *ThawOptions) withDefaults() *ThawOptions {
	var d ThawOptions
	if o != nil {
		d = *o
	}
	setDefault(&d.Tier, archive.ThawStandard)
	setDefault(&d.Days, thawDays)
	setDefault(&d.Poll, thawPoll)
	setDefault(&d.Parallel, thawParallel)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &d
}

// ThawObject is an object that a restore needs and that is, or was, frozen.
type ThawObject struct {
	Key   string               `json:"key"` // below the node's prefix
	Store string               `json:"store"`
	Class archive.StorageClass `json:"class"`
	Bytes int64                `json:"bytes"`
	State archive.ThawState    `json:"state"`
	Until time.Time            `json:"until,omitzero"` // its copy is readable as long
	Asked bool                 `json:"asked"`          // for, by this run

	thawer archive.Thawer
	full   string // key in the store
}

// ThawReport is what a restore needs from cold storage, and how far it is.
type ThawReport struct {
	NodeID string `json:"node_id"`
	Target Target `json:"target"`
	// Complete: this is all that the restore needs. Else it is what must be read
	// first to know that.
	Complete bool             `json:"complete"`
	Tier     archive.ThawTier `json:"tier"`
	Days     int              `json:"days"`
	Applied  bool             `json:"applied"`
	Objects  []ThawObject     `json:"objects"`
	Asked    int              `json:"asked"` // for, by this run
}

// Count adds up the objects in a state.
func (r *ThawReport) Count(s archive.ThawState) (objects int, bytes int64) {
	for i := range r.Objects {
		if r.Objects[i].State == s {
			objects, bytes = objects+1, bytes+r.Objects[i].Bytes
		}
	}
	return objects, bytes
}

// Ready tells that a restore can begin.
func (r *ThawReport) Ready() bool {
	n, _ := r.Count(archive.Readable)
	return r.Complete && n == len(r.Objects)
}

// TierError: a class does not have the tier.
type TierError struct {
	Tier  archive.ThawTier
	Class archive.StorageClass
	Has   []archive.ThawOffer // empty: this program cannot ask for the class at all
}

func (e *TierError) Error() string {
	if len(e.Has) == 0 {
		return fmt.Sprintf("objects in class %s cannot be asked for from here: use the tool of the store", e.Class)
	}
	names := make([]string, len(e.Has))
	for i, o := range e.Has {
		names[i] = string(o.Tier)
	}
	return fmt.Sprintf("class %s has no tier %s: it has %s", e.Class, e.Tier, strings.Join(names, ", "))
}

// Thaw finds what a restore to target needs from cold storage and, with Apply,
// asks the stores for it: for what is neither readable nor under way, and for
// nothing else. So it can be run again at any time, and goes on after a run that
// was cut off. With an error the report, if there is one, says how far it came.
func Thaw(ctx context.Context, archives []*archive.Archive, target Target, opts *ThawOptions) (*ThawReport, error) {
	o := opts.withDefaults()
	asked := 0
	for {
		r, err := thawRound(ctx, archives, target, o)
		if r != nil {
			asked += r.Asked
			r.Asked = asked
		}
		if err != nil || !o.Wait || r.Complete {
			return r, err
		}
	}
}

func thawRound(ctx context.Context, archives []*archive.Archive, target Target, o *ThawOptions) (*ThawReport, error) {
	r := &ThawReport{Target: target, Tier: o.Tier, Days: o.Days, Applied: o.Apply, Objects: []ThawObject{}}
	cold, err := coldOf(ctx, archives, target)
	first := as[*ColdError](err)
	if err != nil && first == nil {
		return nil, err
	}
	r.NodeID, r.Complete = archives[0].NodeID(), first == nil
	if err := r.look(ctx, archives, cold, o); err != nil {
		return nil, err
	}
	if n, _ := r.Count(archive.Readable); !r.Complete && n == len(r.Objects) {
		return r, fmt.Errorf("the store says that it is readable, and does not give it: %w", first)
	}
	if err := r.allowed(); err != nil || !o.Apply {
		return r, err
	}
	if err := r.ask(ctx, o); err != nil || !o.Wait {
		return r, err
	}
	return r, r.wait(ctx, o)
}

// coldOf is what must be thawed, and what was, for a restore; with a *ColdError
// for a plan of it.
func coldOf(ctx context.Context, archives []*archive.Archive, target Target) ([]PlanCold, error) {
	plan, err := NewPlanWith(ctx, archives, target, &PlanOptions{Contents: true})
	if first := as[*ColdError](err); first != nil {
		return first.Objects, err
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(plan.Cold, func(c PlanCold) bool { return !c.Thaw && !c.Class.Thawed() }), nil
}

// look asks the stores how far each object is.
func (r *ThawReport) look(ctx context.Context, archives []*archive.Archive, cold []PlanCold, o *ThawOptions) error {
	r.Objects = make([]ThawObject, len(cold))
	return parallel(ctx, o.Parallel, len(cold), func(ctx context.Context, i int) error {
		c, t := cold[i], &r.Objects[i]
		*t = ThawObject{Key: c.Key, Store: c.Store, Class: c.Class, Bytes: c.Bytes, State: archive.Frozen,
			full: archive.NodePrefix(r.NodeID) + c.Key}
		at := slices.IndexFunc(archives, func(a *archive.Archive) bool { return a.Store().URL() == c.Store })
		if at < 0 {
			return fmt.Errorf("pitr: a plan names the store %s, which was not given", c.Store)
		}
		th, ok := archives[at].Store().(archive.Thawer)
		if !ok {
			return &TierError{Tier: r.Tier, Class: c.Class}
		}
		t.thawer = th
		return t.refresh(ctx)
	})
}

func (t *ThawObject) refresh(ctx context.Context) error {
	now, err := t.thawer.ThawOf(ctx, t.full)
	if err != nil {
		return err
	}
	t.State, t.Until = now.State, now.Until
	if now.Class != "" {
		t.Class = now.Class
	}
	return nil
}

// allowed tells whether the tier exists for all that would be asked for.
func (r *ThawReport) allowed() error {
	for i := range r.Objects {
		offers := archive.ThawOffers(r.Objects[i].Class)
		if r.Objects[i].State == archive.Frozen && !slices.ContainsFunc(offers, func(o archive.ThawOffer) bool { return o.Tier == r.Tier }) {
			return &TierError{Tier: r.Tier, Class: r.Objects[i].Class, Has: offers}
		}
	}
	return nil
}

// ask asks for what is frozen. What it had asked for before an error stays asked.
func (r *ThawReport) ask(ctx context.Context, o *ThawOptions) error {
	var todo []*ThawObject
	for i := range r.Objects {
		if r.Objects[i].State == archive.Frozen {
			todo = append(todo, &r.Objects[i])
		}
	}
	err := parallel(ctx, o.Parallel, len(todo), func(ctx context.Context, i int) error {
		if err := todo[i].thawer.Thaw(ctx, todo[i].full, r.Tier, r.Days); err != nil {
			return err
		}
		todo[i].State, todo[i].Asked = archive.Thawing, true
		return nil
	})
	for _, t := range todo {
		if t.Asked {
			r.Asked++
		}
	}
	return err
}

// wait looks at one object after the other until the last one is readable. They
// come back at about the same time, so a look costs one request for as long as
// the first one is under way.
func (r *ThawReport) wait(ctx context.Context, o *ThawOptions) error {
	tell := func() {
		if n, _ := r.Count(archive.Readable); o.Progress != nil {
			o.Progress(n, len(r.Objects))
		}
	}
	tell()
	for i := 0; i < len(r.Objects); {
		t := &r.Objects[i]
		var err error
		if t.State != archive.Readable {
			err = t.refresh(ctx)
		}
		switch {
		case err != nil && !archive.Retryable(err):
			return err
		case err == nil && t.State == archive.Readable:
			i++
			tell()
			continue
		case err == nil && t.State == archive.Frozen:
			return &archive.StoreError{Op: "thaw", Store: t.Store, Key: t.full, Class: archive.ErrCold,
				Err: errors.New("it was under way, and is frozen again")}
		case err != nil:
			o.Logger.Warn("a store does not say how far an object is; it is asked again", "err", err)
		}
		if err := sleep(ctx, o.Poll); err != nil {
			return err
		}
	}
	return nil
}
