package pitr

import (
	"context"
	"slices"
)

// unlisted tells whether names of a snapshot stand for names of a listing.
func (s *sources) unlisted() bool {
	for _, c := range s.catalogs {
		if c != nil && c.Unlisted != "" {
			return true
		}
	}
	return false
}

// confirm asks the listing of each store for the segments of the plan that only
// a snapshot named: they exist, and nothing else is between them. A plan that
// cannot be confirmed must be made again from a full listing.
func (p *Plan) confirm(ctx context.Context) (bool, error) {
	all := p.Segments
	if p.Proof != nil {
		all = append(all[:len(all):len(all)], *p.Proof)
	}
	for i, c := range p.src.catalogs {
		if c == nil || c.Unlisted == "" {
			continue
		}
		var keys []string
		for _, s := range all {
			if !slices.Contains(s.Stores, i) {
				continue
			}
			for _, e := range p.src.entries[i][s.Key] {
				keys = append(keys, e.SegmentKey.String())
			}
		}
		ok, err := p.src.archives[i].Confirm(ctx, c, keys)
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}
