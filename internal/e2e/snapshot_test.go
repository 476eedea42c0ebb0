package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

// A plan takes few requests without anybody having cared for it: the node leaves
// a snapshot of the names with each base. A store that takes none is no reason for
// a base to fail.
func TestBaseLeavesSnapshot(t *testing.T) {
	s, _, err := archive.OpenStore(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	counted := archivetest.NewFaulty(s, func(op archivetest.Op, key string, _ int) archivetest.Fault {
		_, k, _ := archive.ParseFull(key)
		if c, is := k.(archive.CatalogKey); is && op == archivetest.OpCreate && c.Seq == 1 {
			return archivetest.Fail // of the first base
		}
		return archivetest.None
	})
	n, err := node.Open("db", &node.Options{FS: vfs.NewMem(), NodeID: "shop", Cores: 1, VShards: 4, ArchiveTimeout: -1, CheckpointInterval: -1,
		Stores: []archive.StoreConfig{{Store: counted}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	db := n.Tenant(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 20 {
		if _, err := db.Put(ctx, fmt.Append(nil, "key", i), []byte("v"), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Seal(ctx); err != nil {
			t.Fatal(err)
		}
		if i == 5 || i == 18 {
			if _, err := n.Backup(ctx); err != nil {
				t.Fatal(err)
			}
			counted.SetPlan(archivetest.Healthy)
		}
	}
	lsn, err := n.Seal(ctx)
	if err == nil {
		err = n.WaitArchived(ctx, lsn)
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(counted, "shop")
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.CatalogWith(ctx, archive.SnapshotContents)
	if err != nil || c.Snapshot == nil || c.Snapshot.Bases != 2 {
		t.Fatalf("no snapshot of both bases helps: %+v, %v", c.Snapshot, err)
	}
	before := counted.Calls()
	plan, err := pitr.NewPlan(ctx, []*archive.Archive{a}, pitr.Target{LSN: lsn})
	if err != nil || plan.Reached.LSN != lsn {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	if got := counted.Calls() - before; got > 4 {
		t.Errorf("planning took %d calls, want at most 4", got)
	}
}
