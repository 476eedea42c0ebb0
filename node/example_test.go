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

func Example() {
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

// exampleNode opens a node in a directory that is removed afterwards.
func exampleNode() (n *node.Node, end func()) {
	dir, err := os.MkdirTemp("", "nodedb")
	if err != nil {
		panic(err)
	}
	if n, err = node.Open(dir, nil); err != nil {
		panic(err)
	}
	return n, func() {
		if err := n.Close(); err != nil {
			panic(err)
		}
		os.RemoveAll(dir)
	}
}

// Keys with one {tag} live in one vshard, so a batch of them is atomic.
func ExampleDB_Apply() {
	n, end := exampleNode()
	defer end()
	ctx, db := context.Background(), n.Tenant(0)

	var b node.Batch
	b.Put([]byte("{order:17}/state"), []byte("paid"))
	b.Put([]byte("{order:17}/total"), []byte("990"))
	b.Delete([]byte("{order:17}/cart"))
	if _, err := db.Apply(ctx, &b, nil); err != nil {
		panic(err)
	}
	state, err := db.Get(ctx, []byte("{order:17}/state"))
	fmt.Println(string(state), err)
	// Output:
	// paid <nil>
}

func ExampleDB_Scan() {
	n, end := exampleNode()
	defer end()
	ctx, db := context.Background(), n.Tenant(0)
	for _, k := range []string{"user/2", "user/1", "admin/1"} {
		if _, err := db.Put(ctx, []byte(k), []byte("x"), nil); err != nil {
			panic(err)
		}
	}

	s, err := db.Scan(ctx, node.ScanOptions{Prefix: []byte("user/"), Consistent: true})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	for s.Next() {
		fmt.Printf("%s=%s\n", s.Key(), s.Value())
	}
	if err := s.Err(); err != nil {
		panic(err)
	}
	// Output:
	// user/1=x
	// user/2=x
}
