package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nodedb-go/nodedb/node"
)

// Look-ups find the same with a Prefetcher and beside writers, checkpoints and the
// end of the node.
func TestPrefetcher(t *testing.T) {
	n := memNode(t, nil)
	db := n.Tenant(3)
	const keys, rounds = 100, 40
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for r := range rounds {
			for i := range keys {
				if _, err := db.Put(t.Context(), key(i), fmt.Appendf(nil, "%d %03d", i, r), &node.WriteOptions{Async: true}); err != nil {
					t.Error(err)
					return
				}
			}
			if r%10 == 5 {
				if _, err := n.Checkpoint(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var p node.Prefetcher
	var last [keys]string
	found := 0
	look := func() {
		for from := 0; from < keys; from += 10 {
			for i := from; i < from+10; i++ {
				p.Add(db, key(i))
			}
			p.Run()
			for i := from; i < from+10; i++ {
				e, err := db.Lookup(t.Context(), key(i))
				if errors.Is(err, node.ErrNotFound) && last[i] == "" {
					continue
				}
				if err != nil || !bytes.HasPrefix(e.Value, fmt.Appendf(nil, "%d ", i)) || string(e.Value) < last[i] {
					t.Fatalf("key %d: %q after %q, %v", i, e.Value, last[i], err)
				}
				last[i] = string(e.Value)
				found++
			}
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		look()
	}
	if found < keys {
		t.Errorf("%d look-ups found something", found)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	p.Add(db, key(0)) // of a closed node
	p.Run()
}

// AppendLookup appends to what is there, and leaves it when it finds nothing.
func TestAppendLookup(t *testing.T) {
	n := memNode(t, nil)
	db := n.Tenant(3)
	if _, err := db.Put(t.Context(), []byte("k"), []byte("value"), nil); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 64)
	dst = append(dst, "before "...)
	e, err := db.AppendLookup(t.Context(), dst, []byte("k"))
	if err != nil || string(e.Value) != "before value" || &e.Value[0] != &dst[0] || e.LSN == 0 {
		t.Errorf("%q at %d, %v", e.Value, e.LSN, err)
	}
	for _, k := range []string{"none", ""} {
		if e, err := db.AppendLookup(t.Context(), dst, []byte(k)); err == nil || string(e.Value) != "before " {
			t.Errorf("%q: %q, %v", k, e.Value, err)
		}
	}
}
