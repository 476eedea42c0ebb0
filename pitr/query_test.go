package pitr

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// expire logs the removal of keys that were due at a time.
func (l *life) expire(dueMillis int64, keys ...string) wal.LSN {
	var b wal.Batch
	effects := []func(state){}
	for _, key := range keys { // one record each: a record is of one vshard
		p := kv.AppendExpire(nil, &kv.Expire{Op: kv.OpMaintenance, Keys: []kv.Due{{Millis: dueMillis, Tenant: 7, Key: []byte(key)}}})
		check(l.k.t, b.Add(kv.TypeExpire, 0, kv.VShardOf([]byte(key), kitVShards), nil, p))
		effects = append(effects, func(s state) {
			if e, ok := s[key]; ok && e.expireAt != 0 && e.expireAt <= dueMillis {
				delete(s, key)
			}
		})
	}
	return l.write(&b, effects)
}

// atomic writes a pair of keys of one vshard as one record: the second is
// deleted.
func (l *life) atomic(tag, value string) wal.LSN {
	one, two := "{"+tag+"}1", "{"+tag+"}2"
	var b wal.Batch
	p := kv.AppendBatch(nil, &kv.Batch{Op: kv.OpBatch, Mutations: []kv.Mutation{
		{Key: []byte(one), Value: []byte("first")}, {Key: []byte(two), Delete: true}, {Key: []byte(one), Value: []byte(value)}}})
	check(l.k.t, b.Add(kv.TypeBatch, 7, kv.VShardOf([]byte(one), kitVShards), nil, p))
	return l.write(&b, []func(state){func(s state) { s[one] = modelEntry{value: value}; delete(s, two) }})
}

// queried is a random life with expiries and atomic batches in it.
func queriedLife(rt *rapid.T, k *kit, l *life) {
	for range rapid.IntRange(1, 4).Draw(rt, "stretches") {
		randomSteps(rt, l)
		switch rapid.IntRange(0, 3).Draw(rt, "more") {
		case 0:
			l.atomic(fmt.Sprintf("k%d", rapid.IntRange(0, 2).Draw(rt, "tag")), "both")
		case 1:
			l.puts(4, "k", "with expiry")
			l.expire(k.now.UnixMilli()+int64(rapid.SampledFrom([]int{0, 7200}).Draw(rt, "due"))*1000, "k0", "k1", "k3")
		case 2:
			l.expire(k.now.UnixMilli()+7200_000, "k0", "k3")
		case 3:
			l.seal()
		}
	}
	l.put("end", "of life")
	l.end()
}

// Get, History and Diff agree with the model at every LSN of every timeline.
func TestQueryIsModel(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() == checks.DefValue {
		check(t, checks.Value.Set("8"))
		defer func() { check(t, checks.Value.Set(checks.DefValue)) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		mem := newMemStore()
		k := newKit(rt, t.Context(), mem)
		l := k.begin()
		queriedLife(rt, k, l)
		for n := rapid.IntRange(0, 2).Draw(rt, "forks"); n > 0; n-- {
			fork := randomPosition(rt, k)
			fs, res := k.mustRestore(Target{LSN: fork.LSN, Timeline: fork.Timeline}, nil)
			queriedLife(rt, k, k.adopt(fs, "/data/node", res))
		}
		if rapid.Bool().Draw(rt, "packs") {
			_, err := archive.Compact(t.Context(), k.arch, &archive.CompactOptions{DeleteSmall: rapid.Bool().Draw(rt, "delete"), Grace: -1})
			check(rt, err)
		}
		if rapid.Bool().Draw(rt, "indexed") {
			k.index(rapid.IntRange(1, 3).Draw(rt, "of them"))
			if rapid.Bool().Draw(rt, "merged") {
				k.merge(2)
			}
		}
		if rapid.Bool().Draw(rt, "pruned") {
			pruneBelowBase(rt, k, mem)
		}
		q := k.query()
		keys := slices.Sorted(maps.Keys(k.allKeys()))
		keys = append(keys, "never")
		for range 6 {
			at := randomPosition(rt, k)
			for range 3 {
				q.checkGet(at, rapid.SampledFrom(keys).Draw(rt, "get"))
			}
		}
		newest := slices.Max(q.h.timelines())
		for range 3 {
			tl := wal.Timeline(rapid.Uint32Range(1, uint32(newest)).Draw(rt, "timeline"))
			q.checkHistory(tl, rapid.SampledFrom(keys).Draw(rt, "history"))
		}
		x, y := randomPosition(rt, k), randomPosition(rt, k)
		q.checkDiff(x, y)
	})
}

// index makes the index of every nth segment.
func (k *kit) index(n int) {
	c, err := k.arch.Catalog(k.ctx)
	check(k.t, err)
	for i, s := range index.Missing(c) {
		if i%n == 0 {
			_, err := index.Build(k.ctx, k.arch, s, &index.Options{Decode: kv.Changes, RevealEncrypted: true})
			check(k.t, err)
		}
	}
}

// merge makes merged indexes of what is indexed.
func (k *kit) merge(least int) *index.MergeReport {
	r, err := index.Merge(k.ctx, k.arch, &index.MergeOptions{MinIndexes: least})
	check(k.t, err)
	if len(r.Problems) > 0 {
		k.t.Fatalf("not merged: %+v", r.Problems)
	}
	return r
}

// pruneBelowBase takes away the segments that a base of a timeline stands for.
func pruneBelowBase(rt *rapid.T, k *kit, mem *memStore) {
	c, err := k.arch.Catalog(k.ctx)
	check(rt, err)
	if len(c.Bases) == 0 {
		return
	}
	b := c.Bases[rapid.IntRange(0, len(c.Bases)-1).Draw(rt, "base")]
	for _, s := range c.Segments {
		if s.Packed == nil && s.Timeline <= b.Timeline && s.Last <= b.LSN {
			check(rt, mem.Delete(k.ctx, s.Object.Key))
		}
	}
}

// kitQuery is a query that is held against the model.
type kitQuery struct {
	*Query
	k *kit
}

func (k *kit) query() *kitQuery {
	k.t.Helper()
	q, err := NewQuery(k.ctx, k.archives(), &QueryOptions{Parallel: 2, Restore: *k.options(nil, nil)})
	check(k.t, err)
	return &kitQuery{q, k}
}

func (q *kitQuery) checkGet(at Position, key string) {
	q.k.t.Helper()
	got, err := q.Get(q.k.ctx, Target{LSN: at.LSN, Timeline: at.Timeline}, 7, []byte(key))
	if err != nil {
		_, perr := NewPlan(q.k.ctx, q.k.archives(), Target{LSN: at.LSN, Timeline: at.Timeline})
		if perr == nil || ExitCode(perr) != ExitCode(err) {
			q.k.t.Fatalf("get %q at %s: %v, and a plan says %v", key, at, err, perr)
		}
		return
	}
	now := q.k.times[at] / 1000
	want, stored := q.k.model[at][key]
	expired := stored && want.expireAt != 0 && want.expireAt <= now
	if got.Found != (stored && !expired) || got.Expired != expired || string(got.Value) != want.value || got.ExpireAt != want.expireAt {
		q.k.t.Fatalf("get %q at %s: %+v, model says %+v, %v", key, at, got, want, stored)
	}
}

// checkHistory replays what History tells and compares after every LSN of the
// lineage that the model knows.
func (q *kitQuery) checkHistory(tl wal.Timeline, key string) {
	q.k.t.Helper()
	var all []Version
	err := q.History(q.k.ctx, Range{Timeline: tl}, 7, []byte(key), func(v *Version) error {
		all = append(all, *v)
		return nil
	})
	if is[*OutOfWindowError](err) && q.h.branches[tl].last() == 0 && len(q.h.lineage(tl)) == 1 {
		return // all of it was pruned
	}
	if err != nil {
		q.k.t.Fatalf("history of %q: %v", key, err)
	}
	compared := 0
	for at, s := range q.k.model {
		spans := q.h.lineage(tl)
		if i := spanWith(spans, at.LSN); i < 0 || spans[i].timeline != at.Timeline || at.LSN > q.h.branches[at.Timeline].last() {
			continue // not on this history, or nothing tells that it was written
		}
		known, held := replayed(all, at.LSN)
		if !known {
			continue
		}
		compared++
		want, ok := s[key]
		if ok != (held != nil) || ok && (string(held.Value) != want.value || held.ExpireAt != want.expireAt) {
			q.k.t.Fatalf("history of %q on timeline %d says %+v at %s, model %+v, %v\n%s", key, tl, held, at, want, ok, told(all))
		}
	}
	if compared == 0 && !slices.ContainsFunc(all, func(v Version) bool { return v.Op == OpUnknown }) {
		q.k.t.Fatalf("history of %q on timeline %d tells nothing: %s", key, tl, told(all))
	}
}

func told(all []Version) (out []string) {
	for i := range all {
		v := &all[i]
		out = append(out, fmt.Sprintf("%s %s %q until %d, to %d, base %v, unsure %v", v.Position, v.Op, v.Value, v.ExpireAt, v.To, v.Base, v.Unsure))
	}
	return out
}

// replayed is what the versions up to lsn leave; known is false in what they
// call unknown.
func replayed(all []Version, lsn wal.LSN) (known bool, held *Version) {
	known = true
	for i := range all {
		v := &all[i]
		if v.Op == OpUnknown && v.LSN <= lsn {
			known, held = false, nil
		}
		if v.LSN > lsn || v.Unsure {
			continue
		}
		switch v.Op {
		case OpPut:
			known, held = true, v
		case OpBase:
			known, held = lsn >= v.Base.LSN, v
		case OpAbsent:
			known, held = true, nil
		case OpDelete, OpExpire:
			known, held = true, nil
		}
	}
	return known, held
}

func (q *kitQuery) checkDiff(x, y Position) {
	q.k.t.Helper()
	if x.LSN > y.LSN {
		x, y = y, x
	}
	spans := q.h.lineage(y.Timeline)
	if i := spanWith(spans, x.LSN); i < 0 || spans[i].timeline != x.Timeline {
		return // not on one history
	}
	got, err := q.Diff(q.k.ctx, Target{LSN: x.LSN}, Target{LSN: y.LSN, Timeline: y.Timeline}, []byte("k"))
	if err != nil {
		if !is[*GapError](err) && !is[*OutOfWindowError](err) {
			q.k.t.Fatalf("diff %s to %s: %v", x, y, err)
		}
		return
	}
	var want []string
	old, late := q.k.model[x], q.k.model[y]
	for key := range q.k.allKeys() {
		if key[0] == 'k' && old[key] != late[key] {
			want = append(want, fmt.Sprintf("%s %v %v", key, old[key], late[key]))
		}
	}
	slices.Sort(want)
	var have []string
	entry := func(v *Version) (e modelEntry) {
		if v != nil {
			e = modelEntry{value: string(v.Value), expireAt: v.ExpireAt}
		}
		return e
	}
	for _, d := range got.Keys {
		have = append(have, fmt.Sprintf("%s %v %v", d.Key, entry(d.Old), entry(d.New)))
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		q.k.t.Fatalf("diff %s to %s:\n%q\nmodel says\n%q", x, y, have, want)
	}
}

// Grep finds what a walk over the model's changes finds, by key and by value.
func TestGrep(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("user:1", "red")
	l.put("order:1", "a red one")
	l.seal()
	l.put("user:22", "blue")
	l.del("user:1")
	l.end()
	for _, tc := range []struct {
		pattern string
		values  bool
		want    []string
	}{
		{"^user:", false, []string{"put user:1", "put user:22", "del user:1"}},
		{"red", true, []string{"put user:1", "put order:1"}},
		{"red", false, nil},
	} {
		var got []string
		err := k.query().Grep(t.Context(), Range{}, regexp.MustCompile(tc.pattern), tc.values, func(v *Version) error {
			got = append(got, v.Op+" "+string(v.Key))
			return nil
		})
		check(t, err)
		if !slices.Equal(got, tc.want) {
			t.Errorf("grep %q (values %v): %q, want %q", tc.pattern, tc.values, got, tc.want)
		}
	}
}

// One key of many segments: with indexes the bytes of the archive stay where they
// are, and the answer is the same.
func TestQueryByIndex(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	l.put("wanted", "first")
	for i := range 30 {
		l.puts(20, fmt.Sprintf("other%d-", i), fmt.Sprintf("value %d", i))
		if i == 15 {
			l.put("wanted", "second")
		}
		l.seal()
	}
	l.end()
	read := func(noIndex bool) (values []string, requests int) {
		f := archivetest.NewFaulty(mem, func(op archivetest.Op, key string, _ int) archivetest.Fault {
			if op == archivetest.OpRead && strings.Contains(key, "/wal/") {
				requests++
			}
			return archivetest.None
		})
		q, err := NewQuery(t.Context(), k.over(t, f).archives(), &QueryOptions{NoIndex: noIndex, Parallel: 1})
		check(t, err)
		check(t, q.History(t.Context(), Range{}, 7, []byte("wanted"), func(v *Version) error {
			values = append(values, string(v.Value))
			return nil
		}))
		return values, requests
	}
	k.index(1)
	want := []string{"first", "second"}
	scanned, all := read(true)
	got, few := read(false)
	if !slices.Equal(scanned, want) || !slices.Equal(got, want) {
		t.Errorf("by scan %q, by index %q, want %q", scanned, got, want)
	}
	if all < 30 || few > 8 {
		t.Errorf("%d reads of segments by scan, %d by index; want one a segment, and few", all, few)
	}
	// An index that lies about its place is found out, and the segment is read.
	for _, key := range mem.keys("index/") {
		mem.change(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b[:len(b)-1] })
	}
	if got, _ := read(false); !slices.Equal(got, want) {
		t.Errorf("with damaged indexes %q, want %q", got, want)
	}
}

// What is wrong is named, and what does not answer is not absent.
func TestQueryTrouble(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	for i := range 4 {
		l.put("k", fmt.Sprintf("v%d", i))
		l.seal()
	}
	l.end()
	history := func(k *kit) error {
		return k.query().History(k.ctx, Range{}, 7, []byte("k"), func(*Version) error { return nil })
	}
	check(t, history(k))

	second := mem.keys("wal/")[1]
	broken := mem.clone()
	broken.change(second, func(b []byte) []byte { b[len(b)/3] ^= 1; return b })
	err := history(k.over(t, broken))
	if !names(err, second) || ExitCode(err) != ExitCorrupt {
		t.Errorf("damaged segment: %v", err)
	}
	if _, err := k.over(t, broken).query().Get(t.Context(), Target{LSN: 1}, 7, []byte("k")); err != nil {
		t.Errorf("the damaged segment is not on the way: %v", err)
	}

	down := archivetest.NewFaulty(mem, reads("wal/", func(int) archivetest.Fault { return archivetest.Fail }))
	err = history(k.over(t, down))
	if ExitCode(err) != ExitUnreachable {
		t.Errorf("store is down: %v", err)
	}

	// The other store has a hole where only the one that is down may have more.
	holed := mem.clone()
	check(t, holed.Delete(t.Context(), second))
	silent := archivetest.NewFaulty(mem, func(archivetest.Op, string, int) archivetest.Fault { return archivetest.Fail })
	two := append(k.over(t, holed).archives(), k.over(t, silent).archives()...)
	q, err := NewQuery(t.Context(), two, &QueryOptions{Restore: *k.options(nil, nil)})
	check(t, err)
	err = q.History(t.Context(), Range{}, 7, []byte("k"), func(*Version) error { return nil })
	if !is[*UnreachableError](err) {
		t.Errorf("a hole while a store is down: %v", err)
	}
}

// Without an identity nothing is told of an encrypted archive, and all with it.
func TestQueryEncrypted(t *testing.T) {
	k, l, _, id := encryptedKit(t)
	defer l.end()
	if _, err := k.query().Get(t.Context(), Target{Latest: true}, 7, []byte("k1")); !errors.Is(err, archive.ErrKeyMissing) {
		t.Errorf("get without identity: %v", err)
	}
	q := k.with(id).query()
	for at := range k.model {
		q.checkGet(at, "k1")
	}
	q.checkHistory(1, "k2")
}

// An expiry is in another segment than what it removes, and what it is too late
// for stays.
func TestQueryExpiry(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	due := k.now.Add(time.Hour).UnixMilli()
	l.puts(4, "k", "for an hour") // k0 and k3 expire
	l.seal()
	l.expire(due-1000, "k0", "k1")
	l.seal()
	l.expire(due, "k0", "k1")
	l.seal()
	l.put("end", "of life")
	l.end()
	q := k.query()
	for at := range k.model {
		for _, key := range []string{"k0", "k1", "k3"} {
			q.checkGet(at, key)
		}
		q.checkDiff(Position{Timeline: 1, LSN: 4}, at)
	}
	q.checkHistory(1, "k0")
	q.checkHistory(1, "k1")
}
