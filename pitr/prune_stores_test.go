package pitr

import (
	"math/rand/v2"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/retain"
	"github.com/nodedb-go/nodedb/wal"
)

// split spreads what retention may delete over two stores: each object is in one
// of them or in both. Claims of epochs are in both, as nodes write them.
func (s *agedStore) split(r *rand.Rand) (x, y *agedStore) {
	x, y = s.clone(), s.clone()
	for _, key := range s.all() {
		switch r.IntN(3) {
		case 0:
			delete(x.objects, key)
		case 1:
			delete(y.objects, key)
		}
	}
	return x, y
}

// contentsFrom are the keys of what the bases from lsn on are made of.
func (k *kit) contentsFrom(lsn wal.LSN) []string {
	c, err := k.arch.Catalog(k.ctx)
	check(k.t, err)
	var keys []string
	for _, b := range c.Bases {
		if b.LSN < lsn {
			continue
		}
		m, err := archive.ReadBase(k.ctx, k.store, kitNode, b.BaseKey)
		check(k.t, err)
		for _, v := range m.VShards {
			for i := range v.Files {
				o, err := v.Files[i].Object()
				check(k.t, err)
				keys = append(keys, k.arch.Key(o))
			}
		}
	}
	return keys
}

// Two stores that hold a history between them, neither of it whole, are pruned in
// one run: what the policy keeps is restored from both together as before. Each
// store also keeps what the policy wants of it alone, so that the loss of the
// other does not leave it empty.
func TestPruneStoresTogether(t *testing.T) {
	s, k0, bases := agedKit(t, t.Context())
	needed := k0.contentsFrom(bases[2])
	deleted := make(map[string]int)
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		x, y := s.split(rand.New(rand.NewPCG(seed, 1)))
		for _, st := range []*agedStore{x, y} {
			st.pass(2 * retain.DefaultAbandoned) // a base that is not whole in its own store is no longer spared for that
		}
		kx, ky := k0.over(t, x), k0.over(t, y)
		archives := []*archive.Archive{kx.arch, ky.arch}
		for range 2 {
			r, err := retain.Run(t.Context(), archives, retain.Options{Policy: retain.Policy{Last: 2}, Grace: testGrace, Apply: true, Clock: x.clock})
			if err != nil || len(r.Stores) != 2 {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, name := range []string{"first", "second"} {
				n, _ := r.Stores[i].Totals(retain.StageDeleted)
				deleted[name] += n
			}
			x.pass(testGrace)
			y.pass(testGrace)
		}
		for _, key := range needed {
			if x.objects[key] == nil && y.objects[key] == nil {
				t.Errorf("seed %d: %s is gone from both", seed, key)
			}
		}
		for lsn := bases[2]; lsn <= k0.highest(); lsn++ {
			p, err := NewPlan(t.Context(), archives, Target{LSN: lsn})
			if err != nil {
				t.Fatalf("seed %d: plan LSN %d: %v", seed, lsn, err)
			}
			fs := newStageFS(t)
			res, err := Restore(t.Context(), p, "/data/node", kx.options(fs, nil))
			if err != nil {
				t.Fatalf("seed %d: restore LSN %d: %v", seed, lsn, err)
			}
			kx.compare(Target{LSN: lsn}, res)
		}
	}
	if deleted["first"] == 0 || deleted["second"] == 0 {
		t.Errorf("deleted: %v", deleted)
	}
}
