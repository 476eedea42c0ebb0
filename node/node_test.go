package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/nodedb-go/nodedb/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a node that is closed, and so checked, when the test ends.
func open(t *testing.T, dir string, o *node.Options) *node.Node {
	t.Helper()
	n, err := node.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func TestNode_PutGetReopen(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		n, err := node.Open(dir, &node.Options{Cores: 1 + round})
		if err != nil {
			t.Fatal(err)
		}
		db := n.Tenant(7)
		for prev := range round {
			for i := range 100 {
				got, err := db.Get(t.Context(), fmt.Appendf(nil, "k%d-%d", prev, i))
				if err != nil || string(got) != fmt.Sprint(i) {
					t.Fatalf("round %d: Get(k%d-%d) = %q, %v", round, prev, i, got, err)
				}
			}
		}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if _, err := db.Put(context.Background(), fmt.Appendf(nil, "k%d-%d", round, i), fmt.Append(nil, i), nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, err := n.Tenant(8).Get(t.Context(), []byte("k0-0")); !errors.Is(err, node.ErrNotFound) {
			t.Fatalf("another tenant's Get = %v, want ErrNotFound", err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
