package pitr

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// ColdError: a target cannot be looked for before these objects are thawed, since
// what they hold decides which others are needed. Then there may be more.
type ColdError struct {
	Target  Target
	Objects []PlanCold
	Err     error // nil, or what was refused
}

func (e *ColdError) Error() string {
	return fmt.Sprintf("%s cannot be looked for before %s thawed: %s", e.Target, thawedFirst(len(e.Objects)), e.Objects[0].Key)
}

func thawedFirst(n int) string {
	if n == 1 {
		return "an object is"
	}
	return fmt.Sprintf("%d objects are", n) + ", the first"
}

// Unwrap matches archive.ErrCold, and not what was refused: once the objects can
// be read that may not hold any more.
func (e *ColdError) Unwrap() error { return archive.ErrCold }

// coldFirst turns a refusal into a ColdError when what is in cold storage is to
// blame: an object that had to be read, or packs that may hold what is missing.
// Nil: it is not.
func (p *planner) coldFirst(err error, t Target) error {
	out := &ColdError{Target: t, Err: err}
	if e := as[*ColdError](err); e != nil {
		e.Target = t
		return e
	}
	if errors.Is(err, archive.ErrCold) {
		if se := as[*archive.StoreError](err); se != nil && errors.Is(se.Class, archive.ErrCold) {
			out.Objects = p.src.coldObject(se)
		}
	} else {
		out.Objects = p.src.coldPacks(missingIn(err))
	}
	if len(out.Objects) == 0 {
		return nil
	}
	return out
}

// missingIn are the LSNs that a refusal wants for; timeline 0 is any, and from
// above to none.
func missingIn(err error) hole {
	if e := as[*GapError](err); e != nil {
		return hole{timeline: e.Timeline, from: e.From, to: e.To}
	}
	// Of what lies behind the last record no pack knows: the newest segment is
	// never merged.
	if e := as[*OutOfWindowError](err); e != nil && e.Nearest.After != nil {
		return hole{from: 1, to: e.Nearest.After.LSN}
	}
	return hole{from: 1}
}

// coldPacks are the packs that could not be opened for the cold and whose names
// say that they hold records of h.
func (s *sources) coldPacks(h hole) []PlanCold {
	var out []PlanCold
	for i, c := range s.catalogs {
		if c == nil {
			continue
		}
		for _, problem := range c.Problems {
			se := as[*archive.StoreError](problem)
			if se == nil || !errors.Is(se.Class, archive.ErrCold) {
				continue
			}
			for _, p := range c.Packs {
				if p.Object.Key == se.Key && p.First <= h.to && p.Last >= h.from && (h.timeline == 0 || h.timeline == p.Timeline) {
					out = append(out, s.planCold(i, p.Object))
				}
			}
		}
	}
	return out
}

func (s *sources) planCold(store int, o archive.Object) PlanCold {
	return PlanCold{Key: strings.TrimPrefix(o.Key, archive.NodePrefix(s.node)), Store: s.archives[store].Store().URL(),
		Class: o.Class, Bytes: o.Size, Thaw: true}
}

// coldObject is the object that a store would not give, as it is listed.
func (s *sources) coldObject(se *archive.StoreError) []PlanCold {
	for i, c := range s.catalogs {
		if c == nil || s.archives[i].Store().URL() != se.Store {
			continue
		}
		o := archive.Object{Key: se.Key}
		for j := range c.Segments {
			if c.Segments[j].Object.Key == se.Key {
				o = c.Segments[j].Object
			}
		}
		for _, b := range c.Bases {
			if b.Object.Key == se.Key {
				o = b.Object
			}
		}
		for _, p := range c.Packs {
			if p.Object.Key == se.Key {
				o = p.Object
			}
		}
		return []PlanCold{s.planCold(i, o)}
	}
	return nil
}

// coldEnds is err, or when it is about the cold, a ColdError for all segments of
// which a footer may be needed: one wait instead of one for each step.
func (l *lookup) coldEnds(err error, segments []located) error {
	if !errors.Is(err, archive.ErrCold) {
		return err
	}
	out := &ColdError{Err: err}
	seen := make(map[place]bool)
	for _, at := range segments {
		sg := at.segment
		if _, known := l.src.knownBounds(sg); known || !sg.class.Cold() || len(sg.stores) == 0 {
			continue
		}
		o, ok := l.src.carrierOf(sg.stores[0], sg.name)
		if here := (place{sg.stores[0], o.Key}); ok && !seen[here] {
			seen[here] = true
			out.Objects = append(out.Objects, l.src.planCold(sg.stores[0], o))
		}
	}
	if len(out.Objects) == 0 {
		return err
	}
	return out
}

// allOf places segments of one timeline.
func allOf(tl wal.Timeline, segments []segment) []located {
	out := make([]located, len(segments))
	for i := range segments {
		out[i] = located{timeline: tl, segment: &segments[i]}
	}
	return out
}
