package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

const typePoison = 200 | wal.RequiredBit

// A poison is an engine with one record type, whose apply panics as often as it
// is told. Its records come from its maintenance.
type poison struct {
	emit  atomic.Bool  // propose one record
	panic atomic.Int64 // so many applies panic
	fails atomic.Int64 // of these, return an error instead
}

func (*poison) Name() string                                                     { return "poison" }
func (*poison) Owns(t wal.Type) bool                                             { return t == typePoison }
func (p *poison) AddDigest(context.Context, engine.Reader, *engine.Digest) error { return nil }

func (p *poison) Apply(*engine.Batch, *wal.Record) error {
	if p.fails.Add(-1) >= 0 {
		return errors.New("cannot apply")
	}
	if p.panic.Add(-1) >= 0 {
		panic("poisoned record")
	}
	return nil
}

func (p *poison) Maintain(m *engine.Maintenance) (bool, error) {
	if p.emit.CompareAndSwap(true, false) {
		return false, m.Emit(typePoison, 0, []byte("x"))
	}
	return false, nil
}

func openPoisoned(t *testing.T, p *poison) *Node {
	t.Helper()
	n, err := Open("/db", &Options{
		FS: vfs.NewMem(), BallastBytes: -1, SegmentBytes: 256 << 10, VShards: 4, Cores: 2,
		Engines: []engine.Engine{p}, MaintainInterval: time.Millisecond, CheckpointInterval: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// awaitShard waits until some vshard is in the wanted state, or all are.
func awaitShard(t *testing.T, n *Node, state uint32, all bool) *shard {
	t.Helper()
	for ctx := t.Context(); ctx.Err() == nil; {
		count := 0
		var last *shard
		for _, s := range n.shards {
			if s.state.Load() == state {
				count++
				last = s
			}
		}
		if all && count == len(n.shards) || !all && count > 0 {
			return last
		}
		time.AfterFunc(time.Millisecond, n.wakeCores)
	}
	t.Fatal("the state was not reached")
	return nil
}

// awaitOutage waits until some vshard was condemned.
func awaitOutage(t *testing.T, n *Node) {
	t.Helper()
	for ctx := t.Context(); ctx.Err() == nil; runtime.Gosched() {
		for _, s := range n.shards {
			if s.outages.Load() > 0 {
				return
			}
		}
	}
	t.Fatal("no vshard was condemned")
}

// Law 12: a request that panics is answered at once with an id, and neither its
// neighbours nor what they staged are hurt.
func TestPanic_InRequest(t *testing.T) {
	n := openPoisoned(t, &poison{})
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	db := n.Tenant(0)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			key := fmt.Appendf(nil, "k%d", i)
			if i%32 == 7 { // fewer than degrade a core
				r, err := db.request(opCode(99), key, nil, nil, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := r.do(context.Background()); !errors.Is(err, ErrInternal) {
					t.Errorf("poisoned request = %v, want ErrInternal", err)
				}
				return
			}
			if _, err := db.Put(context.Background(), key, key, nil); err != nil {
				t.Errorf("neighbour: %v", err)
			}
		})
	}
	wg.Wait()
	for i := range 64 {
		key := fmt.Appendf(nil, "k%d", i)
		got, err := db.Get(t.Context(), key)
		if poisoned := i%32 == 7; poisoned != errors.Is(err, ErrNotFound) || !poisoned && string(got) != string(key) {
			t.Errorf("Get(%s) = %q, %v", key, got, err)
		}
	}
}

// Law 12: a panic while records are applied condemns one vshard, which is
// rebuilt from disk and log, with everything that was acknowledged, and serves
// again; the others go on.
func TestPanic_InApplyRebuilds(t *testing.T) {
	for _, fault := range []string{"panic", "error"} {
		t.Run(fault, func(t *testing.T) {
			p := &poison{}
			n := openPoisoned(t, p)
			db := n.Tenant(0)
			for i := range 200 {
				if _, err := db.Put(t.Context(), fmt.Appendf(nil, "k%d", i), []byte("v"), nil); err != nil {
					t.Fatal(err)
				}
			}
			if fault == "panic" {
				p.panic.Store(1)
			} else {
				p.fails.Store(1)
			}
			p.emit.Store(true)
			awaitOutage(t, n)
			awaitShard(t, n, shardServing, true)
			for i := range 200 {
				if _, err := db.Get(t.Context(), fmt.Appendf(nil, "k%d", i)); err != nil {
					t.Fatalf("Get(k%d) after the rebuild: %v", i, err)
				}
				if _, err := db.Put(t.Context(), fmt.Appendf(nil, "k%d", i), []byte("w"), nil); err != nil {
					t.Fatalf("Put(k%d) after the rebuild: %v", i, err)
				}
			}
			if _, err := n.Checkpoint(t.Context()); err != nil {
				t.Fatalf("checkpoint after the rebuild: %v", err)
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Law 5 and 12: a vshard that cannot be rebuilt is quarantined. It answers with
// a named error, the others serve, and no checkpoint counts without it, so the
// log that it needs is kept.
func TestPanic_QuarantineHoldsTruncation(t *testing.T) {
	p := &poison{}
	n := openPoisoned(t, p)
	db := n.Tenant(0)
	put := func() (served, refused int) {
		for i := range 100 {
			key := fmt.Appendf(nil, "k%d", i)
			switch _, err := db.Put(t.Context(), key, make([]byte, 8<<10), nil); {
			case err == nil:
				served++
			case errors.Is(err, ErrQuarantined):
				refused++
				if _, err := db.Get(t.Context(), key); !errors.Is(err, ErrQuarantined) {
					t.Errorf("Get of a quarantined vshard = %v", err)
				}
			default:
				t.Errorf("Put = %v", err)
			}
		}
		return served, refused
	}
	put()
	if _, err := n.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.panic.Store(1 << 30)
	p.emit.Store(true)
	s := awaitShard(t, n, shardQuarantined, false)
	if served, refused := put(); served == 0 || refused == 0 {
		t.Fatalf("%d served and %d refused, want both", served, refused)
	}
	before := n.log.Segments()[0].First
	if _, err := n.Checkpoint(t.Context()); !errors.Is(err, ErrQuarantined) {
		t.Fatalf("Checkpoint = %v, want ErrQuarantined", err)
	}
	if _, err := n.Digest(t.Context()); !errors.Is(err, ErrQuarantined) {
		t.Fatalf("Digest = %v, want ErrQuarantined", err)
	}
	if after := n.log.Segments()[0].First; after != before {
		t.Fatalf("the log was truncated from LSN %d to %d", before, after)
	}
	if st := n.Status().Shards[s.id]; st.State != "quarantined" || st.Reason == "" {
		t.Fatalf("status of the vshard = %+v", st)
	}
	if err := n.Close(); !errors.Is(err, ErrQuarantined) {
		t.Fatalf("Close = %v, want the last checkpoint's ErrQuarantined", err)
	}
}
