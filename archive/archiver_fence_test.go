package archive_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// Law 8: two archivers of one node. The second epoch wins; the first stops
// with a FencedError, overwrites nothing and releases nothing more.
func TestSecondWriterFencesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 6)
		a := r.start()
		r.add(a, r.segs[:2]...)
		waitFor(t, a, r.segs[1].Last)

		// A copy of the node's directory goes on elsewhere.
		clone := copyFS(r.fs)
		epoch, err := archive.ClaimEpoch(t.Context(), r.opts.Stores, archive.Claim{
			NodeID: nodeID, Dir: jourDir, FS: clone, Timeline: 1, FirstLSN: r.segs[2].First, LastEpoch: 1, Host: "other",
		})
		if err != nil {
			t.Fatal(err)
		}
		if epoch.Epoch != r.epoch.Epoch+1 {
			t.Fatalf("second claim got epoch %d", epoch.Epoch)
		}
		r.add(a, r.segs[2:]...)
		err = a.Wait(t.Context(), r.last())
		var fenced *archive.FencedError
		if !errors.As(err, &fenced) || !errors.Is(err, archive.ErrFenced) || fenced.By == nil || fenced.By.Host != "other" {
			t.Fatalf("Wait = %v, want a FencedError that names the other host", err)
		}
		if a.Fenced() == nil {
			t.Error("Fenced() is nil")
		}
		if a.Archived() != r.segs[1].Last || a.Releasable() != r.segs[1].Last {
			t.Errorf("fenced archiver moved on: archived %d, releasable %d", a.Archived(), a.Releasable())
		}
		// The winner archives its own history of the same LSNs.
		others := makeSegmentsFrom(t, clone, "wal2", 3, 99, r.segs[2].First, epoch.Epoch)
		o := r.opts
		o.FS, o.Epoch = clone, epoch
		b, err := archive.NewArchiver(&o)
		if err != nil {
			t.Fatal(err)
		}
		defer stop(b)
		r.add(b, others...)
		waitFor(t, b, others[2].Last)
		if b.Fenced() != nil {
			t.Error("the winner is fenced")
		}
		synctest.Wait() // an upload that was under way when the fence was seen ends
		calls := r.store.Calls()
		time.Sleep(24 * time.Hour)
		if got := r.store.Calls(); got != calls {
			t.Errorf("%d requests after being fenced", got-calls)
		}
		// The loser cannot sneak in again under the same timeline.
		_, err = archive.ClaimEpoch(t.Context(), r.opts.Stores, archive.Claim{
			NodeID: nodeID, Dir: jourDir, FS: r.fs, Timeline: 1, FirstLSN: r.last() + 1, LastEpoch: 1,
		})
		if !errors.As(err, &fenced) {
			t.Errorf("the loser's claim = %v, want FencedError", err)
		}
		// A new timeline is open to it, above everything.
		again, err := archive.ClaimEpoch(t.Context(), r.opts.Stores, archive.Claim{
			NodeID: nodeID, Dir: jourDir, FS: r.fs, ParentTimeline: 1, ForkLSN: r.segs[1].Last, FirstLSN: r.segs[2].First,
		})
		if err != nil || again.Timeline != 2 || again.FirstLSN <= others[2].Last {
			t.Errorf("new timeline: %+v, %v", again, err)
		}
	})
}

// Law 8: the fence is asked after the upload was proven, so a claim in the
// middle of an upload counts.
func TestFenceDuringUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		a := r.start()
		claimed := false
		r.store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
			if op == archivetest.OpCreate && strings.Contains(key, "/wal/") && !claimed {
				claimed = true
				clone := copyFS(r.fs)
				_, err := archive.ClaimEpoch(t.Context(), []archive.StoreConfig{{Store: r.rec}}, archive.Claim{
					NodeID: nodeID, Dir: jourDir, FS: clone, Timeline: 1, LastEpoch: 1,
				})
				if err != nil {
					t.Error(err)
				}
			}
			return archivetest.None
		})
		r.add(a, r.segs...)
		if err := a.Wait(t.Context(), r.last()); !errors.Is(err, archive.ErrFenced) {
			t.Errorf("Wait = %v", err)
		}
		if a.Archived() != 0 {
			t.Errorf("Archived = %d", a.Archived())
		}
	})
}

// Law 8: when the fence cannot be asked, nothing counts: unknown is not absent.
func TestFenceUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		a := r.start()
		r.store.SetPlan(onKey(archivetest.OpStat, "/epoch/", archivetest.Fail))
		r.add(a, r.segs...)
		time.Sleep(time.Hour)
		if a.Archived() != 0 || a.Fenced() != nil {
			t.Errorf("Archived = %d, Fenced = %v", a.Archived(), a.Fenced())
		}
		r.store.SetPlan(archivetest.Healthy)
		waitFor(t, a, r.last())
	})
}

// Segments of the same LSNs with other content are another history, whether
// ours are there before the store is listed or come later.
func TestForeignSegmentFences(t *testing.T) {
	for _, known := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			foreign := r.segs[1]
			foreign.SHA256[0] ^= 1
			data := strings.NewReader("whatever")
			if err := r.rec.Create(t.Context(), segmentKey(foreign), data, data.Size()); err != nil {
				t.Fatal(err)
			}
			var listing sync.Mutex // held until the store may be listed
			listing.Lock()
			r.store.SetPlan(func(op archivetest.Op, _ string, _ int) archivetest.Fault {
				if op == archivetest.OpList {
					listing.Lock()
					defer listing.Unlock()
				}
				return archivetest.None
			})
			a := r.start()
			r.add(a, r.segs[:known]...)
			listing.Unlock()
			if known == 1 {
				waitFor(t, a, r.segs[0].Last)
			}
			r.add(a, r.segs[known:]...)
			err := a.Wait(t.Context(), r.last())
			var fenced *archive.FencedError
			if !errors.As(err, &fenced) || fenced.Key != segmentKey(foreign) {
				t.Errorf("%d segments known: Wait = %v", known, err)
			}
		})
	}
}

// What a fenced epoch left behind beyond its end does not fence its successor.
func TestDeadSegmentDoesNotFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		e, err := archive.ClaimEpoch(t.Context(), r.opts.Stores, archive.Claim{
			NodeID: nodeID, Dir: jourDir, FS: r.fs, Timeline: 1, FirstLSN: r.segs[1].First, LastEpoch: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		dead := r.segs[1]
		dead.SHA256[0] ^= 1 // of epoch 1, from where epoch 2 began
		data := strings.NewReader("whatever")
		if err := r.rec.Create(t.Context(), segmentKey(dead), data, data.Size()); err != nil {
			t.Fatal(err)
		}
		mine := makeSegmentsFrom(t, r.fs, "wal2", 2, 7, r.segs[1].First, e.Epoch)
		r.opts.Epoch = e
		a := r.start()
		r.add(a, r.segs[0])
		r.add(a, mine...)
		waitFor(t, a, mine[1].Last)
	})
}
