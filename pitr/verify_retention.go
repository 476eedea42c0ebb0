package pitr

import (
	"context"
	"errors"

	"github.com/nodedb-go/nodedb/archive"
)

// retention reads what retention wrote: announcements of bases, and the log of
// what was pruned.
func (v *verifier) retention(ctx context.Context, c *archive.Catalog) error {
	check := func(key string, err error) error {
		switch {
		case err == nil, errors.Is(err, archive.ErrNotFound): // taken off since it was listed
			return nil
		case !damaged(err):
			return err
		}
		v.problem(key, err)
		return nil
	}
	for _, b := range c.Begun {
		_, err := archive.ReadBegun(ctx, v.a.Store(), v.a.NodeID(), b.BegunKey)
		if err := check(b.Object.Key, err); err != nil {
			return err
		}
	}
	for _, p := range c.Prunes {
		r, err := archive.ReadPrune(ctx, v.a.Store(), v.a.NodeID(), p.Seq)
		if err := check(p.Object.Key, err); err != nil {
			return err
		}
		if r.Kind == archive.PruneSweep {
			for _, o := range r.Objects {
				v.pruned[o.Key] = true
				v.prunedLSNs.add(o.Key)
			}
		}
	}
	return nil
}
