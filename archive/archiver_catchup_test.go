package archive_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// laggingRig has a required store and an optional one that is down, while all
// but the last segment leave the WAL.
func laggingRig(t *testing.T, segments int) (r *rig, rec *recorder, second *archivetest.Faulty) {
	r = newRig(t, segments)
	rec, second = r.addStore("mem://second", true)
	second.SetPlan(archivetest.Always(archivetest.Fail))
	return r, rec, second
}

// leave archives all segments and takes those up to n out of the WAL.
func (r *rig) leave(a *archive.Archiver, n int) {
	r.t.Helper()
	r.add(a, r.segs...)
	waitFor(r.t, a, r.last())
	for _, s := range r.segs[:n] { // what Truncate does
		if err := r.fs.Remove(s.Path); err != nil {
			r.t.Fatal(err)
		}
	}
	a.Truncated(r.segs[n-1].Last)
}

// complete checks that the second store stands by itself.
func (r *rig) complete(a *archive.Archiver, rec *recorder, ids *archive.Identities) {
	r.t.Helper()
	st := a.Status().Stores[1]
	if st.Archived != r.last() || st.Missing != 0 || st.CatchingUp {
		r.t.Errorf("status %+v", st)
	}
	if gaps := rec.created("/gap/"); len(gaps) != 0 {
		r.t.Errorf("second store has gaps %v", gaps)
	}
	readableBy(r.t, rec, ids, r.segs)
}

// What an optional store missed while it was down, and the WAL no longer has, is
// copied from the other one, byte for byte: segments, packs, encrypted or not,
// and bases.
func TestCatchUp(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r, rec, second := laggingRig(t, 9)
			var ids *archive.Identities
			if encrypted {
				var public string
				public, ids = newKey(t)
				r.opts.Recipients = recipients(t, public)
			}
			a := r.start()
			r.leave(a, 8)
			b := newBaseRig(t)
			b.in.Epoch, b.in.LSN, b.opts.Recipients = r.epoch, r.segs[4].Last, r.opts.Recipients
			b.in.VShards[0].Applied, b.in.VShards[1].Applied, b.in.VShards[2].Applied = 2, 2, 2
			if _, err := archive.WriteBase(t.Context(), r.rec, b.in, &b.opts); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if st := a.Status().Stores[1]; st.Archived != 0 || st.Missing != uint64(r.segs[7].Last) || st.MissingFrom != 1 {
				t.Errorf("while it is down: status %+v", st)
			}
			second.SetPlan(archivetest.Healthy)
			time.Sleep(time.Hour)
			r.complete(a, rec, ids)
			for _, kind := range []string{"/wal/", "/base/", "/obj/"} {
				if got, want := len(rec.created(kind)), len(r.rec.created(kind)); got != want || want == 0 {
					t.Errorf("encrypted %v: %d of %s in the second store, want %d", encrypted, got, kind, want)
				}
			}
			if st := a.Status().Stores[1]; st.Copied < 8 || st.CopiedBytes == 0 {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// A segment that is in a pack only comes with its pack.
func TestCatchUpFromPacks(t *testing.T) {
	r, first := newSmall(t, 9)
	if rep, err := compact(t, first, eager); err != nil || rep.Deleted != 8 {
		t.Fatalf("compact: %v, %+v", err, rep)
	}
	r.opts.Stores = []archive.StoreConfig{{Store: named{first, "mem://first"}}}
	r.opts.JournalDir = "new"
	rec, _ := r.addStore("mem://second", true)
	a := r.start()
	r.add(a, r.segs[:8]...)
	a.Truncated(r.segs[7].Last) // before any worker had time, or after: both must end well
	r.add(a, r.segs[8])
	waitCaughtUp(t, a, r.last())
	readable(t, rec, r.segs)
}

// waitCaughtUp waits for the second store.
func waitCaughtUp(t *testing.T, a *archive.Archiver, lsn wal.LSN) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for tick := time.NewTicker(time.Millisecond); a.Status().Stores[1].Archived < lsn; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("second store is not caught up: %+v", a.Status().Stores[1])
		}
	}
}

// A restart in the middle goes on with what is missing then, with the journal
// and without it. Nothing is sent twice.
func TestCatchUpRestart(t *testing.T) {
	for _, journal := range []bool{true, false} {
		for stopAt := 1; stopAt <= 3; stopAt += 2 {
			t.Run(fmt.Sprintf("journal %v, after %d", journal, stopAt), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, rec, second := laggingRig(t, 9)
					second.SetPlan(archivetest.Healthy)
					a := r.start()
					r.add(a, r.segs[0])
					time.Sleep(time.Minute) // both have the first one
					second.SetPlan(archivetest.Always(archivetest.Fail))
					r.leave(a, 8)
					n := 0
					second.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
						if op == archivetest.OpCreate && strings.Contains(key, "/wal/") {
							if n++; n > stopAt {
								return archivetest.Hang
							}
						}
						return archivetest.None
					})
					time.Sleep(20 * time.Second)
					if st := a.Status().Stores[1]; !st.CatchingUp {
						t.Errorf("not at it: %+v", st)
					}
					stop(a) // while it hangs: nothing is left behind
					if !journal {
						if err := r.fs.RemoveAll(jourDir + "/journal.log"); err != nil {
							t.Fatal(err)
						}
					}
					second.SetPlan(archivetest.Healthy)
					r.opts.From = r.segs[7].Last
					b := r.start()
					r.add(b, r.segs[8])
					time.Sleep(time.Hour)
					r.complete(b, rec, nil)
				})
			})
		}
	}
}

// A store that has never been up has all of the outage to catch up with, also
// after a restart: nothing in the store itself tells.
func TestCatchUpFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec, second := laggingRig(t, 5)
		a := r.start()
		r.leave(a, 4)
		synctest.Wait()
		stop(a)
		r.opts.From = r.segs[3].Last
		b := r.start()
		r.add(b, r.segs[4])
		time.Sleep(time.Minute)
		second.SetPlan(archivetest.Healthy)
		time.Sleep(time.Hour)
		r.complete(b, rec, nil)
	})
}

// A segment that another store may have is no gap as long as that one does not
// answer; what it turns out not to have is one.
func TestCatchUpUnknownIsNotAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec, second := laggingRig(t, 6)
		a := r.start()
		r.leave(a, 5)
		r.store.SetPlan(archivetest.Always(archivetest.Hang))
		second.SetPlan(archivetest.Healthy)
		time.Sleep(time.Hour)
		st := a.Status().Stores[1]
		if gaps := rec.created("/gap/"); len(gaps) != 0 || st.Archived != 0 || st.LastError == "" {
			t.Errorf("gaps %v, status %+v", gaps, st)
		}
		r.rec.forget(r.key(2))
		if err := r.rec.Store.Delete(t.Context(), r.key(2)); err != nil {
			t.Fatal(err)
		}
		r.store.SetPlan(archivetest.Healthy)
		time.Sleep(time.Hour)
		st = a.Status().Stores[1]
		gaps, err := archive.ReadGaps(t.Context(), rec, nodeID)
		if err != nil || len(gaps) != 1 || gaps[0].First != r.segs[2].First || gaps[0].Last != r.segs[2].Last {
			t.Errorf("gaps %+v, %v; want the one segment that no store has", gaps, err)
		}
		if st.Archived != r.last() || len(rec.created("/wal/")) != 5 {
			t.Errorf("status %+v", st)
		}
	})
}

// The copier of one store that hangs holds up neither the required store nor a
// third one.
func TestCatchUpStallsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, second := laggingRig(t, 9)
		third, _ := r.addStore("mem://third", true)
		a := r.start()
		all := r.segs
		r.segs = all[:6]
		r.leave(a, 5)
		time.Sleep(time.Minute)
		second.SetPlan(onKey(archivetest.OpCreate, "/wal/", archivetest.Hang))
		time.Sleep(time.Minute)
		r.segs = all
		r.add(a, r.segs[6:]...)
		waitFor(t, a, r.last())
		synctest.Wait()
		if got := len(third.created("/wal/")); got != 9 {
			t.Errorf("third store has %d segments, want 9", got)
		}
		if st := a.Status().Stores[1]; st.Archived != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

// Law 8: who took the store over meanwhile gets nothing from us.
func TestCatchUpFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec, second := laggingRig(t, 5)
		second.SetPlan(archivetest.Healthy)
		a := r.start()
		r.add(a, r.segs[0])
		time.Sleep(time.Minute)
		second.SetPlan(archivetest.Always(archivetest.Fail))
		r.leave(a, 4)
		for range 2 {
			if _, err := archive.ClaimEpoch(t.Context(), one(rec), archive.Claim{NodeID: nodeID, Dir: "other", FS: vfs.NewMem()}); err != nil {
				t.Fatal(err)
			}
		}
		second.SetPlan(archivetest.Healthy)
		time.Sleep(time.Hour)
		if st := a.Status().Stores[1]; st.Circuit != "fenced" || st.Copied != 0 || a.Fenced() != nil {
			t.Errorf("status %+v, fenced %v", st, a.Fenced())
		}
	})
}

// An outage costs no memory for each segment, and the rate is kept.
func TestCatchUpRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec, second := laggingRig(t, 9)
		r.opts.CatchUpRate = 1 << 10
		a := r.start()
		r.leave(a, 8)
		var bytes int64
		for _, key := range r.rec.created("/wal/")[:8] {
			bytes += int64(len(content(t, r.rec.Store, key)))
		}
		second.SetPlan(archivetest.Healthy)
		began := time.Now()
		waitCaughtUp(t, a, r.last())
		if took, least := time.Since(began), time.Duration(bytes-32<<10)*time.Second/(1<<10); took < least {
			t.Errorf("%d bytes in %v, want at least %v", bytes, took, least)
		}
		r.complete(a, rec, nil)
	})
}
