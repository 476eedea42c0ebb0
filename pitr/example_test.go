package pitr_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pitr")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := archive.NewFileStore(filepath.Join(dir, "archive"))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	n, err := node.Open(filepath.Join(dir, "node"), &node.Options{
		NodeID: "shop", Stores: []archive.StoreConfig{{Store: store}},
	})
	if err != nil {
		panic(err)
	}
	db := n.Tenant(0)
	if _, err := db.Put(ctx, []byte("price"), []byte("990"), nil); err != nil {
		panic(err)
	}
	if _, _, err := n.RestorePoint(ctx, "before-sale"); err != nil {
		panic(err)
	}
	if _, err := db.Delete(ctx, []byte("price"), nil); err != nil {
		panic(err)
	}
	if err := n.Close(); err != nil {
		panic(err)
	}

	shop, err := archive.Open(store, "shop")
	if err != nil {
		panic(err)
	}
	plan, err := pitr.NewPlan(ctx, []*archive.Archive{shop}, pitr.Target{Point: "before-sale"})
	if err != nil {
		panic(err)
	}
	result, err := pitr.Restore(ctx, plan, filepath.Join(dir, "back"), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println("reached LSN", result.Reached.LSN, "with", result.Entries, "entry")

	back, err := node.Open(result.Dir, nil)
	if err != nil {
		panic(err)
	}
	defer back.Close()
	price, err := back.Tenant(0).Get(ctx, []byte("price"))
	fmt.Println(string(price), err)
	// Output:
	// reached LSN 2 with 1 entry
	// 990 <nil>
}
