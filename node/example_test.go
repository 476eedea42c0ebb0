package node_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
)

// tempNode opens a node in a directory that cleanup removes.
func tempNode(o *node.Options) (n *node.Node, cleanup func()) {
	dir, err := os.MkdirTemp("", "nodedb-example-")
	if err != nil {
		log.Fatal(err)
	}
	if n, err = node.Open(dir, o); err != nil {
		log.Fatal(err)
	}
	return n, func() {
		if err := errors.Join(n.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	ctx := context.Background()
	n, cleanup := tempNode(nil)
	defer cleanup()

	db := n.Tenant(0)
	lsn, err := db.Put(ctx, []byte("greeting"), []byte("hello"), nil) // durable when it returns
	if err != nil {
		log.Fatal(err)
	}
	value, err := db.Get(ctx, []byte("greeting"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("LSN %d: %s\n", lsn, value)
	_, err = db.Get(ctx, []byte("farewell"))
	fmt.Println(errors.Is(err, node.ErrNotFound))
	// Output:
	// LSN 1: hello
	// true
}

// Keys with a common {tag} live in one vshard, so a batch of them is atomic.
func ExampleDB_Apply() {
	ctx := context.Background()
	n, cleanup := tempNode(nil)
	defer cleanup()

	db := n.Tenant(0)
	var b node.Batch
	b.Put([]byte("{order-7}/state"), []byte("paid"))
	b.Put([]byte("{order-7}/total"), []byte("1999"))
	b.Delete([]byte("{order-7}/cart"))
	lsn, err := db.Apply(ctx, &b, &node.WriteOptions{IdempotencyKey: []byte("payment-42")})
	if err != nil {
		log.Fatal(err)
	}
	again, err := db.Apply(ctx, &b, &node.WriteOptions{IdempotencyKey: []byte("payment-42")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lsn, again) // the repetition was not executed
	// Output: 1 1
}

func ExampleDB_Scan() {
	ctx := context.Background()
	n, cleanup := tempNode(nil)
	defer cleanup()

	db := n.Tenant(0)
	for _, name := range []string{"carol", "alice", "bob"} {
		if _, err := db.Put(ctx, []byte("user/"+name), []byte("active"), nil); err != nil {
			log.Fatal(err)
		}
	}
	s, err := db.Scan(ctx, node.ScanOptions{Prefix: []byte("user/"), Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	var cursor string
	for s.Next() {
		fmt.Printf("%s: %s\n", s.Key(), s.Value())
		cursor = s.Cursor()
	}
	if err := errors.Join(s.Err(), s.Close()); err != nil {
		log.Fatal(err)
	}
	s, err = db.Scan(ctx, node.ScanOptions{Prefix: []byte("user/"), Cursor: cursor})
	if err != nil {
		log.Fatal(err)
	}
	for s.Next() {
		fmt.Printf("%s, behind the cursor\n", s.Key())
	}
	if err := errors.Join(s.Err(), s.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// user/alice: active
	// user/bob: active
	// user/carol, behind the cursor
}

// A restore point gives an LSN a name, and the archive holds everything that is
// needed to go back to it.
func ExampleNode_RestorePoint() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "nodedb-archive-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(root) }()
	store, err := archive.NewFileStore(root)
	if err != nil {
		log.Fatal(err)
	}
	n, cleanup := tempNode(&node.Options{NodeID: "shop", Stores: []archive.StoreConfig{{Store: store}}})
	defer cleanup()

	if _, err := n.Tenant(0).Put(ctx, []byte("schema"), []byte("1"), nil); err != nil {
		log.Fatal(err)
	}
	lsn, _, err := n.RestorePoint(ctx, "before-migration")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := n.Seal(ctx); err != nil { // do not wait for the archive timeout
		log.Fatal(err)
	}
	if err := n.WaitArchived(ctx, lsn); err != nil {
		log.Fatal(err)
	}
	fmt.Println("archived up to the point at LSN", lsn)
	// Output: archived up to the point at LSN 2
}
