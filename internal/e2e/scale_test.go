package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/archive/retain"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/pitr"
)

// archiveOf runs a node until it has archived so many segments, and gives its
// archive and the requests of its life.
func archiveOf(t *testing.T, store archive.Store, id string, segments int) (*archive.Archive, archivetest.Requests) {
	t.Helper()
	counted := archivetest.NewCounted(store)
	n, err := node.Open("node", &node.Options{NodeID: id, VShards: 4, Cores: 1, FS: vfs.NewMem(), BallastBytes: -1,
		SegmentBytes: 4 << 10, ArchiveTimeout: -1, CheckpointInterval: -1, Stores: []archive.StoreConfig{{Store: counted}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range segments {
		if _, err := n.Tenant(0).Put(t.Context(), fmt.Appendf(nil, "key-%d", i%50), []byte("value"), nil); err != nil {
			t.Fatal(err)
		}
		lsn, err := n.Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := n.WaitArchived(t.Context(), lsn); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(counted, id)
	if err != nil {
		t.Fatal(err)
	}
	return a, counted.Requests()
}

func memStore(t *testing.T) archive.Store {
	t.Helper()
	s, _, err := archive.OpenStore(context.Background(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A segment costs the same requests in a history of 10, 100 and 1,000: to archive,
// to index, and to take into the catalog. What a listing costs is a request for
// each thousand names, whatever else is in the bucket.
func TestScale_ConstantPerSegment(t *testing.T) {
	sizes := []int{10, 100, 1000}
	if testing.Short() {
		sizes = sizes[:2]
	}
	store := memStore(t)
	type costs struct{ life, index, first, second archivetest.Requests }
	var all []costs
	for _, n := range sizes {
		a, life := archiveOf(t, store, fmt.Sprintf("node-%d", n), n)
		c := costs{life: life}
		c.index = spend(t, a, func() error {
			_, err := index.CatchUp(t.Context(), a, &index.Options{Decode: kv.Changes}, nil)
			return err
		})
		snapshot := func() error {
			_, _, err := archive.WriteSnapshot(t.Context(), a, nil)
			return err
		}
		c.first, c.second = spend(t, a, snapshot), spend(t, a, snapshot)
		all = append(all, c)
	}
	per := func(f func(costs) archivetest.Requests, i int) archivetest.Requests {
		d, n := f(all[i]).Sub(f(all[i-1])), sizes[i]-sizes[i-1]
		if d.Puts%n+d.Gets%n+d.Heads%n+d.Deletes%n != 0 {
			t.Errorf("%d segments more cost %+v: no multiple", n, d)
		}
		return archivetest.Requests{Puts: d.Puts / n, Gets: d.Gets / n, Heads: d.Heads / n, Deletes: d.Deletes / n}
	}
	for name, f := range map[string]func(costs) archivetest.Requests{
		"archived": func(c costs) archivetest.Requests { return c.life }, "indexed": func(c costs) archivetest.Requests { return c.index },
		"in the catalog": func(c costs) archivetest.Requests { return c.first }, "known to the catalog": func(c costs) archivetest.Requests { return c.second },
	} {
		first := per(f, 1)
		t.Logf("a segment %s: %+v", name, first)
		for i := 2; i < len(sizes); i++ {
			if got := per(f, i); got != first {
				t.Errorf("a segment %s costs %+v in a history of %d, %+v in one of %d", name, got, sizes[i], first, sizes[1])
			}
		}
		for i, c := range all {
			if names := 2*sizes[i] + 100; f(c).Lists > 8+names/1000 {
				t.Errorf("%d segments %s: %d requests for listings", sizes[i], name, f(c).Lists)
			}
		}
	}
	if got := per(func(c costs) archivetest.Requests { return c.second }, 1); got != (archivetest.Requests{}) {
		t.Errorf("a segment that the catalog knows costs %+v", got)
	}
}

// spend is what f costs.
func spend(t *testing.T, a *archive.Archive, f func() error) archivetest.Requests {
	t.Helper()
	c := a.Store().(*archivetest.Counted)
	before := c.Requests()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	return c.Requests().Sub(before)
}

// Whoever works on a node's archive lists its names only, in a bucket that others
// share.
func TestScale_OwnNamesOnly(t *testing.T) {
	store := memStore(t)
	for _, id := range []string{"node", "node-2", "other"} {
		a, _ := archiveOf(t, store, id, 3)
		if _, _, err := archive.WriteSnapshot(t.Context(), a, nil); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := archiveOf(t, store, "node-1", 30)
	do := map[string]func() error{
		"index": func() error {
			_, err := index.CatchUp(t.Context(), a, &index.Options{Decode: kv.Changes}, nil)
			return err
		},
		"snapshot": func() error {
			_, _, err := archive.WriteSnapshot(t.Context(), a, nil)
			return err
		},
		"compact": func() error {
			_, err := archive.Compact(t.Context(), a, &archive.CompactOptions{MinObjects: 2})
			return err
		},
		"prune": func() error {
			_, err := retain.Run(t.Context(), []*archive.Archive{a}, retain.Options{Policy: retain.Policy{Last: 1}})
			return err
		},
		"plan": func() error {
			_, err := pitr.NewPlan(t.Context(), []*archive.Archive{a}, pitr.Target{Latest: true})
			return err
		},
		"windows": func() error {
			_, err := pitr.Windows(t.Context(), []*archive.Archive{a})
			return err
		},
	}
	for name, f := range do {
		if err := f(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	listed := a.Store().(*archivetest.Counted).Listed()
	if len(listed) == 0 {
		t.Error("nothing was listed")
	}
	for _, prefix := range listed {
		if !strings.HasPrefix(prefix, archive.NodePrefix("node-1")) {
			t.Errorf("%q was listed, which is not node-1's alone", prefix)
		}
	}
}
