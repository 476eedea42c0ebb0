package pitr

import (
	"cmp"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
)

// PlanKey is a set of recipients for whom segments of a plan are encrypted, when
// no identity that was given belongs to them. The identity of any of them does.
type PlanKey struct {
	ID         string   `json:"id"`         // as in names of objects
	Recipients []string `json:"recipients"` // public keys; empty when nobody says which
}

// addMissingKeys looks for segments that nobody here opens, by names. For whom
// the files of a base are encrypted only their names tell, which a plan does
// not list.
func (p *planner) addMissingKeys() {
	all := p.plan.Segments
	if p.plan.Proof != nil {
		all = append(slices.Clip(all), *p.plan.Proof)
	}
	seen := make(map[archive.RecipientsID]bool)
	for _, ps := range all {
		for _, id := range p.src.closed(ps) {
			if !seen[id] {
				seen[id] = true
				p.plan.MissingKeys = append(p.plan.MissingKeys, PlanKey{id.String(), p.src.publicKeys(id)})
			}
		}
	}
	slices.SortFunc(p.plan.MissingKeys, func(x, y PlanKey) int { return cmp.Compare(x.ID, y.ID) })
}

// closed are the sets for which a segment is encrypted; nil when one of its
// objects can be opened.
func (s *sources) closed(ps PlanSegment) []archive.RecipientsID {
	var ids []archive.RecipientsID
	for _, store := range ps.Stores {
		for _, e := range s.entriesOf(store, ps.Key) {
			if s.catalogs[store].MayOpen(s.archives[store].Identities(), e.Age) {
				return nil
			}
			ids = append(ids, e.Age.Recipients)
		}
	}
	return ids
}

func (s *sources) publicKeys(id archive.RecipientsID) []string {
	for _, c := range s.catalogs {
		if c == nil {
			continue
		}
		for _, r := range c.Recipients {
			if r.ID == id && len(r.Info.Recipients) > 0 {
				return slices.Clone(r.Info.Recipients)
			}
		}
	}
	return []string{}
}
