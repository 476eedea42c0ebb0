package node_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
)

// quickStart is the Go example of README.md.
func quickStart(ctx context.Context, dir, archiveURL string) error {
	store, _, err := archive.OpenStore(ctx, archiveURL) // file:///backup, s3://bucket/prefix?region=…
	if err != nil {
		return err
	}
	defer store.Close()
	n, err := node.Open(dir, &node.Options{Stores: []archive.StoreConfig{{Store: store}}})
	if err != nil {
		return err
	}
	defer n.Close() // a last checkpoint; the tail of the log goes to the archive
	db := n.Tenant(0)
	if _, err := db.Put(ctx, []byte("user:1"), []byte("Ada"), nil); err != nil {
		return err
	} // durable here
	hits, err := db.Increment(ctx, []byte("hits"), 1, &node.WriteOptions{IdempotencyKey: []byte("req-7")})
	if err != nil {
		return err
	}
	name, err := db.Get(ctx, []byte("user:1"))
	if err != nil {
		return err
	}
	lsn, _, err := n.RestorePoint(ctx, "first-user") // pitr-restore restore --to-point first-user
	fmt.Printf("%s, hits %d, restore point at LSN %d\n", name, hits, lsn)
	return err
}

func Example_quickStart() {
	dir, err := os.MkdirTemp("", "nodedb")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := quickStart(context.Background(), filepath.Join(dir, "node"), "file://"+filepath.Join(dir, "archive")); err != nil {
		panic(err)
	}
	// Output:
	// Ada, hits 1, restore point at LSN 3
}
