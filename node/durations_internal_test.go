package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/internal/durations"
	"github.com/nodedb-go/nodedb/internal/faultfs"
)

// A stoppedClock moves only when a test moves it, and counts who looks at it.
type stoppedClock struct {
	at    time.Time
	ahead atomic.Int64
	looks atomic.Int64
}

func (c *stoppedClock) Now() time.Time {
	c.looks.Add(1)
	return c.at.Add(time.Duration(c.ahead.Load()))
}

// took are the updates that ended during step.
func took(n *Node, step func()) Durations {
	before := n.Status().Updates
	step()
	after := n.Status().Updates
	return after.Since(&before)
}

// startSlow opens a node whose next sync of a group takes as long, by the clock, as is
// stored in slow.
func startSlow(t *testing.T) (n *Node, clock *stoppedClock, slow *atomic.Int64, fs *faultfs.FS) {
	t.Helper()
	fs, clock, slow = faultfs.New(vfs.NewMem()), &stoppedClock{at: time.Unix(1e9, 0)}, new(atomic.Int64)
	o := smallOptions(fs)
	o.SegmentBytes, o.Clock = 1<<20, clock.Now
	n = start(t, o)
	// What the log prepares in the background is written in long writes.
	var short atomic.Value
	short.Store("")
	fs.Hook(func(op faultfs.Op) {
		switch {
		case !inLog(op.Path):
		case op.Kind == faultfs.Write && op.Bytes < 4096:
			short.Store(op.Path)
		case op.Kind == faultfs.Sync && op.Path == short.Load():
			clock.ahead.Add(slow.Swap(0))
		}
	})
	t.Cleanup(func() { fs.Hook(nil) })
	return n, clock, slow, fs
}

type toldUpdate struct{ n atomic.Int64 }

func (u *toldUpdate) UpdateEnded() { u.n.Add(1) }

// An update that the disk holds up is counted with that time, however it was
// submitted, and when its client is told; one that does not wait for the disk is not
// held up.
func TestUpdates_SlowDisk(t *testing.T) {
	n, _, slow, _ := startSlow(t)
	db, ctx := n.Tenant(0), t.Context()
	put := func(tx *Tx) error { return tx.PutMillis([]byte("k"), []byte("v"), 0) }
	var held Durations
	held[durations.Bucket(300*time.Millisecond)] = 1
	for what, write := range map[string]func() error{
		"Put":    func() error { _, err := db.Put(ctx, []byte("k"), []byte("v"), nil); return err },
		"Update": func() error { _, err := db.Update(ctx, []byte("k"), nil, put); return err },
		"StartUpdate": func() error {
			u, err := db.StartUpdate(ctx, []byte("k"), nil, put)
			if err != nil {
				return err
			}
			_, err = u.Wait(ctx)
			return err
		},
		"Starter": func() error {
			woken := make(chan struct{}, 100)
			s := n.NewStarter(func() { woken <- struct{}{} })
			var told toldUpdate
			u, err := s.StartUpdate(ctx, db, []byte("k"), nil, put, &told)
			if err != nil {
				return err
			}
			for s.Send(); told.n.Load() == 0; {
				<-woken
			}
			_, err = u.Wait(ctx)
			return err
		},
	} {
		got := took(n, func() {
			slow.Store(int64(300 * time.Millisecond))
			if err := write(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
		if diff := cmp.Diff(held, got); diff != "" {
			t.Errorf("%s whose sync takes 300 ms (-want +got):\n%s", what, diff)
		}
	}
	got := took(n, func() {
		slow.Store(int64(300 * time.Millisecond))
		if _, err := db.Put(ctx, []byte("k"), []byte("v"), &WriteOptions{Async: true}); err != nil {
			t.Error(err)
		}
	})
	if diff := cmp.Diff(Durations{1}, got); diff != "" {
		t.Errorf("Put(Async) (-want +got):\n%s", diff)
	}
	mustClose(t, n)
}

// Updates that fail count: where the log fails, where the core refuses, where a
// deadline passes in the queue, and when they panic. What is refused at once does not.
func TestUpdates_Failed(t *testing.T) {
	n, clock, slow, fs := startSlow(t)
	db, ctx := n.Tenant(0), t.Context()
	if _, err := db.Put(ctx, []byte("text"), []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	one := func(d time.Duration) (out Durations) { out[durations.Bucket(d)] = 1; return out }
	want := func(what string, want Durations, step func() error) {
		t.Helper()
		got := took(n, func() {
			if step() == nil {
				t.Errorf("%s does not fail", what)
			}
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want("an increment of text", one(0), func() error { _, err := db.Increment(ctx, []byte("text"), 1, nil); return err })
	want("a panic", one(time.Second), func() error {
		_, err := db.Update(ctx, []byte("k"), nil, func(*Tx) error {
			clock.ahead.Add(int64(time.Second))
			panic("by a test")
		})
		return err
	})
	want("a deadline in the queue", one(time.Minute), func() error {
		release := block(t, n, 0)
		late, cancel := context.WithDeadline(context.Background(), clock.Now().Add(time.Second)) // of the past
		defer cancel()
		u, err := db.StartUpdate(late, keyOn(n, 0), nil, func(*Tx) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		clock.ahead.Add(int64(time.Minute))
		release()
		_, err = u.Wait(context.Background())
		return err
	})
	want("an empty key", Durations{}, func() error { _, err := db.Put(ctx, nil, nil, nil); return err })
	want("a sync that fails", one(300*time.Millisecond), func() error {
		slow.Store(int64(300 * time.Millisecond))
		fs.Inject(faultfs.Fault{Kinds: []faultfs.Kind{faultfs.Sync}, Path: inLog, Err: syscall.EIO, Times: -1})
		_, err := db.Put(ctx, []byte("lost"), nil, nil)
		fs.Clear()
		return err
	})
	want("a log that is poisoned", Durations{}, func() error { _, err := db.Put(ctx, []byte("k"), nil, nil); return err })
	wantError(t, "Close", n.Close(), ErrReadOnly)
}

// What a Starter sends together costs no look at the clock for each.
func TestUpdates_ClockIsReadOncePerBatch(t *testing.T) {
	n, clock, _, _ := startSlow(t)
	woken := make(chan struct{}, 1000)
	s := n.NewStarter(func() { woken <- struct{}{} })
	var told toldUpdate
	const updates = 400
	refused := errors.New("refused")
	before := clock.looks.Load()
	var under [updates]Updating
	got := took(n, func() {
		for i := range under {
			key := keyOn(n, i%2)
			var err error
			under[i], err = s.StartUpdate(t.Context(), n.Tenant(0), key, nil, func(tx *Tx) error {
				if i%3 == 0 {
					return refused
				}
				return tx.PutMillis(key, []byte("v"), 0)
			}, &told)
			if err != nil {
				t.Fatal(err)
			}
		}
		for s.Send(); told.n.Load() < updates; {
			<-woken
		}
	})
	if diff := cmp.Diff(Durations{updates}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if looks := clock.looks.Load() - before; looks > updates/4 {
		t.Errorf("%d looks at the clock for %d updates", looks, updates)
	}
	for i, u := range under {
		if _, err := u.Wait(t.Context()); err != nil && !errors.Is(err, refused) {
			t.Errorf("update %d: %v", i, err)
		}
	}
	mustClose(t, n)
}

// An update that waits for a store that is behind is counted once, with its pauses.
func TestUpdates_Stalled(t *testing.T) {
	n, clock, _, fs := startSlow(t)
	db, key := n.Tenant(0), keyOn(n, 0)
	fs.Inject(faultfs.Fault{Kinds: []faultfs.Kind{faultfs.Create}, Path: func(p string) bool { return strings.HasSuffix(p, ".sst") }, Err: syscall.ENOSPC, Times: -1})
	tries := uint64(0)
	before := n.Status().Updates
	for err := error(nil); !errors.Is(err, ErrStalled); tries++ {
		u, serr := db.StartUpdate(t.Context(), key, nil, func(tx *Tx) error { return tx.PutMillis(key, make([]byte, 256<<10), 0) })
		if serr != nil {
			t.Fatal(serr)
		}
		_, err = u.Wait(t.Context())
		if err != nil && !errors.Is(err, ErrStalled) || tries > 1000 {
			t.Fatalf("after %d updates: %v", tries, err)
		}
	}
	after := n.Status().Updates
	if diff := cmp.Diff(Durations{tries}, after.Since(&before)); diff != "" {
		t.Errorf("updates until one is refused (-want +got):\n%s", diff)
	}
	var held Durations
	held[len(held)-1] = 1
	stalled := func(ctx context.Context, goOn func()) (err error) {
		got := took(n, func() {
			answer, tasks := make(chan error, 1), n.Status().Cores[0].Metrics.Tasks
			go func() {
				_, err := db.Put(ctx, key, []byte("v"), nil)
				answer <- err
			}()
			await(t, "some tries", func() bool { return n.Status().Cores[0].Metrics.Tasks > tasks+3 })
			clock.ahead.Add(int64(time.Minute))
			goOn()
			err = <-answer
		})
		if diff := cmp.Diff(held, got); diff != "" {
			t.Errorf("Put that answers %v (-want +got):\n%s", err, diff)
		}
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	wantError(t, "Put that is given up", stalled(ctx, cancel), context.Canceled)
	if err := stalled(t.Context(), fs.Clear); err != nil {
		t.Errorf("Put when tables can be written again: %v", err)
	}
	mustClose(t, n)
}
