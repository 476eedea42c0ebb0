package archive_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// Block: over the budget writes are refused, with the reason, until the
// archive has caught up.
func TestBudgetBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		r.opts.BudgetBytes = r.segs[0].Bytes + r.segs[1].Bytes
		a := r.start()
		r.store.SetPlan(archivetest.Always(archivetest.Fail))
		r.add(a, r.segs[:2]...)
		if err := a.Admit(); err != nil {
			t.Errorf("at the budget: %v", err)
		}
		r.add(a, r.segs[2])
		time.Sleep(time.Second)
		err := a.Admit()
		var stalled *archive.StalledError
		if !errors.As(err, &stalled) || !errors.Is(err, archive.ErrArchiveStalled) {
			t.Fatalf("over the budget: %v", err)
		}
		if want := r.opts.BudgetBytes + r.segs[2].Bytes; stalled.Bytes != want || stalled.Last != r.segs[2].Last {
			t.Errorf("%+v, want %d bytes up to LSN %d", stalled, want, r.segs[2].Last)
		}
		if !errors.Is(r.refreshed(a), archive.ErrUnreachable) {
			t.Errorf("the cause is not told: %v", a.Admit())
		}
		r.store.SetPlan(archivetest.Healthy)
		waitFor(t, a, r.segs[2].Last)
		if err := a.Admit(); err != nil {
			t.Errorf("after catching up: %v", err)
		}
	})
}

// refreshed is Admit after the archiver had time to fail again.
func (r *rig) refreshed(a *archive.Archiver) error {
	time.Sleep(time.Minute)
	return a.Admit()
}

// A stuck first segment counts, although everything after it is archived: it
// is what holds the WAL.
func TestStuckFirstSegmentCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		r.opts.BudgetBytes = r.segs[0].Bytes
		a := r.start()
		r.store.SetPlan(onKey(archivetest.OpCreate, r.key(0), archivetest.Hang))
		r.add(a, r.segs...)
		time.Sleep(time.Hour)
		if st := a.Status().Stores[0]; st.Verified != 4 {
			t.Errorf("status %+v", st)
		}
		var sum int64
		for _, s := range r.segs {
			sum += s.Bytes
		}
		var stalled *archive.StalledError
		if err := a.Admit(); !errors.As(err, &stalled) || stalled.Bytes != sum {
			t.Errorf("Admit = %v, want all %d bytes to count", err, sum)
		}
	})
}

// Shed, while the store answers: the gap object is there before the segment
// is released.
func TestShedWritesGapFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		r.opts.BudgetBytes, r.opts.Policy = r.segs[4].Bytes, archive.Shed
		var a *archive.Archiver
		var checks atomic.Int64
		r.opts.OnAdvance = func() {
			gaps := r.rec.created("/gap/")
			for _, s := range r.segs[1:] {
				gap := archive.Join(nodeID, archive.GapKey{Timeline: 1, First: s.First, Last: s.Last})
				if s.Last > a.Releasable() {
					break
				}
				checks.Add(1)
				if !slices.Contains(gaps, gap) {
					t.Errorf("LSN %d was released before %s existed", s.Last, gap)
				}
			}
		}
		a = r.start()
		r.add(a, r.segs[0])
		waitFor(t, a, r.segs[0].Last)
		r.store.SetPlan(onKey(archivetest.OpCreate, "/wal/", archivetest.Hang))
		r.add(a, r.segs[1:]...)
		time.Sleep(time.Second)
		if err := a.Admit(); err != nil {
			t.Errorf("Admit = %v while shedding", err)
		}
		if got, want := a.Releasable(), r.segs[3].Last; got != want {
			t.Errorf("Releasable = %d, want %d", got, want)
		}
		if checks.Load() == 0 {
			t.Error("nothing was shed")
		}
		// The upload that hangs is of a segment that may be gone by now.
		time.Sleep(time.Hour)
		if got := a.Archived(); got != r.segs[3].Last {
			t.Errorf("Archived = %d, want the gaps to count up to %d", got, r.segs[3].Last)
		}
	})
}

// Shed, while the store is down: the gap is durable on this machine before the
// segment is released, and in the store before anything after it counts,
// also when the process restarts in between and loses what was not synced.
func TestShedDuringOutage(t *testing.T) {
	for _, journal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 6)
			a := r.start()
			r.add(a, r.segs[0])
			waitFor(t, a, r.segs[0].Last)
			if err := a.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.opts.BudgetBytes, r.opts.Policy = r.segs[4].Bytes, archive.Shed
			a = r.start()
			r.store.SetPlan(archivetest.Always(archivetest.Fail))
			r.add(a, r.segs[:5]...)
			time.Sleep(time.Hour)
			if got, want := a.Releasable(), r.segs[3].Last; got != want {
				t.Fatalf("Releasable = %d, want %d", got, want)
			}
			if got := a.Archived(); got != r.segs[0].Last {
				t.Errorf("Archived = %d, want %d", got, r.segs[0].Last)
			}
			if err := a.Admit(); err != nil {
				t.Errorf("Admit = %v", err)
			}
			a.Truncated(r.segs[3].Last)
			stop(a)
			r.fs = copyFS(r.fs)
			r.opts.FS, r.opts.BudgetBytes = r.fs, 0 // room for all that is left
			if !journal {
				if err := r.fs.Remove(journalPath); err != nil {
					t.Fatal(err)
				}
			}
			b := r.start()
			r.add(b, r.segs[4:]...)
			time.Sleep(time.Minute)
			if n := len(r.rec.created("/wal/")); n != 1 {
				t.Errorf("%d segments in a store that is down", n)
			}
			r.store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
				if op == archivetest.OpCreate && strings.Contains(key, "/gap/") {
					return archivetest.Fail
				}
				return archivetest.None
			})
			time.Sleep(time.Hour)
			if got := b.Archived(); got > r.segs[3].Last {
				t.Errorf("Archived = %d before the gap was declared", got)
			}
			r.store.SetPlan(archivetest.Healthy)
			waitFor(t, b, r.last())
			gaps, err := archive.ReadGaps(t.Context(), r.rec, nodeID)
			if err != nil || len(gaps) == 0 || gaps[0].First != r.segs[1].First || gaps[len(gaps)-1].Last != r.segs[3].Last {
				t.Errorf("gaps %+v, err %v", gaps, err)
			}
		})
	}
}

// Shed without a journal and without a store can record the gap nowhere: it
// releases nothing, and writes are refused.
func TestShedNeedsARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		r.opts.BudgetBytes, r.opts.Policy = r.segs[0].Bytes, archive.Shed
		var full atomic.Bool
		full.Store(true)
		r.opts.FS = errorfs.Wrap(r.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if full.Load() && strings.HasPrefix(op.Path, jourDir) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				return syscall.ENOSPC
			}
			return nil
		}))
		a := r.start()
		r.store.SetPlan(archivetest.Always(archivetest.Fail))
		r.add(a, r.segs...)
		time.Sleep(time.Hour)
		if got := a.Releasable(); got != 0 {
			t.Errorf("Releasable = %d without any record of a gap", got)
		}
		err := a.Admit()
		if !errors.Is(err, archive.ErrArchiveStalled) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Admit = %v", err)
		}
		full.Store(false)
		time.Sleep(time.Hour)
		if got := a.Releasable(); got < r.segs[2].Last {
			t.Errorf("Releasable = %d once the disk has room", got)
		}
		if err := a.Admit(); err != nil {
			t.Errorf("Admit = %v", err)
		}
	})
}

// A fenced archiver sheds nothing: the WAL is kept, and the budget blocks.
func TestFencedKeepsTheWAL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		r.opts.BudgetBytes, r.opts.Policy = r.segs[0].Bytes, archive.Shed
		if _, err := archive.ClaimEpoch(t.Context(), r.opts.Stores, archive.Claim{NodeID: nodeID, Dir: "other", FS: r.fs}); err != nil {
			t.Fatal(err)
		}
		a := r.start()
		r.add(a, r.segs[0])
		time.Sleep(time.Minute)
		r.add(a, r.segs[1:]...)
		time.Sleep(time.Minute)
		if a.Releasable() != 0 || len(r.rec.created("/gap/")) != 0 {
			t.Errorf("Releasable = %d, gaps %v", a.Releasable(), r.rec.created("/gap/"))
		}
		if err := a.Admit(); !errors.Is(err, archive.ErrArchiveStalled) || !errors.Is(err, archive.ErrFenced) {
			t.Errorf("Admit = %v", err)
		}
	})
}
