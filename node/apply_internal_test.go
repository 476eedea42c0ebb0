package node

import (
	"fmt"
	"testing"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// stageRecords puts records into the core's open flight, as one group.
func stageRecords(t *testing.T, c *core, add func(b *wal.Batch) error) {
	t.Helper()
	done := make(chan error, 1)
	c.post(func() error { return add(&c.filling().batch) }, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Law 12 and 5: a panic on one vshard's record in the middle of a group leaves
// the other vshards of the group whole: what they had of it becomes visible, and
// so does everything after, in memory and after a restart.
func TestPanic_InGroupSparesNeighbours(t *testing.T) {
	p := &poison{}
	n := openPoisoned(t, p)
	db := n.Tenant(0)
	sick := n.shards[0]
	var keys [][]byte // of the same core, other vshards
	for i := 0; len(keys) < 32; i++ {
		key := fmt.Appendf(nil, "k%d", i)
		if s := n.shards[kv.VShardOf(key, len(n.shards))]; s != sick && s.core == sick.core {
			keys = append(keys, key)
		}
	}
	p.panic.Store(1)
	stageRecords(t, sick.core, func(b *wal.Batch) error {
		for i, k := range keys {
			if i == len(keys)/2 {
				if err := b.Add(typePoison, 0, sick.id, nil, []byte("x")); err != nil {
					return err
				}
			}
			payload := kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: k, Value: []byte("group")})
			if err := b.Add(kv.TypePut, 0, n.shards[kv.VShardOf(k, len(n.shards))].id, nil, payload); err != nil {
				return err
			}
		}
		return nil
	})
	last := n.log.Appended()
	if err := n.ReadAfter(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if got, err := db.Get(t.Context(), k); err != nil || string(got) != "group" {
			t.Errorf("Get(%s) after the panic = %q, %v, want the group's value", k, got, err)
		}
	}
	for _, k := range keys {
		if _, err := db.Put(t.Context(), k, []byte("later"), nil); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Get(t.Context(), k); err != nil || string(got) != "later" {
			t.Errorf("Get(%s) of an acknowledged write = %q, %v", k, got, err)
		}
	}
	awaitShard(t, n, shardServing, true)
	if p.panic.Load() >= 0 {
		t.Fatal("nothing panicked")
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
