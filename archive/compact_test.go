package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// memStore is a plain store, from which may be deleted.
func memStore(t *testing.T) archive.Store {
	t.Helper()
	s, _, err := archive.OpenStore(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newSmall is an archive with n small segments.
func newSmall(t *testing.T, n int) (*rig, archive.Store) {
	t.Helper()
	r := newRig(t, n)
	s := memStore(t)
	r.opts.Stores = []archive.StoreConfig{{Store: s}}
	a := r.start()
	r.add(a, r.segs...)
	waitFor(t, a, r.last())
	stop(a)
	return r, s
}

var eager = &archive.CompactOptions{MinObjects: 3, DeleteSmall: true, Grace: -1}

func compact(t *testing.T, s archive.Store, o *archive.CompactOptions) (*archive.CompactReport, error) {
	t.Helper()
	return archive.Compact(t.Context(), openArchive(t, s), o)
}

// readable reads every segment of the archive, whole and at its ends, and
// checks that all LSNs up to last are there.
func readable(t *testing.T, s archive.Store, segs []wal.Segment) {
	t.Helper()
	readableBy(t, s, nil, segs)
}

func readableBy(t *testing.T, s archive.Store, ids *archive.Identities, segs []wal.Segment) {
	t.Helper()
	a := reader(t, s, ids)
	c, err := a.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) > 0 {
		t.Fatalf("problems: %v", c.Problems)
	}
	w := c.Windows()
	if len(w) != 1 || w[0].From != 1 || w[0].To != segs[len(segs)-1].Last || len(w[0].Segments) != len(segs) {
		t.Fatalf("windows %+v, want LSN 1 to %d in %d segments", w, segs[len(segs)-1].Last, len(segs))
	}
	for i, e := range w[0].Segments {
		if info, err := a.SegmentInfo(context.Background(), e); err != nil || info.Footer.Last != segs[i].Last {
			t.Errorf("ends of segment %d: %+v, %v", i, info, err)
		}
		body, err := a.OpenSegment(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		r := wal.NewSegmentReader(body, e.Object.Key)
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) || r.Segment().SHA256 != segs[i].SHA256 {
			t.Errorf("segment %d: %v, SHA-256 %x, want %x", i, err, r.Segment().SHA256, segs[i].SHA256)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCompact(t *testing.T) {
	r, s := newSmall(t, 12)
	if rep, err := compact(t, s, &archive.CompactOptions{MinObjects: 3, DryRun: true}); err != nil || rep.Segments != 11 || len(catalogOf(t, s).Packs) != 0 {
		t.Fatalf("dry run: %v, %+v", err, rep)
	}
	rep, err := compact(t, s, &archive.CompactOptions{MinObjects: 3, DeleteSmall: true})
	if err != nil || rep.Segments != 11 || rep.PackN != 1 || rep.Deleted != 0 {
		t.Fatalf("compact: %v, %+v; a pack that is new deletes nothing", err, rep)
	}
	readable(t, s, r.segs)
	rep, err = compact(t, s, eager)
	if err != nil || rep.PackN != 0 || rep.Deleted != 11 {
		t.Fatalf("delete: %v, %+v", err, rep)
	}
	readable(t, s, r.segs)
	if rep, err = compact(t, s, eager); err != nil || rep.PackN+rep.Deleted != 0 {
		t.Errorf("nothing to do: %v, %+v", err, rep)
	}
	// A node that lost its journal does not take the merged ones for lost.
	r.opts.JournalDir = "elsewhere"
	a := r.start()
	r.add(a, r.segs...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Wait(ctx, r.last()); err != nil {
		t.Fatal(err)
	}
	if c := catalogOf(t, s); len(c.Gaps) != 0 {
		t.Errorf("gaps %v", c.Gaps)
	}
}

// A copy of a compacted archive is one.
func TestCopyPacks(t *testing.T) {
	r, s := newSmall(t, 6)
	if _, err := compact(t, s, eager); err != nil {
		t.Fatal(err)
	}
	to := memStore(t)
	if rep, err := copyTo(t, to, nil, s); err != nil || !rep.OK() {
		t.Fatalf("copy: %v, %+v", err, rep)
	}
	readable(t, to, r.segs)
	bad := memStore(t)
	if rep, err := copyTo(t, bad, nil, damagedStore{Store: s, part: "/pack/"}); err != nil || len(rep.Problems) != 1 {
		t.Errorf("copy of a damaged pack: %v, %+v", err, rep)
	}
}

// A compaction that dies at any call leaves every segment readable, and the
// next one ends where an undisturbed one does.
func TestCompactDiesAnywhere(t *testing.T) {
	r, clean := newSmall(t, 8)
	small := objectsOf(t, clean)
	if _, err := compact(t, clean, eager); err != nil {
		t.Fatal(err)
	}
	for _, last := range []archivetest.Fault{archivetest.Fail, archivetest.LostAck, archivetest.Truncated, archivetest.Flipped, archivetest.FalseAck} {
		for n, died := 0, true; died; n++ {
			s := memStore(t)
			for key, body := range small {
				if err := s.Create(t.Context(), key, strings.NewReader(body), int64(len(body))); err != nil {
					t.Fatal(err)
				}
			}
			met := false
			f := archivetest.NewFaulty(s, func(op archivetest.Op, _ string, i int) archivetest.Fault {
				switch {
				case i == n && (last != archivetest.Truncated || op != archivetest.OpCreate):
					met = true
					return last
				case i >= n:
					met = true
					return archivetest.Fail
				}
				return archivetest.None
			})
			_, _ = compact(t, f, eager)
			died = met
			readable(t, s, r.segs)
			if rep, err := compact(t, s, eager); err != nil || len(rep.Problems) != 0 {
				t.Fatalf("%v at call %d, again: %v, %+v", last, n, err, rep)
			}
			readable(t, s, r.segs)
			if got, want := len(objectsOf(t, s)), len(objectsOf(t, clean)); got != want {
				t.Errorf("%v at call %d: %d objects in the end, want %d", last, n, got, want)
			}
		}
	}
}

func TestTwoCompactionsAtOnce(t *testing.T) {
	r, s := newSmall(t, 10)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			o := *eager
			o.MinObjects += i % 2
			if _, err := compact(t, s, &o); err != nil && !errors.Is(err, archive.ErrNotFound) {
				t.Errorf("compact: %v", err)
			}
		})
	}
	wg.Wait()
	readable(t, s, r.segs)
}

// A pack that is damaged covers nothing: its segments stay.
func TestDamagedPackCoversNothing(t *testing.T) {
	r, s := newSmall(t, 8)
	if _, err := compact(t, s, &archive.CompactOptions{MinObjects: 3}); err != nil {
		t.Fatal(err)
	}
	for _, wholeOnly := range []bool{true, false} {
		bad := damagedStore{Store: s, part: "/pack/", wholeOnly: wholeOnly}
		rep, err := compact(t, bad, eager)
		if err != nil || rep.Deleted != 0 || wholeOnly && len(rep.Problems) != 1 {
			t.Errorf("compact: %v, %+v, want nothing deleted", err, rep)
		}
	}
	readable(t, s, r.segs)
}

// A damaged segment stays out of packs, and is named.
func TestCompactDamagedSegment(t *testing.T) {
	r, s := newSmall(t, 8)
	rep, err := compact(t, damagedStore{Store: s, part: r.key(3)}, eager)
	if err != nil || len(rep.Problems) != 1 || rep.PackN+rep.Deleted != 0 || !strings.Contains(rep.Problems[0].Reason, r.key(3)) {
		t.Errorf("compact: %v, %+v, want one problem about %s", err, rep, r.key(3))
	}
	readable(t, s, r.segs)
}

// A node that has nothing to archive makes no request, whatever the time.
func TestIdleMakesNoRequest(t *testing.T) {
	for _, optional := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			_, second := r.addStore("mem://second", optional)
			a := r.start()
			r.add(a, r.segs...)
			time.Sleep(time.Minute)
			first := fmt.Sprint(r.store.Calls(), second.Calls())
			time.Sleep(24 * time.Hour)
			if diff := cmp.Diff(first, fmt.Sprint(r.store.Calls(), second.Calls())); diff != "" || a.Archived() != r.last() {
				t.Errorf("optional %v, archived %d: calls of an idle day:\n%s", optional, a.Archived(), diff)
			}
		})
	}
}
