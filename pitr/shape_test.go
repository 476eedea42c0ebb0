package pitr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/internal/faultfs"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// kept is the model's state, filtered by words of its own.
func (s state) kept(o *Options) state {
	out := state{}
	for key, e := range s {
		tenant, prefix := len(o.OnlyTenants) == 0, len(o.OnlyPrefixes) == 0
		for _, t := range o.OnlyTenants {
			tenant = tenant || t == 7 // the kit's only tenant
		}
		for _, p := range o.OnlyPrefixes {
			prefix = prefix || strings.HasPrefix(key, string(p))
		}
		if tenant && prefix {
			out[key] = e
		}
	}
	return out
}

// mustShape restores with a shape and holds the result against the model.
func (k *kit) mustShape(t tb, target Target, opts *Options) (*vfs.MemFS, *Result) {
	t.Helper()
	plan, err := NewPlan(k.ctx, k.archives(), target)
	check(t, err)
	fs := vfs.NewMem()
	check(t, fs.MkdirAll("/data", 0o755))
	res, err := Restore(k.ctx, plan, "/data/node", k.options(fs, opts))
	if err != nil {
		t.Fatalf("restore to %s: %v", target, err)
	}
	k.checkShape(t, fs, res, opts)
	return fs, res
}

// checkShape: the directory is a node of its own that holds exactly the kept part
// of the model, each key where its hash belongs, all vshards at the LSN.
func (k *kit) checkShape(t tb, fs vfs.FS, res *Result, opts *Options) {
	t.Helper()
	whole := k.model[Position{Timeline: res.Reached.Timeline, LSN: res.Reached.LSN}]
	want := whole.kept(opts)
	if res.Digest != want.digest() || res.Entries != uint64(len(want)) {
		t.Fatalf("digest %s over %d entries, filtered model says %s over %d", res.Digest, res.Entries, want.digest(), len(want))
	}
	meta, err := engine.ReadMeta(fs, "/data/node")
	check(t, err)
	n := opts.VShards
	if n == 0 {
		n = kitVShards
	}
	if meta.VShards != n || meta.NodeID == kitNode || meta.Timeline != 1 || meta.ParentTimeline != 0 || meta.TimelineClaimed {
		t.Fatalf("node.json of the shaped node: %+v", meta)
	}
	shared, to, err := openAll(k.options(fs, nil).withDefaults(), "/data/node/vshard", n)
	check(t, err)
	got := 0
	for id, v := range to {
		if v.Applied() != res.Reached.LSN {
			t.Fatalf("vshard %d is at LSN %d, want %d", id, v.Applied(), res.Reached.LSN)
		}
		ref, err := v.Acquire()
		check(t, err)
		for key, e := range want {
			found, err := kv.Get(ref.Reader(), 7, []byte(key), 1)
			if here := kv.VShardOf([]byte(key), n) == uint16(id); here != (err == nil) {
				t.Fatalf("key %q in vshard %d of %d: %v", key, id, n, err)
			} else if here {
				got++
				if string(found.Value) != e.value || found.ExpireAt != e.expireAt {
					t.Fatalf("key %q is %q until %d, want %q until %d", key, found.Value, found.ExpireAt, e.value, e.expireAt)
				}
			}
		}
		ref.Release()
	}
	check(t, closeAll(shared, to))
	if got != len(want) {
		t.Fatalf("%d keys found, want %d", got, len(want))
	}
}

func randomShape(rt *rapid.T) *Options {
	o := randomOptions(rt)
	o.VShards = rapid.SampledFrom([]int{1, 2, 5}).Draw(rt, "vshards")
	if rapid.Bool().Draw(rt, "some prefixes") {
		for range rapid.IntRange(1, 2).Draw(rt, "prefixes") {
			o.OnlyPrefixes = append(o.OnlyPrefixes, []byte(rapid.SampledFrom([]string{"k1", "k2", "end", "k", "none"}).Draw(rt, "prefix")))
		}
	}
	o.OnlyTenants = rapid.SampledFrom([][]uint32{nil, nil, {7}, {3, 7}, {4}}).Draw(rt, "tenants")
	return o
}

// What is kept is the model's state at L, filtered; another number of vshards
// changes no entry. Law 4: all of it went through the one apply before.
func TestShapeIsFilteredModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := newKit(rt, t.Context(), newMemStore())
		randomLife(rt, k, k.begin())
		at := randomPosition(rt, k)
		_, res := k.mustShape(rt, Target{LSN: at.LSN, Timeline: at.Timeline}, randomShape(rt))
		whole := k.model[Position{Timeline: at.Timeline, LSN: at.LSN}]
		if res.Whole == nil || res.Whole.Digest != whole.digest() {
			rt.Fatalf("the whole state was %+v, model says %s", res.Whole, whole.digest())
		}
	})
}

// An outcome is found wherever a key of its old vshard can be now, expiries are
// carried over, and a copy of some prefixes has no outcomes.
func TestShapeOutcomes(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.puts(20, "a", "1")
	for i := range 20 {
		l.del(fmt.Sprintf("a%d", i)) // with the idempotency key idem-a<i>
	}
	l.end()
	target := Target{Latest: true}
	for _, n := range []int{1, 2, 7} {
		fs, _ := k.mustShape(t, target, &Options{VShards: n})
		if got := k.outcomes(t, fs, n); got != 20 {
			t.Errorf("%d vshards: %d of 20 outcomes are where their key is", n, got)
		}
	}
	opts := &Options{OnlyPrefixes: [][]byte{[]byte("a1")}}
	fs, _ := k.mustShape(t, target, opts)
	if got := k.outcomes(t, fs, kitVShards); got != 0 {
		t.Errorf("a part by prefix has %d outcomes", got)
	}
}

func (k *kit) outcomes(t *testing.T, fs vfs.FS, n int) int {
	shared, to, err := openAll(k.options(fs, nil).withDefaults(), "/data/node/vshard", n)
	check(t, err)
	found := 0
	for i := range 20 {
		key := fmt.Sprintf("a%d", i)
		ref, err := to[kv.VShardOf([]byte(key), n)].Acquire()
		check(t, err)
		o, ok, err := kv.FindOutcome(ref.Reader(), 7, []byte("idem-"+key))
		check(t, err)
		if ok && o.Type == kv.TypeDelete && o.LSN != 0 {
			found++
		}
		ref.Release()
	}
	check(t, closeAll(shared, to))
	return found
}

func TestShapeRefuses(t *testing.T) {
	k, target := crashKit(t)
	plan, err := NewPlan(t.Context(), k.archives(), target)
	check(t, err)
	for name, o := range map[string]*Options{
		"the archive's name": {VShards: 5, NewNodeID: kitNode},
		"a bad name":         {VShards: 5, NewNodeID: "no/name"},
		"a name for nothing": {NewNodeID: "other"},
		"too many vshards":   {VShards: int(wal.VShardNone)},
		"a negative number":  {VShards: -1},
	} {
		if _, err := Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), o)); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

// A crash before a file system operation of a restore that copies, wherever: the target
// is absent or complete, and a resume, with the same wish, ends with the right
// node.
func TestShapeCrashAtEveryOperation(t *testing.T) {
	k, target := crashKit(t)
	opts := crashOptions()
	opts.VShards, opts.OnlyPrefixes = 2, [][]byte{[]byte("a"), []byte("c")}
	every := int64(4)
	if testing.Short() {
		every = 20
	}
	offset := rand.Int64N(every)
	t.Logf("crashes before every %dth operation, from the %dth, and every one that puts the copy in place", every, offset)
	for _, keep := range []int{0, 50} {
		mem := vfs.NewCrashableMem()
		check(t, mem.MkdirAll("/data", 0o755))
		check(t, errors.Join(durable.SyncDir(mem, "/"), durable.SyncDir(mem, "/data")))
		fs := faultfs.New(mem)
		var clones []*vfs.MemFS
		placing := false
		fs.Hook(func(op faultfs.Op) {
			// Putting the copy in place takes few operations, and each counts.
			placing = placing || strings.Contains(op.Path, shapedName)
			if op.N%every != offset && !placing {
				return
			}
			rng := rand.New(rand.NewPCG(uint64(op.N), uint64(keep)))
			clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}))
		})
		plan, err := NewPlan(t.Context(), k.archives(), target)
		check(t, err)
		_, err = Restore(t.Context(), plan, "/data/node", k.options(fs, opts))
		check(t, err)
		fs.Hook(nil)
		t.Logf("%d operations with %d%% kept", len(clones), keep)
		for i, clone := range clones {
			k.resumeShape(t, clone, plan.Target, opts, fmt.Sprintf("crash %d, %d%% kept", i, keep))
		}
	}
}

func (k *kit) resumeShape(t *testing.T, fs vfs.FS, target Target, opts *Options, what string) {
	t.Helper()
	plan, err := NewPlan(t.Context(), k.archives(), target)
	check(t, err)
	o := k.options(fs, opts)
	o.Resume = true
	res, err := Restore(t.Context(), plan, "/data/node", o)
	if errors.Is(err, ErrTargetDirNotEmpty) {
		want := k.model[Position{Timeline: plan.Reached.Timeline, LSN: plan.Reached.LSN}].kept(opts)
		res = &Result{Reached: plan.Reached, Digest: want.digest(), Entries: uint64(len(want))}
	} else if err != nil {
		t.Fatalf("%s: resume: %v", what, err)
	}
	k.checkShape(t, fs, res, opts)
	names, err := fs.List("/data")
	check(t, err)
	if len(names) != 1 || names[0] != "node" {
		t.Fatalf("%s: left in the parent directory: %q", what, names)
	}
}

// A wish for another shape does not go on with a stage of the first.
func TestShapeIsPartOfTheGoal(t *testing.T) {
	p := &Plan{NodeID: "n", Target: Target{Latest: true}}
	five := *p
	five.Shape = &Shape{VShards: 5}
	named := *p
	named.Shape = &Shape{VShards: 5, NodeID: "drawn"}
	if p.sameGoal(&five) || five.sameGoal(p) || !five.sameGoal(&named) || !archive.ValidNodeID(named.Shape.NodeID) {
		t.Error("shapes are not told apart")
	}
}
