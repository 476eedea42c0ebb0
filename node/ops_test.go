package node_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node"
)

// memNode opens a node in memory.
func memNode(t *testing.T, o *node.Options) *node.Node {
	t.Helper()
	c := node.Options{}
	if o != nil {
		c = *o
	}
	if c.FS == nil {
		c.FS = vfs.NewMem()
	}
	if c.BallastBytes == 0 {
		c.BallastBytes = -1
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 256 << 10
	}
	return open(t, "db", &c)
}

func mustPut(t *testing.T, db *node.DB, key, value string) {
	t.Helper()
	if _, err := db.Put(t.Context(), []byte(key), []byte(value), nil); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

func wantGet(t *testing.T, db *node.DB, key, want string) {
	t.Helper()
	got, err := db.Get(t.Context(), []byte(key))
	if err != nil || string(got) != want {
		t.Fatalf("Get(%q) = %q, %v, want %q", key, got, err, want)
	}
}

func wantAbsent(t *testing.T, db *node.DB, key string) {
	t.Helper()
	if got, err := db.Get(t.Context(), []byte(key)); !errors.Is(err, node.ErrNotFound) {
		t.Fatalf("Get(%q) = %q, %v, want ErrNotFound", key, got, err)
	}
}

func TestDB_Conditionals(t *testing.T) {
	ctx, db := t.Context(), memNode(t, nil).Tenant(0)
	k := []byte("k")
	steps := []struct {
		name string
		do   func() (bool, error)
		want bool
		then string // value afterwards, "" for absent
	}{
		{"delete absent", func() (bool, error) { return db.Delete(ctx, k, nil) }, false, ""},
		{"cas of a value that is absent", func() (bool, error) { return db.CompareAndSwap(ctx, k, []byte("x"), []byte("1"), nil) }, false, ""},
		{"cas of an empty value that is absent", func() (bool, error) { return db.CompareAndSwap(ctx, k, []byte{}, []byte("1"), nil) }, false, ""},
		{"cas from absent", func() (bool, error) { return db.CompareAndSwap(ctx, k, nil, []byte("1"), nil) }, true, "1"},
		{"cas from absent, again", func() (bool, error) { return db.CompareAndSwap(ctx, k, nil, []byte("2"), nil) }, false, "1"},
		{"cas of another value", func() (bool, error) { return db.CompareAndSwap(ctx, k, []byte("9"), []byte("2"), nil) }, false, "1"},
		{"cas", func() (bool, error) { return db.CompareAndSwap(ctx, k, []byte("1"), []byte("2"), nil) }, true, "2"},
		{"put if absent, present", func() (bool, error) { return db.PutIfAbsent(ctx, k, []byte("3"), nil) }, false, "2"},
		{"delete", func() (bool, error) { return db.Delete(ctx, k, nil) }, true, ""},
		{"put if absent", func() (bool, error) { return db.PutIfAbsent(ctx, k, []byte("3"), nil) }, true, "3"},
		{"exists", func() (bool, error) { return db.Exists(ctx, k) }, true, "3"},
	}
	for _, s := range steps {
		got, err := s.do()
		if err != nil || got != s.want {
			t.Fatalf("%s = %v, %v, want %v", s.name, got, err, s.want)
		}
		if s.then == "" {
			wantAbsent(t, db, "k")
		} else {
			wantGet(t, db, "k", s.then)
		}
	}
}

func TestDB_Increment(t *testing.T) {
	ctx, db := t.Context(), memNode(t, nil).Tenant(0)
	const clients, rounds = 32, 50
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				if _, err := db.Increment(context.Background(), []byte("n"), 3, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, err := db.Increment(ctx, []byte("n"), 0, nil); err != nil || got != 3*clients*rounds {
		t.Fatalf("Increment = %d, %v, want %d", got, err, 3*clients*rounds)
	}
	mustPut(t, db, "text", "007")
	if _, err := db.Increment(ctx, []byte("text"), 1, nil); !errors.Is(err, node.ErrNotInteger) {
		t.Fatalf("Increment of text = %v, want ErrNotInteger", err)
	}
	wantGet(t, db, "text", "007")
	for _, delta := range []int64{math.MaxInt64, math.MinInt64} {
		key := fmt.Appendf(nil, "big%d", delta)
		if _, err := db.Increment(ctx, key, delta, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Increment(ctx, key, delta/2, nil); !errors.Is(err, node.ErrNotInteger) {
			t.Fatalf("Increment past %d = %v, want ErrNotInteger", delta, err)
		}
	}
}

// Concurrent compare-and-swaps see each other's staged changes: of many that
// expect the same value exactly one wins.
func TestDB_CompareAndSwapRace(t *testing.T) {
	db := memNode(t, &node.Options{Cores: 2}).Tenant(0)
	mustPut(t, db, "k", "0")
	for round := range 20 {
		var wins sync.Map
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				ok, err := db.CompareAndSwap(context.Background(), []byte("k"), fmt.Append(nil, round), fmt.Append(nil, round+1), nil)
				if err != nil {
					t.Error(err)
				}
				if ok {
					wins.Store(i, true)
				}
			})
		}
		wg.Wait()
		n := 0
		wins.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Fatalf("round %d: %d winners, want 1", round, n)
		}
	}
}

func TestDB_Limits(t *testing.T) {
	ctx, db := t.Context(), memNode(t, nil).Tenant(0)
	long := make([]byte, 64<<10+1)
	huge := make([]byte, 16<<20)
	tests := []struct {
		name string
		err  func() error
		want error
	}{
		{"empty key", func() error { _, err := db.Put(ctx, nil, nil, nil); return err }, node.ErrKeyEmpty},
		{"empty key read", func() error { _, err := db.Get(ctx, nil); return err }, node.ErrKeyEmpty},
		{"long key", func() error { _, err := db.Put(ctx, long, nil, nil); return err }, node.ErrKeyTooLarge},
		{"large value", func() error { _, err := db.Put(ctx, []byte("k"), huge, nil); return err }, node.ErrValueTooLarge},
		{"long idempotency key", func() error {
			_, err := db.Put(ctx, []byte("k"), nil, &node.WriteOptions{IdempotencyKey: long[:256]})
			return err
		}, node.ErrIdempotencyKey},
		{"empty batch", func() error { _, err := db.Apply(ctx, &node.Batch{}, nil); return err }, node.ErrKeyEmpty},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.err(); !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := db.Put(ctx, long[:64<<10], []byte{}, nil); err != nil {
		t.Fatalf("longest key: %v", err)
	}
	if got, err := db.Get(ctx, long[:64<<10]); err != nil || len(got) != 0 {
		t.Fatalf("empty value = %v, %v", got, err)
	}
}

func TestDB_Batch(t *testing.T) {
	ctx, db := t.Context(), memNode(t, &node.Options{VShards: 8}).Tenant(3)
	var b node.Batch
	b.Put([]byte("{t}a"), []byte("1"))
	b.Put([]byte("{t}b"), []byte("2"))
	b.Put([]byte("{t}a"), []byte("3"))
	b.Delete([]byte("{t}b"))
	lsn, err := db.Apply(ctx, &b, nil)
	if err != nil || lsn == 0 {
		t.Fatalf("Apply = %d, %v", lsn, err)
	}
	wantGet(t, db, "{t}a", "3")
	wantAbsent(t, db, "{t}b")

	b.Reset()
	for i := range 64 {
		b.Put(fmt.Appendf(nil, "spread%d", i), nil)
	}
	if _, err := db.Apply(ctx, &b, nil); !errors.Is(err, node.ErrCrossVShard) {
		t.Fatalf("Apply over vshards = %v, want ErrCrossVShard", err)
	}
	wantAbsent(t, db, "spread0")
}

// A later request of the same core sees what a batch staged.
func TestDB_BatchThenConditional(t *testing.T) {
	db := memNode(t, &node.Options{Cores: 1}).Tenant(0)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			var b node.Batch
			b.Put(fmt.Appendf(nil, "{x}%d", i), []byte("5"))
			b.Put(fmt.Appendf(nil, "{x}%d", i), []byte("6"))
			if _, err := db.Apply(context.Background(), &b, &node.WriteOptions{Async: true}); err != nil {
				t.Error(err)
			}
			if n, err := db.Increment(context.Background(), fmt.Appendf(nil, "{x}%d", i), 1, nil); err != nil || n != 7 {
				t.Errorf("Increment after an async batch = %d, %v, want 7", n, err)
			}
		})
	}
	wg.Wait()
}

func TestDB_Expiry(t *testing.T) {
	clock := newClock()
	fs := vfs.NewMem()
	o := &node.Options{FS: fs, Clock: clock.Now, BallastBytes: -1, SegmentBytes: 256 << 10, MaintainInterval: time.Millisecond}
	n, err := node.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, db := t.Context(), n.Tenant(0)
	put := func(key string, ttl time.Duration) {
		t.Helper()
		if _, err := db.Put(ctx, []byte(key), []byte("v"), &node.WriteOptions{TTL: ttl}); err != nil {
			t.Fatal(err)
		}
	}
	put("short", 10*time.Second)
	put("long", time.Hour)
	put("kept", 10*time.Second)
	if ok, err := db.Expire(ctx, []byte("kept"), time.Time{}, nil); err != nil || !ok {
		t.Fatalf("Expire to never = %v, %v", ok, err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	// The time to live is absolute: it goes on while the node is down.
	clock.advance(11 * time.Second)
	n = open(t, "db", o)
	db = n.Tenant(0)
	wantAbsent(t, db, "short")
	wantGet(t, db, "long", "v")
	wantGet(t, db, "kept", "v")
	if ok, err := db.PutIfAbsent(ctx, []byte("short"), []byte("new"), nil); err != nil || !ok {
		t.Fatalf("PutIfAbsent of an expired key = %v, %v", ok, err)
	}
	// A logged record removes what expired: the stored entries become fewer.
	put("gone", time.Second)
	clock.advance(5 * time.Second)
	awaitEntries(t, n, 3)
	wantGet(t, db, "short", "new")
}

// awaitEntries waits until the digest covers so many entries.
func awaitEntries(t *testing.T, n *node.Node, want uint64) {
	t.Helper()
	for {
		d, err := n.Digest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d.Entries == want {
			return
		}
	}
}

func TestDB_Idempotency(t *testing.T) {
	fs := vfs.NewMem()
	o := &node.Options{FS: fs, BallastBytes: -1, SegmentBytes: 256 << 10}
	n, err := node.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	once := func(key string) *node.WriteOptions { return &node.WriteOptions{IdempotencyKey: []byte(key)} }
	check := func(n *node.Node) {
		t.Helper()
		db := n.Tenant(0)
		for range 2 {
			if got, err := db.Increment(ctx, []byte("n"), 5, once("a")); err != nil || got != 5 {
				t.Fatalf("Increment = %d, %v, want 5", got, err)
			}
			if ok, err := db.CompareAndSwap(ctx, []byte("c"), []byte("no"), []byte("1"), once("b")); err != nil || ok {
				t.Fatalf("CompareAndSwap = %v, %v, want false", ok, err)
			}
		}
		if _, err := db.Delete(ctx, []byte("n"), once("a")); err == nil {
			t.Fatal("another operation under the same key was accepted")
		}
		if got, err := n.Tenant(1).Increment(ctx, []byte("n"), 2, once("a")); err != nil || got != 2 {
			t.Fatalf("another tenant's Increment = %d, %v, want 2", got, err)
		}
	}
	check(n)
	mustPut(t, n.Tenant(0), "c", "no")
	check(n)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, "db", o))
}

// Many repetitions at once, of which the first is still under way, execute once.
func TestDB_IdempotencyInFlight(t *testing.T) {
	db := memNode(t, nil).Tenant(0)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			o := &node.WriteOptions{IdempotencyKey: []byte("once"), Async: i%2 == 0}
			if got, err := db.Increment(context.Background(), []byte("n"), 1, o); err != nil || got != 1 {
				t.Errorf("Increment = %d, %v, want 1", got, err)
			}
		})
	}
	wg.Wait()
	if got, err := db.Increment(t.Context(), []byte("n"), 0, nil); err != nil || got != 1 {
		t.Fatalf("sum = %d, %v, want 1", got, err)
	}
}

// An expired request was not executed, so its key is not used up.
func TestDB_ExpiredRequestKeepsIdempotencyKey(t *testing.T) {
	db := memNode(t, nil).Tenant(0)
	past, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	o := &node.WriteOptions{IdempotencyKey: []byte("once")}
	if _, err := db.Increment(past, []byte("n"), 1, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Increment past its deadline = %v, want DeadlineExceeded", err)
	}
	if got, err := db.Increment(t.Context(), []byte("n"), 1, o); err != nil || got != 1 {
		t.Fatalf("Increment = %d, %v, want 1", got, err)
	}
}
