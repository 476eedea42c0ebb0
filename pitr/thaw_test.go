package pitr

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// kinds matches keys of the node by their first directories.
func kinds(of ...string) func(string) bool {
	return func(key string) bool {
		return slices.ContainsFunc(of, func(kind string) bool { return strings.HasPrefix(key, archive.NodePrefix(kitNode)+kind) })
	}
}

// frozenKit is a history whose segments, packs and contents of bases are frozen
// as a bucket's lifecycle does it; manifests and epochs stay.
func frozenKit(t *testing.T) (*kit, *archivetest.Frozen) {
	t.Helper()
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("a", "1")
	l.seal()
	l.base()
	for _, v := range []string{"2", "3", "4"} {
		l.put("a", v)
		l.point("p" + v)
		l.seal()
	}
	l.end()
	f := archivetest.NewFrozen(k.store)
	_, err := f.Freeze(t.Context(), "DEEP_ARCHIVE", kinds("wal/", "pack/", "obj/"))
	check(t, err)
	return k.over(t, f), f
}

func (k *kit) mustThaw(target Target, o *ThawOptions) *ThawReport {
	k.t.Helper()
	r, err := Thaw(k.ctx, k.archives(), target, o)
	if err != nil {
		k.t.Fatalf("thaw for %s: %v", target, err)
	}
	return r
}

// A plan marks what is frozen; thaw asks for exactly that, once; when it is there
// the restore is that of a warm archive.
func TestThaw(t *testing.T) {
	k, f := frozenKit(t)
	target := Target{LSN: 4}
	plan, err := NewPlan(t.Context(), k.archives(), target)
	check(t, err)
	var marked []string
	for _, c := range plan.Cold {
		if !c.Thaw {
			t.Errorf("%s can be read, says the plan", c.Key)
		}
		marked = append(marked, archive.NodePrefix(kitNode)+c.Key)
	}
	if len(marked) < 3 || !plan.Reached.Time.IsZero() {
		t.Fatalf("marked %q, reached %s", marked, plan.Reached)
	}
	_, err = Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), nil))
	if ExitCode(err) != ExitCold {
		t.Errorf("restore of what is frozen: %v", err)
	}

	if r := k.mustThaw(target, nil); r.Applied || len(f.Asked()) != 0 || len(r.Objects) != len(marked) || r.Ready() {
		t.Errorf("looking only: %+v, asked for %q", r, f.Asked())
	}
	r := k.mustThaw(target, &ThawOptions{Apply: true, Tier: archive.ThawBulk})
	asked := f.Asked()
	slices.Sort(asked)
	slices.Sort(marked)
	if diff := cmp.Diff(marked, asked); diff != "" || r.Asked != len(marked) || r.Ready() {
		t.Errorf("asked for (-marked +asked):\n%s%+v", diff, r)
	}
	if r := k.mustThaw(target, &ThawOptions{Apply: true}); r.Asked != 0 || len(f.Asked()) != len(marked) {
		t.Errorf("asked again: %q", f.Asked()[len(marked):])
	}
	f.Finish()
	if r := k.mustThaw(target, &ThawOptions{Apply: true}); !r.Ready() || len(f.Asked()) != len(marked) || r.Objects[0].Until != archivetest.FrozenDays {
		t.Errorf("all thawed: %+v", r)
	}
	_, res := k.mustRestore(target, nil)
	if res.Reached.LSN != 4 || res.Reached.Time.IsZero() {
		t.Errorf("reached %s", res.Reached)
	}
}

// A thaw that was cut off goes on where it was, and asks for nothing twice.
func TestThawInterrupted(t *testing.T) {
	for _, cut := range []error{archive.ErrThrottled, archive.ErrDenied, context.Canceled} {
		k, f := frozenKit(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var n atomic.Int64
		f.Refuse = func(key string) error {
			if n.Add(1) != 3 {
				return nil
			}
			if errors.Is(cut, context.Canceled) {
				cancel()
				return cut
			}
			return &archive.StoreError{Op: "thaw", Store: f.URL(), Key: key, Class: cut}
		}
		r, err := Thaw(ctx, k.archives(), Target{Latest: true}, &ThawOptions{Apply: true, Parallel: 1})
		if !errors.Is(err, cut) || r == nil || r.Asked != 2 {
			t.Fatalf("cut off by %v: %v, %+v", cut, err, r)
		}
		r = k.mustThaw(Target{Latest: true}, &ThawOptions{Apply: true})
		asked := f.Asked()
		slices.Sort(asked)
		if len(asked) != len(r.Objects) || len(slices.Compact(asked)) != len(r.Objects) || r.Asked != len(r.Objects)-2 {
			t.Errorf("after %v: asked for %q, of %d", cut, asked, len(r.Objects))
		}
		f.Finish()
		k.mustRestore(Target{Latest: true}, nil)
	}
}

// Waiting ends when all is readable, and looks seldom.
func TestThawWait(t *testing.T) {
	k, f := frozenKit(t)
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(12*time.Hour, f.Finish)
		began, last := time.Now(), 0
		r, err := Thaw(t.Context(), k.archives(), Target{Latest: true}, &ThawOptions{Apply: true, Wait: true,
			Progress: func(n, all int) { last = n }})
		check(t, err)
		if took := time.Since(began); took < 12*time.Hour || took > 12*time.Hour+thawPoll || !r.Ready() || last != len(r.Objects) {
			t.Errorf("after %s: %d readable, %+v", took, last, r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = f.Freeze(t.Context(), "GLACIER", kinds("wal/"))
		check(t, err)
		r, err = Thaw(ctx, k.archives(), Target{Latest: true}, &ThawOptions{Apply: true, Wait: true})
		if !errors.Is(err, context.DeadlineExceeded) || r.Asked == 0 {
			t.Errorf("stopped while waiting: %v, %+v", err, r)
		}
	})
}

// What decides which objects are needed may be frozen itself: a manifest, the
// ends of segments, a pack. Then that is thawed first.
func TestThawFirst(t *testing.T) {
	points := Target{Point: "p3"}
	for name, c := range map[string]struct {
		freeze string
		target func(k *kit) Target
	}{
		"manifest": {"base/", func(*kit) Target { return Target{LSN: 4} }},
		"point":    {"wal/", func(*kit) Target { return points }},
		"time":     {"wal/", func(k *kit) Target { return Target{Time: time.UnixMicro(k.times[Position{Timeline: 1, LSN: 4}])} }},
		"pack":     {"pack/", func(*kit) Target { return Target{LSN: 4} }},
	} {
		t.Run(name, func(t *testing.T) {
			k, f := frozenKit(t)
			if name == "pack" {
				_, err := archive.Compact(t.Context(), mustOpen(t, f.Store), &archive.CompactOptions{MinObjects: 2, DeleteSmall: true, Grace: -1})
				check(t, err)
			}
			_, err := f.Freeze(t.Context(), "DEEP_ARCHIVE", kinds(c.freeze))
			check(t, err)
			target := c.target(k)
			_, err = NewPlan(t.Context(), k.archives(), target)
			if first := as[*ColdError](err); first == nil || ExitCode(err) != ExitCold || !first.Objects[0].Thaw || first.Objects[0].Class != "DEEP_ARCHIVE" {
				t.Fatalf("plan: %v", err)
			}
			r := k.mustThaw(target, &ThawOptions{Apply: true})
			if r.Complete || r.Ready() || r.Asked == 0 {
				t.Errorf("first round: %+v", r)
			}
			for range 5 {
				f.Finish()
				if r = k.mustThaw(target, &ThawOptions{Apply: true}); r.Ready() {
					break
				}
			}
			asked := f.Asked()
			slices.Sort(asked)
			if !r.Ready() || len(slices.Compact(slices.Clone(asked))) != len(asked) {
				t.Fatalf("ready %v, asked for %q", r.Ready(), asked)
			}
			k.mustRestore(target, nil)
		})
	}
}

func mustOpen(t *testing.T, s archive.Store) *archive.Archive {
	t.Helper()
	a, err := archive.Open(s, kitNode)
	check(t, err)
	return a
}

// A snapshot that is older than the move to a cold class does not hide it.
func TestThawBehindSnapshot(t *testing.T) {
	k, f := frozenKit(t)
	_, _, err := archive.WriteSnapshot(t.Context(), mustOpen(t, f.Store), nil)
	check(t, err)
	plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: 4})
	check(t, err)
	n := 0
	for _, c := range plan.Cold {
		if strings.HasPrefix(c.Key, "wal/") {
			n++
		}
	}
	if n == 0 || plan.Reached.Time.IsZero() {
		t.Errorf("cold %+v, reached %s: want segments, and the time that the snapshot knows", plan.Cold, plan.Reached)
	}
}

// Contents of a base may be all that is cold: a new base names old ones.
func TestThawContents(t *testing.T) {
	k, f := frozenKit(t)
	_, err := f.Freeze(t.Context(), "", kinds("wal/")) // as if never frozen
	check(t, err)
	r := k.mustThaw(Target{LSN: 4}, &ThawOptions{Apply: true})
	for _, o := range r.Objects {
		if !strings.HasPrefix(o.Key, "obj/") {
			t.Errorf("%s is not cold", o.Key)
		}
	}
	if r.Asked == 0 || r.Asked != len(f.Asked()) {
		t.Errorf("asked for %d: %q", r.Asked, f.Asked())
	}
	f.Finish()
	k.mustRestore(Target{LSN: 4}, nil)
}

// A tier that a class does not have is refused before anything is asked for.
func TestThawTier(t *testing.T) {
	k, f := frozenKit(t)
	_, err := Thaw(t.Context(), k.archives(), Target{Latest: true}, &ThawOptions{Apply: true, Tier: archive.ThawExpedited})
	if e := as[*TierError](err); e == nil || !strings.Contains(err.Error(), "Standard, Bulk") || len(f.Asked()) != 0 {
		t.Errorf("got %v, asked for %q", err, f.Asked())
	}
}

// Of two stores that hold an object frozen the one that has a copy is read.
func TestThawOtherStore(t *testing.T) {
	_, f := frozenKit(t)
	other := archivetest.NewFrozen(renamed{f.Store})
	_, err := other.Freeze(t.Context(), "GLACIER", kinds("wal/", "obj/"))
	check(t, err)
	both := []*archive.Archive{mustOpen(t, f), mustOpen(t, other)}
	r, err := Thaw(t.Context(), both, Target{Latest: true}, &ThawOptions{Apply: true})
	check(t, err)
	if len(other.Asked()) != 0 || r.Asked == 0 {
		t.Errorf("asked for %d, and %q of the other store", r.Asked, other.Asked())
	}
	for _, key := range f.Asked() {
		if strings.Contains(key, "/wal/") {
			check(t, other.Thaw(t.Context(), key, archive.ThawBulk, 1))
		}
	}
	other.Finish()
	plan, err := NewPlan(t.Context(), both, Target{Latest: true})
	check(t, err)
	if s := plan.Segments[0]; s.Stores[0] != 1 || s.Class != "GLACIER (thawed)" {
		t.Errorf("the copy in the other store is not read first: %+v", s)
	}
}

// renamed is a store with another URL.
type renamed struct{ archive.Store }

func (renamed) URL() string { return "mem://other" }
