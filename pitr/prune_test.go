package pitr

import (
	"context"
	"errors"
	"flag"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/retain"
	"github.com/nodedb-go/nodedb/wal"
)

// agedStore is a memStore that tells when an object was stored, by a clock of
// its own, and may keep some of them by a rule of its own.
type agedStore struct {
	*memStore

	amu    sync.Mutex
	now    time.Time
	stored map[string]time.Time
	locked map[string]time.Time
}

func newAgedStore() *agedStore {
	return &agedStore{memStore: newMemStore(), now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		stored: make(map[string]time.Time), locked: make(map[string]time.Time)}
}

func (s *agedStore) clock() time.Time {
	s.amu.Lock()
	defer s.amu.Unlock()
	s.now = s.now.Add(time.Millisecond)
	return s.now
}

func (s *agedStore) pass(d time.Duration) {
	s.amu.Lock()
	defer s.amu.Unlock()
	s.now = s.now.Add(d)
}

func (s *agedStore) age(o archive.Object) archive.Object {
	s.amu.Lock()
	defer s.amu.Unlock()
	o.ModTime = s.stored[o.Key]
	return o
}

func (s *agedStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	now := s.clock()
	err := s.memStore.Create(ctx, key, body, size)
	if err == nil {
		s.amu.Lock()
		s.stored[key] = now
		s.amu.Unlock()
	}
	return err
}

func (s *agedStore) Stat(ctx context.Context, key string) (archive.Object, error) {
	o, err := s.memStore.Stat(ctx, key)
	return s.age(o), err
}

func (s *agedStore) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		for o, err := range s.memStore.List(ctx, prefix, after) {
			if !yield(s.age(o), err) {
				return
			}
		}
	}
}

func (s *agedStore) Retained(_ context.Context, key string) (time.Time, bool, error) {
	s.amu.Lock()
	defer s.amu.Unlock()
	return s.locked[key], false, nil
}

func (s *agedStore) clone() *agedStore {
	s.amu.Lock()
	defer s.amu.Unlock()
	return &agedStore{memStore: s.memStore.clone(), now: s.now, stored: maps.Clone(s.stored), locked: maps.Clone(s.locked)}
}

// all lists what retention may delete.
func (s *agedStore) all() []string {
	var out []string
	for _, kind := range []string{"wal/", "base/", "obj/", "pack/", "pin/"} {
		out = append(out, s.keys(kind)...)
	}
	return out
}

// agedKit is a history of four days with a base each, two segments between.
func agedKit(t tb, ctx context.Context) (*agedStore, *kit, []wal.LSN) {
	s := newAgedStore()
	k := newKit(t, ctx, s)
	k.now = s.now
	l := k.begin()
	var bases []wal.LSN
	for range 4 {
		l.puts(5, "a", l.k.now.String())
		l.seal()
		l.base()
		bases = append(bases, l.last)
		l.puts(5, "b", l.k.now.String())
		l.seal()
		k.now = k.now.Add(24 * time.Hour)
		s.pass(24 * time.Hour)
	}
	l.puts(3, "c", "end")
	l.end()
	return s, k, bases
}

const testGrace = 48 * time.Hour

// prune runs the whole of it: mark, wait, delete.
func (s *agedStore) prune(k *kit, p retain.Policy, apply bool) (*retain.Report, error) {
	return retain.Run(k.ctx, k.archives(), retain.Options{Policy: p, Grace: testGrace, Apply: apply, Clock: s.clock})
}

func (k *kit) mustPlanFail(lsn wal.LSN) {
	k.t.Helper()
	if _, err := NewPlan(k.ctx, k.archives(), Target{LSN: lsn}); err == nil {
		k.t.Fatalf("LSN %d is still restorable", lsn)
	}
}

// What the policy keeps is restored equal; the rest goes, but only after it was
// marked and the grace period passed; and nothing of it is called damage.
func TestPrune(t *testing.T) {
	s, k, bases := agedKit(t, t.Context())
	before := s.all()
	keep := retain.Policy{Last: 2}
	ledger := &VerifyOptions{Ledger: k.arch}
	_, err := Verify(t.Context(), k.arch, ledger)
	check(t, err)
	if _, err := s.prune(k, keep, false); err != nil || len(s.keys("prune/")) != 0 {
		t.Fatalf("a dry run wrote %v, %v", s.keys("prune/"), err)
	}
	for range 2 {
		r, err := s.prune(k, keep, true)
		check(t, err)
		if n, _ := r.Stores[0].Totals(retain.StageDeleted); n != 0 || !slices.Equal(s.all(), before) {
			t.Fatalf("deleted within the grace period: %+v", r)
		}
	}
	s.pass(testGrace)
	r, err := s.prune(k, keep, true)
	check(t, err)
	n, _ := r.Stores[0].Totals(retain.StageDeleted)
	if n == 0 || len(s.keys("base/")) != 2 {
		t.Fatalf("%d deleted, left %v", n, s.all())
	}
	for lsn := bases[2]; lsn <= k.highest(); lsn++ {
		k.mustRestore(Target{LSN: lsn}, nil)
	}
	k.mustPlanFail(bases[0])
	k.mustPlanFail(bases[2] - 1)
	rep, err := Verify(t.Context(), k.arch, ledger)
	if err != nil || !rep.OK() || rep.Unused != 0 || rep.Gone != 0 || rep.Pruned == 0 {
		t.Errorf("verify after a prune: %v, %+v", err, rep)
	}
	e, err := Explain(t.Context(), k.archives(), Target{LSN: bases[0]})
	if err != nil || e.Verdict != Pruned || e.Prune == nil || e.Prune.Policy != keep.String() || !strings.HasPrefix(e.Prune.Key, "wal/") {
		t.Errorf("explain: %+v, %v", e, err)
	}
}

// Pins keep their position whatever the policy says, until they expire; a
// legal hold keeps it for ever, and is not taken off by the way.
func TestPrunePins(t *testing.T) {
	s, k, bases := agedKit(t, t.Context())
	pin := func(p archive.PinInfo) {
		p.NodeID, p.Timeline, p.CreatedAt = kitNode, 1, s.now
		check(t, archive.WritePin(t.Context(), s, p))
	}
	pin(archive.PinInfo{Name: "brief", LSN: bases[0], Only: true, ExpiresAt: s.now.Add(10 * 24 * time.Hour)})
	pin(archive.PinInfo{Name: "court", LSN: bases[1] + 1, Only: true, Hold: true, Reason: "case 7"})
	twice := func() {
		for range 2 {
			_, err := s.prune(k, retain.Policy{Last: 1}, true)
			check(t, err)
			s.pass(testGrace + time.Hour)
		}
	}
	twice()
	k.mustRestore(Target{LSN: bases[0]}, nil)
	k.mustRestore(Target{LSN: bases[1] + 1}, nil)
	k.mustPlanFail(bases[2])
	s.pass(10 * 24 * time.Hour)
	twice()
	k.mustPlanFail(bases[0])
	k.mustRestore(Target{LSN: bases[1] + 1}, nil)
	if left := s.keys("pin/"); len(left) != 1 {
		t.Errorf("pins left: %v", left)
	}
	if err := archive.RemovePin(t.Context(), s, kitNode, "court", false); !errors.Is(err, archive.ErrHeld) {
		t.Errorf("remove a legal hold: %v", err)
	}
	check(t, archive.RemovePin(t.Context(), s, kitNode, "court", true))
	twice()
	k.mustPlanFail(bases[1] + 1)
	k.mustRestore(Target{Latest: true}, nil)
}

// A pin at a position that nobody knows keeps everything: what it needs cannot
// be told. So does an object that cannot be read.
func TestPruneUnclear(t *testing.T) {
	for name, spoil := range map[string]func(*agedStore){
		"pin": func(s *agedStore) {
			check(t, archive.WritePin(t.Context(), s, archive.PinInfo{NodeID: kitNode, Name: "typo", Timeline: 7, LSN: 3, CreatedAt: s.now}))
		},
		"manifest": func(s *agedStore) {
			s.change(s.keys("base/")[3], func(b []byte) []byte { b[9] ^= 1; return b })
		},
		"epoch": func(s *agedStore) {
			s.change(s.keys("epoch/")[0], func(b []byte) []byte { b[9] ^= 1; return b })
		},
	} {
		s, k, _ := agedKit(t, t.Context())
		spoil(s)
		before := s.all()
		for range 2 {
			r, err := s.prune(k, retain.Policy{Last: 1}, true)
			check(t, err)
			if len(r.Stores[0].Unclear) == 0 || slices.ContainsFunc(r.Stores[0].Items, func(it retain.Item) bool { return !strings.HasPrefix(it.Key, "begun/") }) {
				t.Errorf("%s: %+v", name, r.Stores[0])
			}
			s.pass(testGrace * 2)
		}
		if !slices.Equal(s.all(), before) {
			t.Errorf("%s: objects are gone", name)
		}
	}
}

// A crash before or after any request of a prune that changes something loses
// nothing that is kept, and a later prune ends what this one began.
func TestPruneCrash(t *testing.T) {
	s0, k0, bases := agedKit(t, t.Context())
	keep := retain.Policy{Last: 2}
	_, err := s0.prune(k0, keep, true)
	check(t, err)
	s0.pass(testGrace)
	var want []string
	for step, over := 1, false; !over; step++ {
		for _, fault := range []archivetest.Fault{archivetest.Fail, archivetest.LostAck} {
			s := s0.clone()
			calls := 0
			f := archivetest.NewFaulty(s, func(op archivetest.Op, _ string, _ int) archivetest.Fault {
				if op == archivetest.OpCreate || op == archivetest.OpDelete {
					calls++
				}
				switch {
				case calls < step:
					return archivetest.None
				case calls == step && op != archivetest.OpRead && op != archivetest.OpList:
					return fault
				}
				return archivetest.Fail
			})
			_, err := s.prune(k0.over(t, f), keep, true)
			over = calls < step
			if (err == nil) != over {
				t.Fatalf("step %d of %d: %v", step, calls, err)
			}
			k := k0.over(t, s)
			for _, lsn := range []wal.LSN{bases[2], k.highest()} {
				k.mustRestore(Target{LSN: lsn}, nil)
			}
			if rep, err := Verify(t.Context(), k.arch, nil); err != nil || !rep.OK() {
				t.Fatalf("step %d, %v: verify: %v, %+v", step, fault, err, rep)
			}
			s.pass(archive.PruneSweepOver + time.Minute)
			_, err = s.prune(k, keep, true)
			check(t, err)
			if want == nil {
				want = s.all()
			}
			if got := s.all(); !slices.Equal(got, want) {
				t.Fatalf("step %d, %v: the next prune leaves\n%s\nwant\n%s", step, fault, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// Of two pruners at once, whatever of their requests comes first, at most one
// deletes; and nothing that is kept is lost.
func TestPruneTwoAtOnce(t *testing.T) {
	s0, k0, bases := agedKit(t, t.Context())
	keep := retain.Policy{Last: 2}
	_, err := s0.prune(k0, keep, true)
	check(t, err)
	s0.pass(testGrace)
	busy := 0
	for step := 1; ; step++ {
		s := s0.clone()
		calls, other := 0, error(nil)
		f := archivetest.NewFaulty(s, func(archivetest.Op, string, int) archivetest.Fault {
			if calls++; calls == step {
				// The other one, with a policy that keeps less, from begin to end.
				_, other = s.prune(k0.over(t, s), retain.Policy{Last: 1}, true)
			}
			return archivetest.None
		})
		_, err := s.prune(k0.over(t, f), keep, true)
		for _, err := range []error{err, other} {
			if errors.Is(err, retain.ErrBusy) {
				busy++
			} else if err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		}
		k := k0.over(t, s)
		for _, lsn := range []wal.LSN{bases[3], k.highest()} {
			k.mustRestore(Target{LSN: lsn}, nil)
		}
		if rep, err := Verify(t.Context(), k.arch, nil); err != nil || !rep.OK() {
			t.Fatalf("step %d: verify: %v, %+v", step, err, rep)
		}
		if open, err := archive.ReadPruneLog(t.Context(), s, kitNode); err != nil || len(open.Open()) != 0 {
			t.Fatalf("step %d: %v, %+v", step, err, open)
		}
		if calls < step {
			break
		}
	}
	if busy == 0 {
		t.Error("the two never met")
	}
}

// A name that is created again after it was marked, or after it was deleted, is
// another object: it needs a mark of its own.
func TestPruneRecreated(t *testing.T) {
	s, k, _ := agedKit(t, t.Context())
	keep := retain.Policy{Last: 1}
	_, err := s.prune(k, keep, true)
	check(t, err)
	key := s.keys("wal/")[0]
	again := func() {
		s.memStore.mu.Lock()
		defer s.memStore.mu.Unlock()
		s.stored[key] = s.clock()
	}
	s.pass(testGrace)
	again()
	for range 2 {
		_, err = s.prune(k, keep, true)
		check(t, err)
		if !slices.Contains(s.keys("wal/"), key) {
			t.Fatalf("%s was deleted by the mark of another object", key)
		}
	}
	s.pass(testGrace)
	_, err = s.prune(k, keep, true)
	check(t, err)
	if slices.Contains(s.keys("wal/"), key) {
		t.Errorf("%s has a mark of its own, and stays", key)
	}
}

// What a store keeps by a rule of its own is recorded, and is no error. A
// manifest that stays keeps what it names.
func TestPruneRetained(t *testing.T) {
	s, k, bases := agedKit(t, t.Context())
	keep := retain.Policy{Last: 1}
	_, err := s.prune(k, keep, true)
	check(t, err)
	until := s.now.Add(30 * 24 * time.Hour)
	s.locked[s.keys("base/")[0]] = until
	s.pass(testGrace)
	r, err := s.prune(k, keep, true)
	check(t, err)
	if n, _ := r.Stores[0].Totals(retain.StageRetained); n != 1 {
		t.Errorf("%d are retained: %v", n, r.Stores[0].Items)
	}
	k.mustRestore(Target{LSN: bases[0]}, nil)
	k.mustPlanFail(bases[1])
	log, err := archive.ReadPruneLog(t.Context(), s, kitNode)
	check(t, err)
	if last := log.Records[len(log.Records)-1]; last.Kind != archive.PruneDone || len(last.Retained) != 1 || !last.Retained[0].Until.Equal(until) {
		t.Errorf("the log ends with %+v", last)
	}
	for range 2 {
		s.pass(40 * 24 * time.Hour)
		_, err = s.prune(k, keep, true)
		check(t, err)
	}
	k.mustPlanFail(bases[0])
	if n := len(s.keys("base/")); n != 1 {
		t.Errorf("%d bases are left", n)
	}
}

// While a base is under way no content goes: it may be about to name it.
func TestPruneBaseUnderWay(t *testing.T) {
	s, k, _ := agedKit(t, t.Context())
	keep := retain.Policy{Last: 1}
	_, err := s.prune(k, keep, true)
	check(t, err)
	s.pass(testGrace)
	contents := s.keys("obj/")
	_, err = archive.BeginBase(t.Context(), s, kitNode, archive.BaseKey{Timeline: 1, LSN: 9, ID: "underway"}, 1, s.clock)
	check(t, err)
	_, err = s.prune(k, keep, true)
	check(t, err)
	if got := s.keys("obj/"); !slices.Equal(got, contents) || len(s.keys("base/")) != 1 {
		t.Fatalf("%d of %d contents are left, and %d bases", len(got), len(contents), len(s.keys("base/")))
	}
	for range 2 {
		s.pass(archive.BaseUnderWayFor + testGrace)
		_, err = s.prune(k, keep, true)
		check(t, err)
	}
	if got := s.keys("obj/"); len(got) >= len(contents) {
		t.Errorf("all %d contents are left", len(got))
	}
}

// A base that begins while a sweep is under way uses nothing that it names.
func TestBaseMeetsSweep(t *testing.T) {
	s, k, _ := agedKit(t, t.Context())
	obj := s.keys("obj/")[0]
	o, err := s.Stat(t.Context(), obj)
	check(t, err)
	check(t, archive.AppendPrune(t.Context(), s, archive.PruneRecord{NodeID: kitNode, Seq: 1, Kind: archive.PruneSweep,
		ID: strings.Repeat("0", 32), At: s.now, Objects: []archive.PruneObject{archive.SawObject(kitNode, o, "test")}}))
	named, err := archive.ParseKey(strings.TrimPrefix(obj, archive.NodePrefix(kitNode)))
	check(t, err)
	g, err := archive.BeginBase(k.ctx, s, kitNode, archive.BaseKey{Timeline: 1, LSN: 9, ID: "a"}, 1, s.clock)
	check(t, err)
	if err := g.Use(named.(archive.ObjKey)); !errors.Is(err, archive.ErrPruning) {
		t.Errorf("use of what a sweep names: %v", err)
	}
	s.pass(archive.PruneSweepOver + time.Minute)
	g, err = archive.BeginBase(k.ctx, s, kitNode, archive.BaseKey{Timeline: 1, LSN: 9, ID: "b"}, 1, s.clock)
	check(t, err)
	if err := g.Use(named.(archive.ObjKey)); err != nil {
		t.Errorf("use of what an abandoned sweep names: %v", err)
	}
	s.pass(archive.BaseUnderWayFor)
	if err := g.Finish(); err == nil {
		t.Error("a base is finished after retention stopped waiting for it")
	}
}

// A pack serves what it holds, so its small segments go; it goes itself when
// nothing of it is needed.
func TestPrunePacks(t *testing.T) {
	s, k, bases := agedKit(t, t.Context())
	rep, err := archive.Compact(t.Context(), k.arch, &archive.CompactOptions{Grace: -1})
	check(t, err)
	if rep.PackN == 0 {
		t.Fatalf("compact: %+v", rep)
	}
	for range 2 {
		_, err := s.prune(k, retain.Policy{Last: 2}, true)
		check(t, err)
		s.pass(testGrace)
	}
	if n := len(s.keys("wal/")); n != 1 || len(s.keys("pack/")) != rep.PackN {
		t.Errorf("%d segments and %d packs are left, want the newest segment and every pack", n, len(s.keys("pack/")))
	}
	for lsn := bases[2]; lsn <= k.highest(); lsn++ {
		k.mustRestore(Target{LSN: lsn}, nil)
	}
	if v, err := Verify(t.Context(), k.arch, nil); err != nil || !v.OK() {
		t.Errorf("verify: %v, %+v", err, v)
	}
}

// A damaged pack covers nothing.
func TestPruneDamagedPack(t *testing.T) {
	s, k, bases := agedKit(t, t.Context())
	_, err := archive.Compact(t.Context(), k.arch, &archive.CompactOptions{Grace: -1})
	check(t, err)
	_, err = s.prune(k, retain.Policy{Last: 4}, true)
	check(t, err)
	s.pass(testGrace)
	s.change(s.keys("pack/")[0], func(b []byte) []byte { b[len(b)/3] ^= 1; return b })
	_, err = s.prune(k, retain.Policy{Last: 4}, true)
	check(t, err)
	for lsn := bases[0]; lsn <= k.highest(); lsn++ {
		k.mustRestore(Target{LSN: lsn}, nil)
	}
}

// For random histories, forks, packs, pins and policies: whatever the decision
// says is kept is restored equal after the prune.
func TestPruneKeepsItsWord(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() == checks.DefValue { // each check is some twenty restores
		check(t, checks.Value.Set("25"))
		defer func() { check(t, checks.Value.Set(checks.DefValue)) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := newAgedStore()
		k := newKit(rt, t.Context(), s)
		l := k.begin()
		randomLife(rt, k, l)
		for n := rapid.IntRange(0, 2).Draw(rt, "forks"); n > 0; n-- {
			fork := randomPosition(rt, k)
			fs, res := k.mustRestore(Target{LSN: fork.LSN, Timeline: fork.Timeline}, nil)
			randomLife(rt, k, k.adopt(fs, "/data/node", res))
		}
		if rapid.Bool().Draw(rt, "compact") {
			_, err := archive.Compact(t.Context(), k.arch, &archive.CompactOptions{Grace: -1, DeleteSmall: rapid.Bool().Draw(rt, "small")})
			check(rt, err)
		}
		var pinned []Position
		for i := range rapid.IntRange(0, 2).Draw(rt, "pins") {
			at := randomPosition(rt, k)
			pinned = append(pinned, at)
			check(rt, archive.WritePin(t.Context(), s, archive.PinInfo{NodeID: kitNode, Name: string(rune('a' + i)), Timeline: at.Timeline, LSN: at.LSN,
				CreatedAt: s.now, Only: rapid.Bool().Draw(rt, "only")}))
		}
		p := retain.Policy{Last: rapid.IntRange(0, 3).Draw(rt, "last"), Daily: rapid.IntRange(0, 2).Draw(rt, "daily"),
			Within: time.Duration(rapid.IntRange(1, 60).Draw(rt, "within")) * time.Second}
		s.now = k.now
		s.pass(time.Duration(rapid.IntRange(0, 1).Draw(rt, "later")) * 2 * retain.DefaultAbandoned)
		var kept []retain.Kept
		for range 3 {
			r, err := s.prune(k, p, true)
			check(rt, err)
			kept = r.Kept
			s.pass(testGrace)
		}
		for _, r := range kept {
			for lsn, n := r.From, 0; lsn <= r.To && n < 3; lsn, n = lsn+1+(r.To-lsn)/2, n+1 {
				if _, ok := k.model[Position{Timeline: r.Timeline, LSN: lsn}]; ok {
					k.mustRestore(Target{LSN: lsn, Timeline: r.Timeline}, nil)
				}
			}
		}
		for _, at := range pinned {
			k.mustRestore(Target{LSN: at.LSN, Timeline: at.Timeline}, nil)
		}
		if rep, err := Verify(t.Context(), k.arch, nil); err != nil || !rep.OK() {
			rt.Fatalf("verify: %v, %+v", err, rep)
		}
	})
}
