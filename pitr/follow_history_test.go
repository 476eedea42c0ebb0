package pitr

import (
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// restoredLife is the node's second life: restored to lsn, on a new timeline.
func (k *kit) restoredLife(lsn wal.LSN) *life {
	k.t.Helper()
	fs, res := k.mustRestore(Target{LSN: lsn}, nil)
	return k.adopt(fs, "/data/node", res)
}

// The node is restored to where the standby is, or further on, and goes on on a
// new timeline: the standby goes along, over two forks at once too.
func TestFollow_NewTimeline(t *testing.T) {
	for _, behind := range []bool{false, true} {
		k := newKit(t, t.Context(), newMemStore())
		one := k.begin()
		one.puts(6, "a", "1")
		one.seal()
		fs := newDataFS(t)
		k.follows(fs, 1, one.last)
		fork := one.last
		if behind {
			fork = one.put("b", "2")
			one.put("lost", "3")
		}
		one.end()
		two := k.restoredLife(fork)
		// A new timeline that wrote nothing is no reason to do anything.
		st, err := k.once(fs, nil)
		check(t, err)
		if st.Timeline != 2 || st.Applied != fork {
			t.Errorf("with the timeline claimed: %+v", st)
		}
		two.put("c", "4")
		three := two.put("c", "5")
		two.put("lost", "too")
		two.end()
		last := k.restoredLife(three)
		last.del("a1")
		last.end()
		k.follows(fs, 3, last.last)
		p := k.promoted(fs)
		if p.Reached.Timeline != 3 || p.Timeline != 4 {
			t.Errorf("promoted: %+v", p)
		}
	}
}

// While it runs, the follower sees the new timeline in the same listing that
// shows new segments.
func TestFollow_NewTimelineLive(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	one := k.begin()
	one.put("a", "1")
	one.end()
	fs := newDataFS(t)
	f := k.live(t, fs, time.Microsecond)
	f.current(one.last)
	two := k.restoredLife(one.last)
	two.put("b", "2")
	two.end()
	if s := f.current(two.last); s.Timeline != 2 {
		t.Errorf("status: %+v", s)
	}
	check(t, f.end())
	k.standsAt(fs, k.follows(fs, 2, two.last), 2, two.last)
}

// The node was restored to before what the standby has applied: the standby
// stops and says so. It can be made a node as it is; one that keeps to its
// timeline is not concerned.
func TestFollow_Diverged(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	one := k.begin()
	fork := one.put("a", "1")
	one.put("b", "2")
	one.seal()
	fs, only := newDataFS(t), newDataFS(t)
	k.follows(fs, 1, one.last)
	keep := func(o *FollowOptions) { o.Timeline = 1 }
	_, err := k.once(only, keep)
	check(t, err)
	one.put("c", "3")
	one.end()
	two := k.restoredLife(fork)
	two.put("d", "4")
	two.end()

	applied := one.last - 1
	for _, run := range []func() error{
		func() error { _, err := k.once(fs, nil); return err },
		func() error { _, err := k.promote(fs); return err },
	} {
		err := run()
		var e *DivergedError
		if !errors.As(err, &e) || e.Applied.LSN != applied || e.Applied.Timeline != 1 || e.Timeline != 2 || e.Fork != fork || ExitCode(err) != ExitAmbiguous {
			t.Fatalf("the node left this history: %v (%+v)", err, e)
		}
	}
	if st, err := k.once(only, keep); err != nil || st.Applied != one.last || st.Timeline != 1 {
		t.Errorf("a standby of timeline 1: %+v, %v", st, err)
	}
	if _, err := k.once(fs, keep); err == nil || !strings.Contains(err.Error(), "was not begun with timeline 1") {
		t.Errorf("another idea of what is followed: %v", err)
	}
	// Its LSNs are above those of the other timeline too.
	if p := k.promoted(only); p.Reached.Timeline != 1 || p.Timeline != 3 {
		t.Errorf("promoted from timeline 1: %+v", p)
	}
	p, err := Promote(t.Context(), nil, standbyDir, &PromoteOptions{Restore: *k.options(fs, nil), AsIs: true})
	check(t, err)
	if want := k.model[Position{Timeline: 1, LSN: applied}]; p.Digest != want.digest() || p.Reached.LSN != applied || p.Reached.Timeline != 1 {
		t.Errorf("promoted as it is: %+v", p)
	}
}

// A later epoch of the same timeline may begin below what a fenced writer had
// archived and the standby has applied. Law 8.
func TestFollow_DeadEpoch(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	one := k.begin()
	one.put("a", "1")
	one.seal()
	copied := one.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	two := &life{k: k, dir: one.dir, now: one.now, last: one.last, epoch: one.epoch, known: archive.NewKnownObjects(), fs: copied}
	// The second writer has looked and not claimed yet; what the first one
	// archives meanwhile is void afterwards.
	store := k.store
	blind := store.(*memStore).clone()
	k.store = blind
	two.open(archive.Claim{Timeline: 1})
	k.store = store
	model := maps.Clone(k.model)
	one.put("b", "never counts")
	one.seal()
	fs := newDataFS(t)
	k.follows(fs, 1, one.last)
	one.end()
	k.model = model
	key := k.arch.Key(archive.EpochKey{Epoch: 2})
	store.(*memStore).objects[key] = blind.objects[key]
	two.put("b", "counts")
	two.end()

	_, err := k.once(fs, nil)
	var e *DivergedError
	if !errors.As(err, &e) || e.Timeline != 1 || e.Fork != 1 || e.Epoch != 2 {
		t.Fatalf("the applied record is void: %v", err)
	}
	fresh := newDataFS(t)
	k.follows(fresh, 1, two.last)
}

// LSNs that are missing before others: waited for, found in a pack, or a gap when
// the archive says so, or after a time.
func TestFollow_Hole(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	first := l.put("a", "1")
	l.seal()
	fs := newDataFS(t)
	k.follows(fs, 1, first)
	l.put("b", "2")
	l.seal()
	l.put("c", "3")
	l.end()
	key := mem.keys("wal/")[1]
	body := mem.objects[key]
	delete(mem.objects, key)

	st, err := k.once(fs, nil)
	check(t, err)
	if st.Applied != first || st.MissingFrom != 2 || st.MissingTo != 2 || st.Archived != l.last {
		t.Errorf("with a hole: %+v", st)
	}
	_, err = k.promote(fs)
	if e := as[*GapError](err); e == nil || e.From != 2 || e.To != 2 || e.Declared != "" {
		t.Errorf("promote with a hole: %v", err)
	}
	f := k.live(t, fs, time.Microsecond)
	for range 4 * holePolls {
		<-f.states
	}
	f.until("the hole", func(s FollowStatus) bool { return s.State == FollowWaiting && s.Applied == first })
	mem.mu.Lock()
	mem.objects[key] = body
	mem.mu.Unlock()
	f.current(l.last)
	check(t, f.end())

	delete(mem.objects, key)
	for name, prepare := range map[string]func(*memStore, *FollowOptions){
		"declared": func(m *memStore, _ *FollowOptions) {
			m.objects[k.arch.Key(archive.GapKey{Timeline: 1, First: 2, Last: 2})] = []byte("{}")
		},
		"in time": func(_ *memStore, o *FollowOptions) { o.Once, o.GapTimeout = false, time.Nanosecond },
	} {
		t.Run(name, func(t *testing.T) {
			m, fs := mem.clone(), newDataFS(t)
			k := k.over(t, m)
			_, err := k.once(fs, func(o *FollowOptions) { o.Timeline = 1 })
			// The first restore finds the same hole, with a base or without.
			if as[*GapError](err) == nil {
				t.Fatalf("restore over the hole: %v", err)
			}
			delete(m.objects, m.keys("wal/")[1])
			last := mem.keys("wal/")[1]
			k.follows(fs, 1, first)
			m.objects[last] = mem.objects[last]
			_, err = k.once(fs, func(o *FollowOptions) {
				o.Interval = time.Microsecond
				prepare(m, o)
			})
			e := as[*GapError](err)
			if e == nil || e.From != 2 || e.To != 2 || (e.Declared != "") != (name == "declared") || ExitCode(err) != ExitGap {
				t.Errorf("follow over the hole: %v", err)
			}
		})
	}
}

// Segments that were merged while nobody followed are read from their pack.
func TestFollow_FromPacks(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	l.put("a", "1")
	l.seal()
	fs := newDataFS(t)
	k.follows(fs, 1, l.last)
	for range 20 {
		l.puts(3, "k", "v")
		l.seal()
	}
	l.publish()
	l.end()
	_, err := archive.Compact(t.Context(), k.arch, &archive.CompactOptions{DeleteSmall: true, Grace: -1})
	check(t, err)
	if got := mem.keys("wal/"); len(got) != 1 {
		t.Fatalf("segments left: %v, want the newest", got)
	}
	k.follows(fs, 1, l.last)
	if p := k.promoted(fs); len(p.ProvenBy) != 1 {
		t.Errorf("proven by %q, want the digest record behind the last change", p.ProvenBy)
	}
}

// A digest proves the promoted state only if nothing changed behind it.
func TestPromote_Proof(t *testing.T) {
	for name, write := range map[string]func(*life){
		"":                   func(l *life) { l.put("a", "1"); l.publish(); l.put("b", "2") },
		"of another segment": func(l *life) { l.put("a", "1"); l.publish(); l.seal(); l.put("b", "2") },
		"a digest record":    func(l *life) { l.put("a", "1"); l.seal(); l.publish(); l.seal(); l.point("p") },
	} {
		k := newKit(t, t.Context(), newMemStore())
		l := k.begin()
		write(l)
		l.end()
		fs := newDataFS(t)
		k.follows(fs, 1, l.last)
		if p := k.promoted(fs); (name == anyDigestRecord) != (len(p.ProvenBy) == 1 && p.ProvenBy[0] == name) || len(p.ProvenBy) > 1 {
			t.Errorf("%q: proven by %q", name, p.ProvenBy)
		}
	}
}

// What one of two stores lacks the other gives; one that is down is said to be.
func TestFollow_TwoStores(t *testing.T) {
	first, second := &countStore{memStore: newMemStore()}, &countStore{memStore: newMemStore()}
	k := newKit(t, t.Context(), first)
	l := k.begin()
	l.put("a", "1")
	l.seal()
	second.memStore.objects = first.memStore.clone().objects
	fs := newDataFS(t)
	other, err := archive.Open(second, kitNode)
	check(t, err)
	once := func() (*FollowStatus, error) {
		return Follow(t.Context(), []*archive.Archive{k.arch, other}, standbyDir, &FollowOptions{Restore: *k.options(fs, crashOptions()), Once: true})
	}
	_, err = once()
	check(t, err)
	l.put("b", "2")
	l.seal()
	moved := first.keys("wal/")[1]
	second.objects[moved] = first.objects[moved]
	delete(first.objects, moved)
	l.put("c", "3")
	l.end()
	st, err := once()
	check(t, err)
	k.standsAt(fs, st, 1, l.last)
	second.down.Store(true)
	st, err = once()
	if ExitCode(err) != ExitUnreachable || st.Applied != l.last {
		t.Errorf("with one store down: %v, %+v", err, st)
	}
}

// Damage stops a standby before it is applied.
func TestFollow_Damage(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	l.put("a", "1")
	l.seal()
	fs := newDataFS(t)
	k.follows(fs, 1, l.last)
	at := l.last
	l.put("b", "2")
	l.end()
	key := mem.keys("wal/")[1]
	mem.change(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	st, err := k.once(fs, func(o *FollowOptions) { o.Once = false })
	if ExitCode(err) != ExitCorrupt || st.Applied != at || st.State != FollowStopped || st.Error == "" {
		t.Errorf("a damaged segment: %v, %+v", err, st)
	}
	mem.change(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	k.follows(fs, 1, l.last)
}

// What is not a standby is not touched.
func TestFollow_Refuses(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("a", "1")
	l.end()
	fs, _ := k.mustRestore(Target{Latest: true}, nil)
	if _, err := k.once(fs, nil); !errors.Is(err, ErrNotStandby) || ExitCode(err) != ExitUsage {
		t.Errorf("follow into a node: %v", err)
	}
	if _, err := k.promote(fs); !errors.Is(err, ErrNotStandby) {
		t.Errorf("promote a node: %v", err)
	}
	empty := newDataFS(t)
	if _, err := k.promote(empty); !errors.Is(err, engine.ErrNotANode) {
		t.Errorf("promote nothing: %v", err)
	}
	if _, err := k.once(empty, func(o *FollowOptions) { o.Restore.VShards = 8 }); err == nil {
		t.Error("a standby in another shape")
	}
	k.follows(empty, 1, l.last)
	other, err := archive.Open(k.store, "other")
	check(t, err)
	if _, err := Follow(t.Context(), []*archive.Archive{other}, standbyDir, &FollowOptions{Restore: *k.options(empty, nil)}); err == nil || !strings.Contains(err.Error(), `follows node "node-a", not "other"`) {
		t.Errorf("another node's archive: %v", err)
	}
	held, err := engine.LockDir(empty, standbyDir)
	check(t, err)
	if _, err := k.promote(empty); !errors.Is(err, engine.ErrLocked) {
		t.Errorf("promote while somebody reads: %v", err)
	}
	check(t, held.Close())
	k.promoted(empty)
	if _, err := k.promote(empty); !errors.Is(err, ErrNotStandby) {
		t.Errorf("promote twice: %v", err)
	}
}

// FuzzFollowStatus: no input panics, and what is taken is written back the same.
func FuzzFollowStatus(f *testing.F) {
	f.Add([]byte(`{"version":1,"node_id":"n","state":"current","applied_lsn":7,"applied_time":"2026-03-01T09:00:00Z"}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"lag_seconds":1e999}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := decodeFollowStatus(data)
		if err != nil {
			return
		}
		if st.Version != followStatusVersion {
			t.Errorf("version %d", st.Version)
		}
	})
}
