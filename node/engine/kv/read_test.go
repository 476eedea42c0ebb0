package kv_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// TestGetIsACopy: what a caller got stays, and he may change it.
func TestGetIsACopy(t *testing.T) {
	s := newShard(t)
	s.put("k", "value", 0)
	for _, where := range []string{"front", "table"} {
		a, err := kv.Read(s.VShard, 0, []byte("k"), 0)
		if err != nil {
			t.Fatal(err)
		}
		copy(a.Value, "XXXXX")
		b, err := kv.AppendGet([]byte("got: "), s.reader(), 0, []byte("k"), 0)
		if err != nil || string(b.Value) != "got: value" {
			t.Errorf("%s: %q, %v", where, b.Value, err)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := kv.AppendGet([]byte("kept"), s.reader(), 0, []byte("none"), 0); !errors.Is(err, kv.ErrNotFound) || string(e.Value) != "kept" {
		t.Errorf("%q, %v", e.Value, err)
	}
}

// TestGetAllocations: one allocation beside the one that Pebble makes.
func TestGetAllocations(t *testing.T) {
	s := newShard(t)
	s.put("k", "value", 0)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	key := []byte("k")
	allocs := testing.AllocsPerRun(200, func() {
		if _, err := kv.Read(s.VShard, 0, key, 0); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 2.5 && !raceEnabled {
		t.Errorf("%v allocations, want 2", allocs)
	}
}

func ExampleGet() {
	shared, err := engine.NewShared(&engine.Options{FS: vfs.NewMem(), Engines: []engine.Engine{kv.Engine{}}})
	if err != nil {
		panic(err)
	}
	defer shared.Close()
	v, err := engine.OpenVShard(shared, "vshard/0000", 0)
	if err != nil {
		panic(err)
	}
	defer v.Close()

	// The core: durable records become visible batch by batch.
	batch := v.NewBatch()
	record := kit.Put(1, 1, "greeting", "hello")
	if err := batch.Apply(&record); err != nil {
		panic(err)
	}
	if err := batch.Commit(0, 0); err != nil {
		panic(err)
	}

	// Any goroutine.
	e, err := kv.Read(v, record.Tenant, []byte("greeting"), 0)
	fmt.Printf("%s at lsn %d, %v\n", e.Value, e.LSN, err)
	// Output: hello at lsn 1, <nil>
}
