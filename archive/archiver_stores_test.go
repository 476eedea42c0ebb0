package archive_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// addStore gives the rig a second store with its own faults.
func (r *rig) addStore(url string, optional bool) (*recorder, *archivetest.Faulty) {
	rec := newRecorder(r.t)
	f := archivetest.NewFaulty(rec, nil)
	r.opts.Stores = append(r.opts.Stores, archive.StoreConfig{Store: named{f, url}, Optional: optional})
	return rec, f
}

// Law 6: a required store that is down holds truncation; an optional one does
// not, and a store that hangs does not hold the other one's uploads up.
func TestSeveralStores(t *testing.T) {
	for _, fault := range []archivetest.Fault{archivetest.Fail, archivetest.Hang} {
		for _, optional := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 5)
				rec, second := r.addStore("mem://second", optional)
				second.SetPlan(archivetest.Always(fault))
				a := r.start()
				r.add(a, r.segs...)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				want := r.last()
				if !optional {
					want = 0
				}
				if got := a.Archived(); got != want {
					t.Errorf("%v, optional %v: Archived = %d, want %d", fault, optional, got, want)
				}
				st := a.Status().Stores
				if st[0].Archived != r.last() || st[1].Archived != 0 || st[1].Queued != 5 {
					t.Errorf("%v, optional %v: status %+v", fault, optional, st)
				}
				second.SetPlan(archivetest.Healthy)
				time.Sleep(10 * time.Minute)
				if got := a.Archived(); got != r.last() {
					t.Errorf("after the outage Archived = %d, want %d", got, r.last())
				}
				if got := len(rec.created("/wal/")); got != 5 {
					t.Errorf("second store has %d segments, want 5", got)
				}
				if got := len(rec.created("/epoch/")); got != 1 {
					t.Errorf("second store has %d epochs, want 1: the claim came late", got)
				}
			})
		}
	}
}

// What an optional store missed because the WAL went on without it, and no other
// store has any more, becomes a gap there, and only there.
func TestOptionalStoreMissesSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 6)
		rec, second := r.addStore("mem://second", true)
		second.SetPlan(archivetest.Always(archivetest.Fail))
		a := r.start()
		r.add(a, r.segs[:4]...)
		waitFor(t, a, r.segs[3].Last)
		for _, s := range r.segs[:3] { // what Truncate does
			if err := r.fs.Remove(s.Path); err != nil {
				t.Fatal(err)
			}
		}
		a.Truncated(r.segs[2].Last)
		for i := range 3 {
			r.rec.forget(r.key(i))
			if err := r.rec.Store.Delete(t.Context(), r.key(i)); err != nil {
				t.Fatal(err)
			}
		}
		r.add(a, r.segs[4:]...)
		second.SetPlan(archivetest.Healthy)
		time.Sleep(time.Hour)
		if got := len(rec.created("/gap/")); got != 1 {
			t.Errorf("second store has %d gaps, want 1: they touch", got)
		}
		if got := len(rec.created("/wal/")); got != 3 {
			t.Errorf("second store has %d segments, want 3", got)
		}
		if got := r.rec.created("/gap/"); len(got) != 0 {
			t.Errorf("first store has gaps %v", got)
		}
		if st := a.Status().Stores[1]; st.Archived != r.last() {
			t.Errorf("status %+v", st)
		}
	})
}

// A later epoch in an optional store stops that store and nothing else; in a
// required one everything. Its number may leave holes.
func TestFencedStore(t *testing.T) {
	for _, optional := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			rec, _ := r.addStore("mem://second", optional)
			a := r.start()
			r.add(a, r.segs[0])
			time.Sleep(time.Minute)
			// Somebody else, with this store and another one that was further.
			third := newRecorder(t)
			for range 3 {
				if _, err := archive.ClaimEpoch(t.Context(), []archive.StoreConfig{{Store: third}}, archive.Claim{NodeID: nodeID, Dir: "other", FS: r.fs}); err != nil {
					t.Fatal(err)
				}
			}
			e, err := archive.ClaimEpoch(t.Context(), []archive.StoreConfig{{Store: rec}, {Store: third}}, archive.Claim{NodeID: nodeID, Dir: "other", FS: r.fs})
			if err != nil || e.Epoch <= r.epoch.Epoch+1 {
				t.Fatalf("claim %+v, %v", e, err)
			}
			r.add(a, r.segs[1:]...)
			time.Sleep(time.Minute)
			if got := a.Fenced() != nil; got == optional {
				t.Errorf("optional %v: Fenced = %v", optional, a.Fenced())
			}
			if optional && a.Archived() != r.last() {
				t.Errorf("Archived = %d, want %d", a.Archived(), r.last())
			}
			if st := a.Status().Stores[1]; st.Circuit != "fenced" || st.Archived != r.segs[0].Last {
				t.Errorf("optional %v: status %+v", optional, st)
			}
		})
	}
}
