package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// A client that gives up while its write waits is told so, the write is not
// executed, and its request does not come back to hurt another one.
func TestRequest_CancelWhileQueued(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	db, key := n.Tenant(0), keyOn(n, 0)
	release := block(t, n, 0)
	appended := n.log.Appended()
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 64 {
		wg.Go(func() {
			o := &WriteOptions{Async: i%2 == 0}
			if _, err := db.Put(ctx, key, []byte("given up"), o); !errors.Is(err, context.Canceled) {
				t.Errorf("Put = %v, want Canceled", err)
			}
		})
	}
	await(t, "the core's queue to fill", func() bool { return n.Status().Cores[0].Metrics.Depth >= 64 })
	cancel()
	wg.Wait()
	// Requests of others use what the pool has; none of them was cancelled.
	for range 256 {
		wg.Go(func() {
			if _, err := db.Put(t.Context(), key, []byte("kept"), nil); err != nil {
				t.Errorf("Put of another client: %v", err)
			}
		})
	}
	release()
	wg.Wait()
	if got := n.log.Appended() - appended; got != 256 {
		t.Errorf("%d records, want 256: cancelled writes were executed", got)
	}
	mustClose(t, n)
}

// A request whose client has gone is not given to another client: the first one's
// Cancel may still come.
func TestRequest_AbandonedIsNotReused(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		r := newRequest(opPut, 0)
		wantError(t, "Wait", r.waiter.Wait(ctx), context.Canceled)
		r.finish(nil)
		if next := newRequest(opPut, 0); next == r {
			t.Fatal("an abandoned request was given to the next client")
		}
	}
}

// Cancelling clients beside others on the same cores: only those that cancel see
// it.
func TestRequest_CancelStress(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	db := n.Tenant(0)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithCancel(context.Background())
				if w%2 == 0 {
					go cancel()
				}
				_, err := db.Put(ctx, fmt.Appendf(nil, "k%d", i%16), []byte("v"), nil)
				cancel()
				if err != nil && (w%2 != 0 || !errors.Is(err, context.Canceled)) {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	wg.Wait()
	mustClose(t, n)
}

// A deadline that passes while the write waits is an error that says so, and the
// write is not executed.
func TestRequest_DeadlineWhileQueued(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	release := block(t, n, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := n.Tenant(0).Put(ctx, keyOn(n, 0), []byte("late"), nil)
	wantError(t, "Put", err, context.DeadlineExceeded)
	release()
	if err := n.ReadAfter(t.Context(), n.log.Durable()); err != nil {
		t.Fatal(err)
	}
	_, err = n.Tenant(0).Get(t.Context(), keyOn(n, 0))
	wantError(t, "Get of what came too late", err, ErrNotFound)
	mustClose(t, n)
}

// Law 13: a full inbox refuses, by name and at once, and what was accepted is
// done.
func TestRequest_Overload(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	db, key := n.Tenant(0), keyOn(n, 0)
	release := block(t, n, 0)
	const clients = 1500
	var refused, done atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			switch _, err := db.Increment(context.Background(), key, 1, nil); {
			case err == nil:
				done.Add(1)
			case errors.Is(err, ErrOverloaded):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	await(t, "refusals", func() bool { return refused.Load() == clients-1024 })
	if _, err := db.Put(t.Context(), keyOn(n, 1), nil, nil); err != nil {
		t.Fatalf("Put on the other core: %v", err)
	}
	release()
	wg.Wait()
	if got, err := db.Increment(t.Context(), key, 0, nil); err == nil && got != done.Load() {
		t.Fatalf("sum = %d, %d were acknowledged", got, done.Load())
	}
	mustClose(t, n)
}

// 1,000 writers at once: every acknowledged write is there, LSNs are dense, and
// none is given twice.
func TestRequest_ThousandWriters(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.SegmentBytes = 256 << 10
	n := start(t, o)
	const writers, rounds = 1000, 5
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[wal.LSN]bool, writers*rounds)
	for w := range writers {
		wg.Go(func() {
			db := n.Tenant(uint32(w % 3))
			for r := range rounds {
				lsn, err := db.Put(context.Background(), fmt.Appendf(nil, "w%d-%d", w, r), fmt.Append(nil, r), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := db.Get(context.Background(), fmt.Appendf(nil, "w%d-%d", w, r)); err != nil {
					t.Errorf("own write: %v", err)
				}
				mu.Lock()
				if seen[lsn] {
					t.Errorf("LSN %d was given twice", lsn)
				}
				seen[lsn] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for lsn := wal.LSN(1); lsn <= writers*rounds; lsn++ {
		if !seen[lsn] {
			t.Fatalf("LSN %d was not given", lsn)
		}
	}
	mustClose(t, n)
	n = start(t, n.opts)
	for w := range writers {
		if _, err := n.Tenant(uint32(w%3)).Get(t.Context(), fmt.Appendf(nil, "w%d-%d", w, rounds-1)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, n)
}

// Values near the limit from many clients at once do not fit one append of the
// log together: each is taken all the same.
func TestRequest_LargeTogether(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.SegmentBytes, o.MemtableBytes = 64<<20, 0
	n := start(t, o)
	release := block(t, n, 0)
	key := keyOn(n, 0)
	const clients = 4
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			value := make([]byte, 12<<20)
			if _, err := n.Tenant(uint32(i)).Put(context.Background(), key, value, nil); err != nil {
				t.Errorf("Put of 12 MiB: %v", err)
			}
		})
	}
	await(t, "the core's queue to fill", func() bool { return n.Status().Cores[0].Metrics.Depth >= clients })
	release()
	wg.Wait()
	// A batch beyond the limit of a record is refused as a whole.
	var b Batch
	for i := range 3 {
		b.Put(fmt.Appendf(nil, "{b}%d", i), make([]byte, 6<<20))
	}
	_, err := n.Tenant(0).Apply(t.Context(), &b, nil)
	wantError(t, "Apply of 18 MiB", err, wal.ErrPayloadTooLarge)
	if _, err := n.Tenant(0).Get(t.Context(), []byte("{b}0")); !errors.Is(err, ErrNotFound) {
		t.Fatalf("Get of a refused batch = %v", err)
	}
	mustClose(t, n)
}

// ReadAfter waits for an LSN that somebody else wrote, until it is visible, the
// caller gives up, or the node closes.
func TestReadAfter(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	db := n.Tenant(0)
	if err := n.ReadAfter(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	const writes, future = 60, wal.LSN(50)
	answer := make(chan error, 1)
	go func() {
		err := n.ReadAfter(context.Background(), future)
		if _, gerr := db.Get(context.Background(), fmt.Appendf(nil, "k%d", future)); err == nil {
			err = gerr
		}
		answer <- err
	}()
	for i := wal.LSN(1); i <= writes; i++ {
		if len(answer) > 0 && i < future {
			t.Fatalf("answered at LSN %d", i)
		}
		lsn, err := db.Put(t.Context(), fmt.Appendf(nil, "k%d", i), nil, nil)
		if err != nil || lsn != i {
			t.Fatalf("Put = %d, %v, want %d", lsn, err, i)
		}
	}
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, "ReadAfter of a caller that gave up", n.ReadAfter(ctx, 1<<40), context.Canceled)
	// A node that closes does not wait for an LSN that may never come.
	go func() { answer <- n.ReadAfter(context.Background(), 1<<40) }()
	await(t, "the reader to wait", func() bool { return n.calls.state.Load() == 1 })
	began := time.Now()
	mustClose(t, n)
	wantError(t, "ReadAfter of a node that closes", <-answer, ErrClosed)
	if d := time.Since(began); d > closeTimeout/2 {
		t.Fatalf("Close took %s", d)
	}
	wantError(t, "ReadAfter of a closed node", n.ReadAfter(t.Context(), 1), ErrClosed)
}

// Every call of a closed node says so.
func TestClosed(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	fill(t, n, "k", 3)
	mustClose(t, n)
	mustClose(t, n) // a second one gives what the first did
	ctx, db := t.Context(), n.Tenant(0)
	var b Batch
	b.Put([]byte("k"), nil)
	for what, call := range map[string]func() error{
		"Put":          func() error { _, err := db.Put(ctx, []byte("k"), nil, nil); return err },
		"Get":          func() error { _, err := db.Get(ctx, []byte("k0")); return err },
		"Apply":        func() error { _, err := db.Apply(ctx, &b, nil); return err },
		"Scan":         func() error { _, err := db.Scan(ctx, ScanOptions{}); return err },
		"Checkpoint":   func() error { _, err := n.Checkpoint(ctx); return err },
		"Digest":       func() error { _, err := n.Digest(ctx); return err },
		"RestorePoint": func() error { _, _, err := n.RestorePoint(ctx, "p"); return err },
		"Seal":         func() error { _, err := n.Seal(ctx); return err },
		"Tenants":      func() error { _, err := n.Tenants(ctx); return err },
	} {
		wantError(t, what, call(), ErrClosed)
	}
	_ = n.Status() // does not panic
}
