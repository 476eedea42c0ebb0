package archive_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// kept is a store in which objects may be deleted: what rewrap retires.
type kept struct{ *recorder }

func (k kept) Delete(ctx context.Context, key string) error {
	if err := k.Store.Delete(ctx, key); err != nil {
		return err
	}
	k.forget(key)
	return nil
}

// rewrapRig is an archive of two encrypted segments, one in plain, and one
// content for the first key.
func rewrapRig(t *testing.T, pub string) (*rig, archive.ObjKey) {
	t.Helper()
	r := newRig(t, 3)
	a := r.start()
	r.add(a, r.segs[0])
	waitFor(t, a, r.segs[0].Last)
	stop(a)
	r.opts.Recipients = recipients(t, pub)
	b := r.start()
	r.add(b, r.segs...)
	waitFor(t, b, r.last())
	stop(b)
	return r, putSealed(t, r.rec, r.opts.Recipients, random(7, 300_000))
}

// Rewrapping is stopped by a fault at every request in turn. Whenever it stops,
// all of the history opens for somebody; when it ends, the new key opens all of
// it, the old objects are gone, and nothing was ever overwritten (law 7).
func TestRewrapDiesAnywhere(t *testing.T) {
	pub1, id1 := newKey(t)
	pub2, id2 := newKey(t)
	for _, fault := range []archivetest.Fault{archivetest.Fail, archivetest.LostAck, archivetest.Truncated} {
		step := 1
		if fault != archivetest.LostAck {
			step = 3 // the dearest fault is tried everywhere
		}
		for n := 0; ; n += step {
			r, content := rewrapRig(t, pub1)
			faulty := archivetest.NewFaulty(kept{r.rec}, func(_ archivetest.Op, _ string, call int) archivetest.Fault {
				if call == n {
					return fault
				}
				return archivetest.None
			})
			opts := &archive.RewrapOptions{Retire: true, Plain: true, Parallel: 1}
			both := id1.Join(id2)
			_, err := reader(t, faulty, both).Rewrap(t.Context(), recipients(t, pub2), opts)
			r.eachOpens(both)
			if _, cerr := openWhole(t, reader(t, r.rec, both), content); cerr != nil {
				t.Fatalf("%v at request %d: %v", fault, n, cerr)
			}
			over := faulty.Calls() <= n
			if err == nil && over {
				break
			}
			if _, err := reader(t, kept{r.rec}, both).Rewrap(t.Context(), recipients(t, pub2), opts); err != nil {
				t.Fatalf("%v at request %d, again: %v", fault, n, err)
			}
			r.eachOpens(id2)
			if _, err := openWhole(t, reader(t, r.rec, id2), content); err != nil {
				t.Fatalf("%v at request %d: %v", fault, n, err)
			}
			uses, err := reader(t, r.rec, nil).KeyUses(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range uses {
				if u.ID != recipients(t, pub2).ID() && u.Segments+u.Contents > 0 {
					t.Fatalf("%v at request %d: %+v is left", fault, n, u)
				}
			}
		}
	}
}

// What cannot be read again stays and is named; all else is done.
func TestRewrapGoesOnAfterDamage(t *testing.T) {
	pub1, id1 := newKey(t)
	pub2, id2 := newKey(t)
	r, _ := rewrapRig(t, pub1)
	bad := r.rec.created("/wal/")[1]
	s := damagedStore{Store: kept{r.rec}, part: bad}
	info, err := reader(t, s, id1).Rewrap(t.Context(), recipients(t, pub2), &archive.RewrapOptions{Retire: true, Plain: true})
	re, ok := errors.AsType[*archive.RewrapError](err)
	if !ok || re.Failed != 1 || !errors.Is(err, archive.ErrCorrupt) || !strings.Contains(err.Error(), bad) || info.Failed != 1 {
		t.Fatalf("rewrap: %+v, %v", info, err)
	}
	if info.New != 3 || info.Retired != 3 {
		t.Errorf("rewrap: %+v, want 3 new and 3 retired", info)
	}
	if _, err := r.rec.Stat(t.Context(), bad); err != nil {
		t.Errorf("the damaged object is gone: %v", err)
	}
	r.eachOpens(id1.Join(id2))
}

// openWhole reads a content for who may open one of its copies.
func openWhole(t *testing.T, a *archive.Archive, k archive.ObjKey) (int64, error) {
	t.Helper()
	copies, err := a.Copies(t.Context(), k)
	if err != nil || len(copies) == 0 {
		t.Fatalf("copies of %s: %v, %v", k, copies, err)
	}
	for _, c := range copies {
		body, oerr := a.OpenContent(t.Context(), c.ObjKey)
		if err = oerr; err != nil {
			continue
		}
		n, rerr := io.Copy(io.Discard, body)
		if err = errors.Join(rerr, body.Close()); err == nil {
			return n, nil
		}
	}
	return 0, err
}

// Without the old key nothing is done and nothing is deleted; keys tells who
// guards what.
func TestRewrapNeedsTheKey(t *testing.T) {
	pub1, id1 := newKey(t)
	pub2, _ := newKey(t)
	r, _ := rewrapRig(t, pub1)
	before := r.rec.created("/wal/")
	_, err := reader(t, r.rec, nil).Rewrap(t.Context(), recipients(t, pub2), &archive.RewrapOptions{Retire: true})
	if !errors.Is(err, archive.ErrKeyMissing) || !strings.Contains(err.Error(), pub1) {
		t.Errorf("rewrap without a key: %v", err)
	}
	if diff := cmp.Diff(before, r.rec.created("/wal/")); diff != "" {
		t.Errorf("segments (-before +after):\n%s", diff)
	}
	info, err := reader(t, r.rec, id1).Rewrap(t.Context(), recipients(t, pub1, pub2), nil)
	if err != nil || info.New != 3 || info.Retired != 0 {
		t.Errorf("rewrap: %+v, %v", info, err)
	}
	uses, err := reader(t, r.rec, nil).KeyUses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ranges := map[archive.RecipientsID][]archive.KeyRange{}
	for _, u := range uses {
		if u.Segments > 0 {
			ranges[u.ID] = u.Ranges
		}
	}
	later := []archive.KeyRange{{Timeline: 1, From: r.segs[1].First, To: r.last()}}
	want := map[archive.RecipientsID][]archive.KeyRange{
		{}:                             {{Timeline: 1, From: wal.LSN(1), To: r.segs[0].Last}},
		recipients(t, pub1).ID():       later,
		recipients(t, pub1, pub2).ID(): later,
	}
	if diff := cmp.Diff(want, ranges); diff != "" {
		t.Errorf("who guards what (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(uses, func(x, y archive.KeyUse) int { return strings.Compare(x.ID.String(), y.ID.String()) }) {
		t.Errorf("not in order: %+v", uses)
	}
}

// eachOpens checks that of every segment one object, at least, is whole for who
// holds ids. A half that a fault left behind may lie beside it.
func (r *rig) eachOpens(ids *archive.Identities) {
	r.t.Helper()
	eachOpens(r.t, r.rec, ids, r.segs)
}

func eachOpens(t *testing.T, s archive.Store, ids *archive.Identities, segs []wal.Segment) {
	t.Helper()
	a := reader(t, s, ids)
	c, err := a.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	whole := map[wal.LSN]bool{}
	for _, e := range c.Segments {
		body, err := a.OpenSegment(t.Context(), e)
		if err != nil {
			continue
		}
		sum := sha256.New()
		_, err = io.Copy(sum, body)
		if errors.Join(err, body.Close()) == nil && archive.Short([32]byte(sum.Sum(nil))) == e.SHA16 {
			whole[e.First] = true
		}
	}
	for _, s := range segs {
		if !whole[s.First] {
			t.Fatalf("no whole object of LSN %d to %d", s.First, s.Last)
		}
	}
}
