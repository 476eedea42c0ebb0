package retain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// deleteTimeout bounds one request, so that none outlives its sweep for long.
const deleteTimeout = 30 * time.Second

// Retainer is a store that can tell whether it would keep an object that
// is deleted. Such a store may answer a deletion with success and only hide it.
type Retainer interface {
	// Retained tells until when the object must stay; hold: without an end.
	Retained(ctx context.Context, key string) (until time.Time, hold bool, err error)
}

// sweep deletes what is due. It says so first, then looks at all stores again.
func (p *pruner) sweep(ctx context.Context, i int) ([]Item, error) {
	v := p.views[i]
	for _, s := range v.log.Open() {
		if p.Clock().Sub(s.Stored) < archive.PruneSweepOver {
			return nil, ErrBusy
		}
	}
	// The store's clock may be ahead; a mark of this run is due by it.
	began, listed := p.Clock(), p.Clock()
	if n := len(v.log.Records); n > 0 && v.log.Records[n-1].Stored.After(listed) {
		listed = v.log.Records[n-1].Stored
	}
	r, err := p.record(v, archive.PruneSweep)
	if err != nil {
		return nil, err
	}
	items, _ := v.garbage(began, p.decide(i, listed)...)
	v.stage(items, nil, listed, p.Grace)
	for _, it := range items {
		if it.Stage == StageDelete && len(r.Objects) < archive.PruneObjectsMax {
			r.Objects = append(r.Objects, archive.SawObject(v.a.NodeID(), it.object, it.Reason))
		}
	}
	if len(r.Objects) == 0 {
		return nil, nil
	}
	// Crash here: a sweep that nobody ends. Its marks still count, and the next
	// pruner goes on when it is an hour old.
	if err := p.append(ctx, v, r); err != nil {
		return nil, err
	}
	s := &sweeper{pruner: p, i: i, began: began, seq: r.Seq, named: make(map[string]bool), log: v}
	for _, o := range r.Objects {
		s.named[o.Key] = true
	}
	items, err = s.run(ctx)
	return items, errors.Join(err, s.end(ctx))
}

// sweeper is one sweep. It deletes only what its record names.
type sweeper struct {
	*pruner
	i      int
	began  time.Time
	seq    uint64
	log    *view // whose log holds the sweep
	named  map[string]bool
	done   archive.PruneRecord
	forced []archive.BaseKey // retained by the store
	stop   error             // after it nothing is tried
}

func (s *sweeper) run(ctx context.Context) ([]Item, error) {
	err := s.survey(ctx)
	if err == nil {
		s.log = s.views[s.i]
		err = s.alone()
	}
	if err == nil {
		err = s.log.prove(ctx, s.Clock(), s.named)
	}
	if err != nil {
		for key := range s.named {
			s.done.Pending = append(s.done.Pending, key)
		}
		return nil, err
	}
	v := s.views[s.i]
	now := s.began
	for _, r := range v.log.Records {
		if r.Seq == s.seq {
			now = r.Stored // the store's clock decides over grace periods
		}
	}
	// What is needed again is not listed, and its mark is used up by this sweep.
	items, kept := v.garbage(now, s.decide(s.i, now)...)
	v.stage(items, kept, now, s.Grace)
	s.deleteAll(ctx, items, classManifest)
	if len(s.forced) > 0 {
		// A manifest that stays needs what it names.
		_, kept = v.garbage(now, s.decide(s.i, now, s.forced...)...)
		items = slices.DeleteFunc(items, func(it Item) bool { _, ok := kept[it.Key]; return ok && it.class != classManifest })
	}
	if s.manifestsLeft(items) {
		// An unknown answer: the manifest may be there, so all of them may be needed.
		s.stop = errors.Join(s.stop, errors.New("a manifest could not be deleted, so nothing that it may name was"))
	}
	s.deleteAll(ctx, items, classLog)
	s.deleteAll(ctx, items, classContent)
	return items, s.stop
}

// alone makes sure, by the store's clock, that no other sweep is under way.
func (s *sweeper) alone() error {
	open := s.views[s.i].log.Open()
	own := slices.IndexFunc(open, func(r archive.PruneLogged) bool { return r.Seq == s.seq })
	for _, r := range open {
		if own >= 0 && r.Seq != s.seq && open[own].Stored.Sub(r.Stored) < archive.PruneSweepOver {
			return ErrBusy
		}
	}
	return nil
}

func (s *sweeper) manifestsLeft(items []Item) bool {
	return slices.ContainsFunc(items, func(it Item) bool { return it.class == classManifest && it.Stage == StagePending })
}

func (s *sweeper) deleteAll(ctx context.Context, items []Item, class int) {
	for i := range items {
		it := &items[i]
		if it.class != class || it.Stage != StageDelete || !s.named[it.Key] {
			continue
		}
		if s.stop == nil && s.Clock().Sub(s.began) > archive.PruneSweepFor {
			s.stop = errors.New("the sweep took too long; the next one goes on")
		}
		if s.stop != nil {
			it.Stage = StagePending
			s.done.Pending = append(s.done.Pending, it.Key)
			continue
		}
		s.delete(ctx, it)
	}
}

func (s *sweeper) delete(ctx context.Context, it *Item) {
	store := s.archives[s.i].Store()
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	if r, ok := store.(Retainer); ok {
		until, hold, err := r.Retained(ctx, it.object.Key)
		switch {
		case errors.Is(err, archive.ErrNotFound): // its deletion will say so
		case err != nil:
			s.pending(it, err)
			return
		case hold || until.After(s.Clock()):
			s.retained(it, until, hold)
			return
		}
	}
	err := store.Delete(ctx, it.object.Key)
	switch {
	case err == nil, errors.Is(err, archive.ErrNotFound):
		it.Stage = StageDeleted
		s.done.Deleted++
	case errors.Is(err, archive.ErrRetained):
		s.retained(it, time.Time{}, false)
	default:
		s.pending(it, err)
	}
}

func (s *sweeper) pending(it *Item, err error) {
	it.Stage = StagePending
	s.done.Pending = append(s.done.Pending, it.Key)
	s.stop = err
}

func (s *sweeper) retained(it *Item, until time.Time, hold bool) {
	it.Stage, it.Until, it.Hold = StageRetained, until, hold
	s.done.Retained = append(s.done.Retained, archive.PruneRetained{Key: it.Key, Until: until.UTC(), Hold: hold, Reason: it.Reason})
	if k, err := archive.ParseKey(it.Key); err == nil {
		if b, ok := k.(archive.BaseKey); ok {
			s.forced = append(s.forced, b)
		}
	}
}

// end tells how the sweep ended, even when ctx is over: until then nobody else
// may sweep.
func (s *sweeper) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	v := s.log
	for {
		if err := v.log.Update(ctx, v.a.Store()); err != nil {
			return err
		}
		r, err := s.record(v, archive.PruneDone)
		if err != nil {
			return err
		}
		r.Sweep, r.Retained, r.Pending, r.Deleted = s.seq, s.done.Retained, s.done.Pending, s.done.Deleted
		if err := s.append(ctx, v, r); !errors.Is(err, ErrBusy) {
			return err
		}
	}
}
