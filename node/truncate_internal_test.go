package node

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// isSegment tells whether a key is that of a log segment in the archive.
func isSegment(key string) bool { return strings.Contains(key, "/wal/") }

// isFirst tells whether it is that of the segment that begins with LSN 1.
func isFirst(key string) bool { return strings.Contains(key, "/0000000000000001-") }

// onFirst gives a fault to every creation of the first segment.
func onFirst(f archivetest.Fault) archivetest.Plan {
	return func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpCreate && isSegment(key) && isFirst(key) {
			return f
		}
		return archivetest.None
	}
}

// inStore is the LSN up to which the store really holds the log without a hole.
func inStore(t *testing.T, s archive.Store) wal.LSN {
	t.Helper()
	var upTo wal.LSN
	for o, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		_, rel, ok := strings.Cut(o.Key, archive.NodePrefix("n1"))
		if !ok {
			continue
		}
		if k, err := archive.ParseKey(rel); err == nil {
			if k, ok := k.(archive.SegmentKey); ok && k.First == upTo+1 {
				upTo = k.Last
			}
		}
	}
	return upTo
}

// heal mends a store, and has the archiver try at once what it put off.
func heal(n *Node, s *archivetest.Faulty) {
	s.SetPlan(archivetest.Healthy)
	n.archiver.Kick()
}

// Law 6: one upload that fails, is cut off half-way, or is acknowledged without
// being done never loses a segment, however many later ones are archived. When
// the store is mended everything is archived and truncated.
func TestTruncate_OneBadUpload(t *testing.T) {
	for _, fault := range []archivetest.Fault{archivetest.Fail, archivetest.FalseAck, archivetest.Truncated} {
		t.Run(fault.String(), func(t *testing.T) {
			store := archivetest.NewFaulty(fileStore(t), onFirst(fault))
			o := smallOptions(vfs.NewMem())
			o.Stores = []archive.StoreConfig{{Store: store}}
			n := start(t, o)
			last := fill(t, n, "k", 60)
			await(t, "the bad upload, and the others", func() bool {
				// Where the second try at what was cut off comes before the others are
				// up, it fences the archiver, and they stay in the queue.
				st := n.Status().Archive
				return store.Count(fault) > 0 && (st.Stores[0].Queued == 1 || st.Fenced != "")
			})
			r, err := n.Checkpoint(t.Context())
			if err != nil || r.RemovedSegments != 0 || r.Archived != 0 || r.HeldBy != "archive" || firstLSN(n) != 1 {
				t.Fatalf("Checkpoint = %+v, %v; the log begins at LSN %d", r, err, firstLSN(n))
			}
			if fault == archivetest.Truncated {
				// What is there is not ours: a collision with other bytes stops the
				// archive for good, and keeps the log.
				await(t, "the fence", func() bool { return n.Status().Archive.Fenced != "" })
				if _, err := n.Checkpoint(t.Context()); err != nil || firstLSN(n) != 1 {
					t.Fatalf("Checkpoint = %v; the log begins at LSN %d", err, firstLSN(n))
				}
				return
			}
			heal(n, store)
			if err := n.WaitArchived(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			if got := inStore(t, store.Inner()); got < last {
				t.Fatalf("the store holds the log up to LSN %d, want %d", got, last)
			}
			await(t, "truncation without a checkpoint", func() bool { return firstLSN(n) > 1 && firstLSN(n) <= r.Flushed+1 })
			mustClose(t, n)
		})
	}
}

// Law 6: an upload whose acknowledgement is lost is found to be there, and counts
// then.
func TestTruncate_LostAck(t *testing.T) {
	var creates atomic.Int32
	lose := func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpCreate && isSegment(key) && creates.Add(1)%2 == 1 {
			return archivetest.LostAck
		}
		return archivetest.None
	}
	store := archivetest.NewFaulty(fileStore(t), lose)
	o := smallOptions(vfs.NewMem())
	o.Stores = []archive.StoreConfig{{Store: store}}
	n := start(t, o)
	last := fill(t, n, "k", 60)
	await(t, "a lost acknowledgement", func() bool { return store.Count(archivetest.LostAck) > 0 })
	heal(n, store)
	if err := n.WaitArchived(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	r, err := n.Checkpoint(t.Context())
	if err != nil || firstLSN(n) == 1 || firstLSN(n) > inStore(t, store.Inner())+1 {
		t.Fatalf("Checkpoint = %+v, %v; the log begins at LSN %d, the store holds it up to %d", r, err, firstLSN(n), inStore(t, store.Inner()))
	}
	if f := n.Status().Archive.Fenced; f != "" {
		t.Fatalf("fenced by its own upload: %s", f)
	}
	mustClose(t, n)
}

// A hangingStore hangs in the upload of the first segment until it is let go.
type hangingStore struct {
	archive.Store
	hangs atomic.Int32
	gate  chan struct{}
}

func (h *hangingStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if isSegment(key) && isFirst(key) {
		h.hangs.Add(1)
		select {
		case <-h.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return h.Store.Create(ctx, key, body, size)
}

// Law 6: an upload that hangs holds truncation, and nothing else: later ones go
// on, writes go on, and when it ends everything is truncated.
func TestTruncate_HungUpload(t *testing.T) {
	store := &hangingStore{Store: fileStore(t), gate: make(chan struct{})}
	o := smallOptions(vfs.NewMem())
	o.Stores = []archive.StoreConfig{{Store: store}}
	n := start(t, o)
	fill(t, n, "k", 60)
	await(t, "the others", func() bool { return store.hangs.Load() > 0 && n.Status().Archive.Stores[0].Queued == 1 })
	r, err := n.Checkpoint(t.Context())
	if err != nil || r.RemovedSegments != 0 || firstLSN(n) != 1 {
		t.Fatalf("Checkpoint = %+v, %v; the log begins at LSN %d", r, err, firstLSN(n))
	}
	last := fill(t, n, "l", 10)
	close(store.gate)
	if err := n.WaitArchived(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	await(t, "truncation", func() bool { return firstLSN(n) > 1 })
	mustClose(t, n)
}

// Law 6: a required store holds the log back, an optional one does not.
func TestTruncate_OptionalAndRequired(t *testing.T) {
	for _, optional := range []bool{true, false} {
		bad := archivetest.NewFaulty(fileStore(t), func(op archivetest.Op, key string, _ int) archivetest.Fault {
			if op == archivetest.OpCreate && isSegment(key) {
				return archivetest.Fail
			}
			return archivetest.None
		})
		good := fileStore(t)
		o := smallOptions(vfs.NewMem())
		o.Stores = []archive.StoreConfig{{Store: good}, {Store: bad, Optional: optional}}
		n := start(t, o)
		last := fill(t, n, "k", 60)
		await(t, "the good store", func() bool { return n.Status().Archive.Stores[0].Archived >= last })
		r, err := n.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if held := firstLSN(n) == 1; held == optional {
			t.Fatalf("optional=%v: the log begins at LSN %d: %+v", optional, firstLSN(n), r)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what the bad store lacks would be waited for
		if err := n.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// Law 6: a pin holds the log from its LSN on; what is gone cannot be pinned, also
// after a restart.
func TestTruncate_Pin(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	fill(t, n, "k", 40)
	const at = 17
	release, err := n.PinLog("reader", at)
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.Checkpoint(t.Context())
	if err != nil || r.HeldBy != "pin reader" || firstLSN(n) > at || firstLSN(n) == 1 {
		t.Fatalf("Checkpoint = %+v, %v; the log begins at LSN %d, the pin is at %d", r, err, firstLSN(n), at)
	}
	reader := n.log.NewReader(at)
	if rec, err := reader.Next(); err != nil || rec.LSN != at {
		t.Fatalf("read LSN %d = %d, %v", at, rec.LSN, err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	release()
	release() // a second time does nothing
	if r, err := n.Checkpoint(t.Context()); err != nil || firstLSN(n) <= at || r.HeldBy != "" {
		t.Fatalf("Checkpoint after the release = %+v, %v; the log begins at LSN %d", r, err, firstLSN(n))
	}
	for range 2 {
		_, err := n.PinLog("late", at)
		wantError(t, "PinLog of what is gone", err, wal.ErrTruncated)
		if got := n.Status().Watermarks.Truncated; got != firstLSN(n)-1 {
			t.Fatalf("status says truncated up to LSN %d, the log begins at %d", got, firstLSN(n))
		}
		mustClose(t, n)
		n = start(t, n.opts)
	}
	mustClose(t, n)
}

// Law 6 and 13: with the budget used up and "block", writes are refused by name,
// reads go on, and writes go on once the store is mended.
func TestBudget_Block(t *testing.T) {
	store := archivetest.NewFaulty(fileStore(t), func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpCreate && isSegment(key) {
			return archivetest.Fail
		}
		return archivetest.None
	})
	o := smallOptions(vfs.NewMem())
	o.Stores = []archive.StoreConfig{{Store: store}}
	o.WALBudget = 32 << 10
	n := start(t, o)
	put := func() error {
		_, err := n.Tenant(0).Put(t.Context(), []byte("key"), make([]byte, 1<<10), nil)
		return err
	}
	acked := 0
	var err error
	for ; err == nil && acked < 1000; acked++ {
		err = put()
	}
	wantError(t, "Put over the budget", err, ErrArchiveStalled)
	if acked < 24 {
		t.Fatalf("refused after %d KiB, the budget is 32", acked)
	}
	if _, err := n.Tenant(0).Get(t.Context(), []byte("key")); err != nil {
		t.Fatalf("Get while writes are refused: %v", err)
	}
	if _, err := n.Checkpoint(t.Context()); err != nil || firstLSN(n) != 1 {
		t.Fatalf("Checkpoint = %v; the log begins at LSN %d", err, firstLSN(n))
	}
	if st := n.Status(); st.Writable || !strings.Contains(st.Reason, "budget") || st.Archive.Stalled == "" {
		t.Fatalf("status = %v, %q, %+v", st.Writable, st.Reason, st.Archive)
	}
	heal(n, store)
	await(t, "writes to go on", func() bool { return put() == nil })
	if st := n.Status(); !st.Writable || st.Reason != "" {
		t.Fatalf("status = %v, %q", st.Writable, st.Reason)
	}
	mustClose(t, n)
}
