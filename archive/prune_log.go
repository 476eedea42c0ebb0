package archive

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Times of the prune protocol. Ages are differences of times that the store
// gave, so no machine's clock matters.
const (
	// PruneSweepFor is how long a sweep may delete after its record was written.
	PruneSweepFor = 15 * time.Minute
	// PruneSweepOver is the age at which a sweep that nobody ended has surely
	// stopped.
	PruneSweepOver = time.Hour
	// BaseUnderWayFor is how long a base that was begun and has no manifest
	// keeps contents from being deleted.
	BaseUnderWayFor = 24 * time.Hour
)

// PruneLog is what retention wrote into an archive, in order.
type PruneLog struct {
	NodeID  string
	Records []PruneLogged
}

// PruneLogged is a record and the time that its store gave it.
type PruneLogged struct {
	PruneRecord
	Stored time.Time
}

// ReadPruneLog reads the whole log; one request each record, a few at a time.
func ReadPruneLog(ctx context.Context, s Store, nodeID string) (*PruneLog, error) {
	l := &PruneLog{NodeID: nodeID}
	return l, l.Update(ctx, s)
}

// Update reads what was appended since.
func (l *PruneLog) Update(ctx context.Context, s Store) error {
	after := ""
	if n := len(l.Records); n > 0 {
		after = PruneKey{Seq: l.Records[n-1].Seq}.String()
	}
	var fresh []PruneLogged
	for o, err := range listKeys[PruneKey](ctx, s, l.NodeID, "prune/", after) {
		if err != nil {
			return err
		}
		fresh = append(fresh, PruneLogged{PruneRecord: PruneRecord{Seq: o.Key.Seq}, Stored: o.Object.ModTime})
	}
	err := forEach(ctx, len(fresh), func(ctx context.Context, i int) error {
		r, err := ReadPrune(ctx, s, l.NodeID, fresh[i].Seq)
		fresh[i].PruneRecord = r
		return err
	})
	if err != nil {
		return err
	}
	l.Records = append(l.Records, fresh...)
	slices.SortFunc(l.Records, func(x, y PruneLogged) int { return cmp.Compare(x.Seq, y.Seq) })
	return nil
}

// Next is the sequence of the record that may be appended.
func (l *PruneLog) Next() uint64 {
	if n := len(l.Records); n > 0 {
		return l.Records[n-1].Seq + 1
	}
	return 1
}

// Open are the sweeps that nobody has ended.
func (l *PruneLog) Open() []PruneLogged {
	ended := make(map[uint64]bool)
	for i := range l.Records {
		ended[l.Records[i].Sweep] = true
	}
	var out []PruneLogged
	for _, r := range l.Records {
		if r.Kind == PruneSweep && !ended[r.Seq] {
			out = append(out, r)
		}
	}
	return out
}

// PruneMarked is a mark that counts.
type PruneMarked struct {
	PruneObject
	Mark     uint64    // its record
	Due      time.Time // by the store's clock; not before it is deleted
	Policy   string
	Retained *PruneRetained // why the last sweep left it, nil if none tried
}

// Marks are the marks that count, by key: not voided, and not consumed by a
// sweep that ended. What a sweep found retained, or did not come to, stays.
func (l *PruneLog) Marks() map[string]PruneMarked {
	out := make(map[string]PruneMarked)
	sweeps := make(map[uint64]*PruneLogged)
	for i := range l.Records {
		r := &l.Records[i]
		for _, key := range r.Voided {
			delete(out, key)
		}
		switch r.Kind {
		case PruneMark:
			for _, o := range r.Objects {
				due := r.Stored.Add(time.Duration(r.GraceSeconds) * time.Second)
				if old, ok := out[o.Key]; !ok || due.Before(old.Due) || old.PruneObject != o {
					out[o.Key] = PruneMarked{PruneObject: o, Mark: r.Seq, Due: due, Policy: r.Policy}
				}
			}
		case PruneSweep:
			sweeps[r.Seq] = r
		case PruneDone:
			if s := sweeps[r.Sweep]; s != nil {
				r.consume(s, out)
			}
		}
	}
	return out
}

// consume takes the marks off that sweep s made use of.
func (r *PruneLogged) consume(s *PruneLogged, marks map[string]PruneMarked) {
	left := make(map[string]bool, len(r.Pending)+len(r.Retained))
	for _, key := range r.Pending {
		left[key] = true
	}
	for i := range r.Retained {
		left[r.Retained[i].Key] = true
		if m, ok := marks[r.Retained[i].Key]; ok {
			m.Retained = &r.Retained[i]
			marks[r.Retained[i].Key] = m
		}
	}
	for _, o := range s.Objects {
		if !left[o.Key] && marks[o.Key].Mark < s.Seq {
			delete(marks, o.Key)
		}
	}
}

// PrunedObject is an object that a sweep was to delete.
type PrunedObject struct {
	PruneObject
	At     time.Time // of the sweep, by the store's clock
	Policy string
}

// Swept are the objects of all sweeps, by key; the newest sweep of each. One of
// them that is absent was pruned; any other absent object was lost.
func (l *PruneLog) Swept() map[string]PrunedObject {
	out := make(map[string]PrunedObject)
	for i := range l.Records {
		if r := &l.Records[i]; r.Kind == PruneSweep {
			for _, o := range r.Objects {
				out[o.Key] = PrunedObject{PruneObject: o, At: r.Stored, Policy: r.Policy}
			}
		}
	}
	return out
}
