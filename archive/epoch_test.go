package archive_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

func one(s archive.Store) []archive.StoreConfig { return []archive.StoreConfig{{Store: s}} }

func mustClaim(t *testing.T, stores []archive.StoreConfig, c archive.Claim) archive.EpochInfo {
	t.Helper()
	e, err := archive.ClaimEpoch(t.Context(), stores, c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestClaimGoesOn(t *testing.T) {
	rec, fs := newRecorder(t), vfs.NewMem()
	first := mustClaim(t, one(rec), archive.Claim{NodeID: nodeID, Dir: "a", FS: fs, Host: "h"})
	if first.Epoch != 1 || first.Timeline != 1 || first.FirstLSN != 1 || first.Host != "h" {
		t.Errorf("first claim %+v", first)
	}
	second := mustClaim(t, one(rec), archive.Claim{NodeID: nodeID, Dir: "a", FS: fs, Timeline: 1, FirstLSN: 100, LastEpoch: 1})
	if second.Epoch != 2 || second.Timeline != 1 || second.Incarnation == first.Incarnation {
		t.Errorf("second claim %+v", second)
	}
	got, err := archive.ReadEpochs(t.Context(), rec, nodeID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]wal.Epoch{1, 2}, []wal.Epoch{got[0].Epoch, got[1].Epoch}); diff != "" {
		t.Error(diff)
	}
	if _, err := archive.ReadFormat(t.Context(), rec, nodeID); err != nil {
		t.Error(err)
	}
}

// Law 8: of any number of claims at the same time each gets its own epoch, and
// each new timeline its own number.
func TestClaimRace(t *testing.T) {
	const claimers = 12
	rec := newRecorder(t)
	epochs, timelines := make(map[wal.Epoch]bool), make(map[wal.Timeline]bool)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range claimers {
		wg.Go(func() {
			e, err := archive.ClaimEpoch(t.Context(), one(rec), archive.Claim{NodeID: nodeID, Dir: fmt.Sprint("d", i), FS: vfs.NewMem()})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			epochs[e.Epoch], timelines[e.Timeline] = true, true
		})
	}
	wg.Wait()
	if len(epochs) != claimers || len(timelines) != claimers {
		t.Errorf("%d epochs and %d timelines for %d claims", len(epochs), len(timelines), claimers)
	}
}

// A claim that dies at any request or file operation is in nobody's way.
func TestClaimDiesAnywhere(t *testing.T) {
	for _, fault := range []archivetest.Fault{archivetest.Fail, archivetest.LostAck} {
		for n := 0; ; n++ {
			rec, fs := newRecorder(t), vfs.NewCrashableMem()
			store := archivetest.NewFaulty(rec, func(_ archivetest.Op, _ string, call int) archivetest.Fault {
				if call == n {
					return fault
				}
				return archivetest.None
			})
			c := archive.Claim{NodeID: nodeID, Dir: "a", FS: fs, Timeline: 1}
			_, err := archive.ClaimEpoch(t.Context(), one(store), c)
			if store.Calls() <= n {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			c.FS = copyFS(fs)
			again := mustClaim(t, one(rec), c)
			all, err := archive.ReadEpochs(t.Context(), rec, nodeID)
			if err != nil || all[len(all)-1].Incarnation != again.Incarnation {
				t.Errorf("fault at %d: epochs %+v, %v", n, all, err)
			}
		}
	}
}

// Law 8: nobody goes on with a timeline that somebody else went on with.
func TestClaimRefusesForeignHistory(t *testing.T) {
	setup := func(t *testing.T) (*recorder, *vfs.MemFS, *vfs.MemFS) {
		rec, fs := newRecorder(t), vfs.NewCrashableMem()
		mustClaim(t, one(rec), archive.Claim{NodeID: nodeID, Dir: "a", FS: fs, Timeline: 1})
		return rec, fs, copyFS(fs)
	}
	wantFenced := func(t *testing.T, s archive.Store, c archive.Claim) {
		t.Helper()
		var fenced *archive.FencedError
		if e, err := archive.ClaimEpoch(t.Context(), one(s), c); !errors.As(err, &fenced) {
			t.Errorf("claim = %+v, %v; want FencedError", e, err)
		}
	}
	own := func(fs vfs.FS) archive.Claim {
		return archive.Claim{NodeID: nodeID, Dir: "a", FS: fs, Timeline: 1, FirstLSN: 10, LastEpoch: 1}
	}
	t.Run("copy went on", func(t *testing.T) {
		rec, fs, copied := setup(t)
		mustClaim(t, one(rec), own(copied))
		wantFenced(t, rec, own(fs))
	})
	t.Run("copy went on, late listing", func(t *testing.T) {
		rec, fs, copied := setup(t)
		stale := archivetest.NewFaulty(rec, nil)
		mustClaim(t, one(stale), own(copied))
		stale.SetPlan(archivetest.Always(archivetest.StaleList, archivetest.OpList))
		wantFenced(t, stale, own(fs))
	})
	t.Run("no record of claims, own epoch", func(t *testing.T) {
		rec, _, _ := setup(t)
		mustClaim(t, one(rec), own(vfs.NewMem()))
	})
	t.Run("no record of claims, foreign epoch", func(t *testing.T) {
		rec, _, copied := setup(t)
		mustClaim(t, one(rec), own(copied))
		wantFenced(t, rec, own(vfs.NewMem()))
	})
	t.Run("archive is ahead of the WAL", func(t *testing.T) {
		rec, fs, _ := setup(t)
		k := archive.SegmentKey{Timeline: 1, First: 5, Last: 10, Epoch: 1}
		if err := rec.Create(t.Context(), archive.Join(nodeID, k), strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
		wantFenced(t, rec, own(fs))
		c := own(fs)
		c.FirstLSN, c.OldestLSN = 11, 5
		mustClaim(t, one(rec), c)
	})
}

// Law 9: a new timeline begins above every LSN ever archived, whatever the
// claimer thinks.
func TestClaimNewTimeline(t *testing.T) {
	rec, fs := newRecorder(t), vfs.NewMem()
	mustClaim(t, one(rec), archive.Claim{NodeID: nodeID, Dir: "a", FS: fs})
	for _, k := range []archive.Key{
		archive.SegmentKey{Timeline: 1, First: 5, Last: 500, Epoch: 1},
		archive.GapKey{Timeline: 1, First: 501, Last: 777},
		archive.BaseKey{Timeline: 1, LSN: 400, ID: "x"},
	} {
		if err := rec.Create(t.Context(), archive.Join(nodeID, k), strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	e := mustClaim(t, one(rec), archive.Claim{NodeID: nodeID, Dir: "b", FS: fs, ParentTimeline: 1, ForkLSN: 300, FirstLSN: 301})
	if e.Timeline != 2 || e.FirstLSN != 778 || e.ParentTimeline != 1 || e.ForkLSN != 300 || e.Epoch != 2 {
		t.Errorf("claim %+v", e)
	}
}

// Unknown is not absent: without an answer of a required store there is no
// claim, unless a timeline that is ours goes on provisionally.
func TestClaimOffline(t *testing.T) {
	rec, fs := newRecorder(t), vfs.NewMem()
	down := archivetest.NewFaulty(newRecorder(t), archivetest.Always(archivetest.Fail))
	stores := []archive.StoreConfig{{Store: rec}, {Store: down}}
	c := archive.Claim{NodeID: nodeID, Dir: "a", FS: fs}
	if _, err := archive.ClaimEpoch(t.Context(), stores, c); !errors.Is(err, archive.ErrUnreachable) {
		t.Errorf("claim = %v", err)
	}
	c.AllowOffline = true
	if _, err := archive.ClaimEpoch(t.Context(), stores, c); !errors.Is(err, archive.ErrUnreachable) {
		t.Errorf("new timeline offline = %v", err)
	}
	c.Timeline = 1
	e := mustClaim(t, stores, c)
	if got, err := archive.ReadEpoch(t.Context(), rec, nodeID, e.Epoch); err != nil || got.Incarnation != e.Incarnation {
		t.Errorf("the store that answers: %+v, %v", got, err)
	}
	stores[1].Optional, c.Timeline, c.AllowOffline = true, 0, false
	mustClaim(t, stores, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.ClaimEpoch(ctx, stores, c); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled claim = %v", err)
	}
}

func TestClaimRefusesNewerFormat(t *testing.T) {
	rec := newRecorder(t)
	data := `{"version": 2, "node_id": "n1"}`
	if err := rec.Create(t.Context(), archive.Join(nodeID, archive.FormatKey{}), strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	_, err := archive.ClaimEpoch(t.Context(), one(rec), archive.Claim{NodeID: nodeID, Dir: "a", FS: vfs.NewMem()})
	if !errors.Is(err, archive.ErrVersion) || errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("claim = %v", err)
	}
}

func TestAncestry(t *testing.T) {
	const end = wal.LSN(math.MaxUint64)
	epochs := []archive.EpochInfo{
		{Epoch: 1, Timeline: 1, FirstLSN: 1},
		{Epoch: 2, Timeline: 1, FirstLSN: 50},
		{Epoch: 3, Timeline: 2, ParentTimeline: 1, ForkLSN: 80, FirstLSN: 200},
		{Epoch: 4, Timeline: 3, ParentTimeline: 2, ForkLSN: 250, FirstLSN: 300},
		{Epoch: 5, Timeline: 4, ParentTimeline: 2, ForkLSN: 60, FirstLSN: 400}, // forked off before timeline 2 did
		{Epoch: 6, Timeline: 1, FirstLSN: 90},
	}
	tests := map[wal.Timeline][]archive.Branch{
		1: {{Timeline: 1, From: 1, To: end}},
		3: {{Timeline: 1, From: 1, To: 80}, {Timeline: 2, From: 200, To: 250}, {Timeline: 3, From: 300, To: end}},
		4: {{Timeline: 1, From: 1, To: 60}, {Timeline: 4, From: 400, To: end}},
	}
	for tl, want := range tests {
		got, err := archive.Ancestry(epochs, tl)
		if err != nil {
			t.Errorf("timeline %d: %v", tl, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("timeline %d (-want +got):\n%s", tl, diff)
		}
	}
	if _, err := archive.Ancestry(epochs, 9); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("unknown timeline: %v", err)
	}
	for _, tt := range []struct {
		epoch wal.Epoch
		want  wal.LSN
	}{{1, 50}, {2, 90}, {6, end}} {
		if got := archive.DeadFrom(epochs, 1, tt.epoch); got != tt.want {
			t.Errorf("DeadFrom epoch %d = %d, want %d", tt.epoch, got, tt.want)
		}
	}
}
