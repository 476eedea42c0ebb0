package pitr

import (
	"context"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// contentStores are the stores to ask for the contents of a base, in that order:
// those that list its manifest, then all others, since a content may be where the
// manifest is not. Those that did not answer so far come last: they are asked only
// for what nobody else gives, so that the answer is unknown and not absent.
func (s *sources) contentStores(listed []int) []int {
	out := slices.Clone(listed)
	var down []int
	for i := range s.archives {
		switch {
		case slices.Contains(listed, i):
		case s.catalogs[i] == nil:
			down = append(down, i)
		default:
			out = append(out, i)
		}
	}
	return append(out, down...)
}

// baseFile brings one file of a base from the first store that gives it whole.
func (s *sources) baseFile(ctx context.Context, o *Options, stores []int, f *archive.ManifestFile, ask archive.Ask) error {
	return s.retry(ctx, o, stores, func(store int) error {
		a := s.archives[store]
		from, err := archive.Open(o.limited(a.Store()), s.node)
		if err != nil {
			return err
		}
		d := o.AttemptTimeout + time.Duration(f.SealedBytes>>20)*time.Second + o.limitDelay(f.SealedBytes)
		within, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		err = ask(within, from.WithIdentities(a.Identities()))
		if err != nil && within.Err() != nil && ctx.Err() == nil {
			// A store that hangs is not known to lack anything.
			return &archive.StoreError{Op: "read", Store: a.Store().URL(), Key: archive.NodePrefix(s.node) + objectPath(f), Class: archive.ErrUnreachable, Err: err}
		}
		return err
	})
}

func objectPath(f *archive.ManifestFile) string {
	k, err := f.Object()
	if err != nil {
		return f.Name
	}
	return k.String()
}
