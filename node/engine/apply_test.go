package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// open opens vshard 0 on a store in memory that lives as long as one rapid check.
func open(t testing.TB, s *engine.Shared, id uint16, dir string) *engine.VShard {
	t.Helper()
	v, err := engine.OpenVShard(s, dir, id)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestApplyTwiceIsOnce holds Law 4: the same log, or any tail of it, applied
// again changes nothing; and the state is what the model says.
func TestApplyTwiceIsOnce(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		v := open(t, s, 0, dirOf(t, runs))
		defer v.Close()
		log := kit.History(rt, rapid.IntRange(1, 120).Draw(rt, "length"), 1)
		model := kit.NewModel()
		for i := range log {
			model.Apply(t, &log[i])
		}
		kit.Apply(t, v, log, rapid.IntRange(1, 20).Draw(rt, "batch"))
		once := kit.DumpVShard(t, v)
		checkModel(t, rt, v, model)

		tail := rapid.IntRange(0, len(log)-1).Draw(rt, "tail")
		kit.Apply(t, v, log[tail:], 5)
		if diff := cmp.Diff(once, kit.DumpVShard(t, v)); diff != "" {
			rt.Fatalf("applying from %d again changed the store: %s", tail, diff)
		}
		if got, want := v.Applied(), log[len(log)-1].LSN; got != want {
			rt.Fatalf("applied lsn: got %d, want %d", got, want)
		}
	})
}

func checkModel(t testing.TB, rt *rapid.T, v *engine.VShard, model *kit.Model) {
	t.Helper()
	ref, err := v.Acquire()
	if err != nil {
		rt.Fatal(err)
	}
	defer ref.Release()
	if diff := model.Compare(t, ref.Reader()); diff != "" {
		rt.Fatal(diff)
	}
}

// TestReplayIsApply holds Law 4: live batches and replays of any run size, mixed
// in any way, with runs lost half-way, end in the same store.
func TestReplayIsApply(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		log := kit.History(rt, rapid.IntRange(2, 150).Draw(rt, "length"), 1)
		last := log[len(log)-1]
		live := open(t, s, 0, dirOf(t, 2*runs))
		defer live.Close()
		kit.Apply(t, live, log, 7)

		v := open(t, s, 0, dirOf(t, 2*runs+1))
		defer v.Close()
		cut := rapid.IntRange(0, len(log)).Draw(rt, "cut")
		kit.Apply(t, v, log[:cut], 9)
		r, err := v.NewReplay(nil)
		if err != nil {
			rt.Fatal(err)
		}
		engine.SetRunOps(r, rapid.IntRange(1, 60).Draw(rt, "run"))
		if rapid.Bool().Draw(rt, "abandon") {
			feed(t, r, log[:rapid.IntRange(0, len(log)).Draw(rt, "abandoned")])
			if err := r.Close(); err != nil {
				rt.Fatal(err)
			}
			if r, err = v.NewReplay(nil); err != nil {
				rt.Fatal(err)
			}
			engine.SetRunOps(r, 15)
		}
		feed(t, r, log)
		if err := r.Finish(last.LSN, last.Time); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(kit.DumpVShard(t, live), kit.DumpVShard(t, v)); diff != "" {
			rt.Fatalf("replay and live apply differ: %s", diff)
		}
		flushed, err := v.Flushed()
		if err != nil || flushed != last.LSN || v.Applied() != last.LSN {
			rt.Fatalf("after Finish: flushed %d, applied %d, want %d: %v", flushed, v.Applied(), last.LSN, err)
		}
	})
}

func feed(t testing.TB, r *engine.Replay, log []wal.Record) {
	t.Helper()
	for i := range log {
		if err := r.Apply(&log[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 1)
	good := kit.Put(1, 1, "k", "v")
	good.VShard = 1
	tests := []struct {
		name   string
		change func(*wal.Record)
		want   error
	}{
		{"other vshard", func(r *wal.Record) { r.VShard = 2 }, engine.ErrWrongVShard},
		{"unknown required type", func(r *wal.Record) { r.Type = 200 | wal.RequiredBit }, wal.ErrUnknownType},
		{"unknown type of kv", func(r *wal.Record) { r.Type = 127 | wal.RequiredBit }, wal.ErrUnknownType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := v.NewBatch()
			defer b.Close()
			bad := good
			tt.change(&bad)
			err := b.Apply(&bad)
			var re *engine.RecordError
			if !errors.Is(err, tt.want) || !errors.As(err, &re) || re.LSN != 1 {
				t.Fatalf("got %v, want a *RecordError of lsn 1 for %v", err, tt.want)
			}
			if err := b.Commit(1, 1); !errors.Is(err, engine.ErrBatchBroken) {
				t.Errorf("commit of a broken batch: got %v", err)
			}
			if err := b.Apply(&good); !errors.Is(err, engine.ErrBatchBroken) {
				t.Errorf("apply to a broken batch: got %v", err)
			}
			b.Reset()
			if b.Last() != 0 || v.Applied() != 0 {
				t.Errorf("after reset: last %d, applied %d, want 0", b.Last(), v.Applied())
			}
		})
	}
}

// TestOptionalRecordsMoveLSN: records of the node, and optional ones that nobody
// knows, are skipped and counted as applied.
func TestOptionalRecordsMoveLSN(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 0)
	kit.Apply(t, v, []wal.Record{
		kit.Put(1, 1, "k", "v"),
		{LSN: 2, Time: 5, Type: wal.TypeNoop, VShard: wal.VShardNone},
		{LSN: 3, Time: 9, Type: 3000, VShard: 0},
	}, 10)
	if v.Applied() != 3 || v.AppliedTime() != 9 {
		t.Errorf("applied %d at %d, want 3 at 9", v.Applied(), v.AppliedTime())
	}
}

// TestPanicLeavesNothing holds Law 12: a panic in the middle of a record leaves
// the store as it was, and the batch refuses to write.
func TestPanicLeavesNothing(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem(), panicker{})
	v := kit.Open(t, s, 0)
	kit.Apply(t, v, []wal.Record{kit.Put(1, 1, "k", "v")}, 1)
	before := kit.DumpVShard(t, v)
	b := v.NewBatch()
	defer b.Close()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = b.Apply(&wal.Record{LSN: 2, Type: panicType})
	}()
	if err := b.Commit(2, 2); !errors.Is(err, engine.ErrBatchBroken) {
		t.Errorf("commit after a panic: got %v, want ErrBatchBroken", err)
	}
	if diff := cmp.Diff(before, kit.DumpVShard(t, v)); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	next := kit.Put(2, 1, "k2", "v2")
	if err := errors.Join(b.Apply(&next), b.Commit(2, 2)); err != nil {
		t.Fatal(err)
	}
	if v.Applied() != 2 {
		t.Errorf("applied %d, want 2", v.Applied())
	}
}

const panicType = 250 | wal.RequiredBit

// panicker panics after half a change.
type panicker struct{ noEngine }

func (panicker) Name() string         { return "panicker" }
func (panicker) Owns(t wal.Type) bool { return t == panicType }
func (panicker) Apply(b *engine.Batch, _ *wal.Record) error {
	key, value := b.Set(1, 1)
	key[0], value[0] = 0x30, 1
	panic("half-way")
}

// TestTwoEnginesOneType: the mistake is found when the node starts.
func TestTwoEnginesOneType(t *testing.T) {
	_, err := engine.NewShared(&engine.Options{Engines: []engine.Engine{panicker{}, panicker{}}})
	if err == nil {
		t.Fatal("two owners of one record type were accepted")
	}
}

func TestOptionsValidate(t *testing.T) {
	for _, o := range []engine.Options{
		{CacheBytes: -1}, {MemtableBytes: 1}, {MemtableBytes: 1 << 40}, {ReplayBytes: -1}, {OpenFiles: 1}, {Compactions: -1},
	} {
		if s, err := engine.NewShared(&o); err == nil {
			s.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
}

// TestReadersBesideWriter: while batches come, fronts are frozen, written and
// dropped, every reader sees the LSN and the data of one moment, and never an
// older moment than before.
func TestReadersBesideWriter(t *testing.T) {
	const batches = 1500
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 0)
	pad := strings.Repeat("x", 4<<10)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for i := range wal.LSN(batches) {
			log := []wal.Record{kit.Put(2*i+1, 1, "a", pad), kit.Put(2*i+2, 1, "b", pad)}
			if err := kit.TryApply(v, log, 2); err != nil {
				t.Error(err)
				return
			}
			for v.Admit() != nil {
				runtime.Gosched()
			}
		}
	})
	for _, look := range []func() (wal.LSN, error){
		func() (wal.LSN, error) { return lookAtSnapshot(v) },
		func() (wal.LSN, error) { return lookAtWalk(v) },
		func() (wal.LSN, error) {
			e, err := kv.Read(v, 7, []byte("b"), 0)
			if errors.Is(err, kv.ErrNotFound) {
				err = nil
			}
			return e.LSN, err
		},
	} {
		wg.Go(func() {
			for last := wal.LSN(0); ; {
				select {
				case <-done:
					return
				default:
				}
				lsn, err := look()
				if err != nil || lsn < last {
					t.Errorf("lsn %d after %d: %v", lsn, last, err)
					return
				}
				last = lsn
			}
		})
	}
	wg.Wait()
	if lsn, err := v.Flushed(); err != nil || lsn == 0 {
		t.Errorf("no front became a table beside the readers: flushed %d: %v", lsn, err)
	}
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	if st, err := v.Stats(); err != nil || st.Frozen != 0 {
		t.Errorf("%+v: %v", st, err)
	}
}

// TestRowsBesideWriter: readers of keys that are in tables never see what was there
// before a write that had ended when they asked, while tables come and go.
func TestRowsBesideWriter(t *testing.T) {
	const keys, rounds = 4, 100
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 0)
	var ended [keys]atomic.Uint64 // LSN of the last put of each
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		rng := rand.New(rand.NewPCG(1, 1))
		lsn := wal.LSN(0)
		for range rounds {
			k := rng.IntN(keys)
			lsn++
			if err := kit.TryApply(v, []wal.Record{kit.Put(lsn, 1, fmt.Sprint(k), "value")}, 1); err != nil {
				t.Error(err)
				return
			}
			ended[k].Store(uint64(lsn))
			if err := v.Flush(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			for k := 0; ; k = (k + 1) % keys {
				select {
				case <-done:
					return
				default:
				}
				least := ended[k].Load()
				e, err := kv.Read(v, 7, []byte(fmt.Sprint(k)), 0)
				if err != nil && (least != 0 || !errors.Is(err, kv.ErrNotFound)) || uint64(e.LSN) < least {
					t.Errorf("key %d: lsn %d after %d: %v", k, e.LSN, least, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// lookAtSnapshot returns the LSN of a snapshot, which is that of its last key.
func lookAtSnapshot(v *engine.VShard) (wal.LSN, error) {
	s, err := v.Snapshot()
	if err != nil {
		return 0, err
	}
	e, err := kv.Get(s.Reader(), 7, []byte("b"), 0)
	if errors.Is(err, kv.ErrNotFound) && s.Applied() == 0 {
		err = nil
	}
	if e.LSN != s.Applied() {
		err = fmt.Errorf("snapshot at lsn %d holds data of lsn %d", s.Applied(), e.LSN)
	}
	return s.Applied(), errors.Join(err, s.Close())
}

// lookAtWalk returns the LSN of the last of two keys, which are of one batch.
func lookAtWalk(v *engine.VShard) (wal.LSN, error) {
	ref, err := v.Acquire()
	if err != nil {
		return 0, err
	}
	defer ref.Release()
	s, err := kv.NewScan(ref.Reader(), &kv.ScanOptions{Tenant: 7})
	if err != nil {
		return 0, err
	}
	var lsns []wal.LSN
	for s.Next() {
		lsns = append(lsns, s.LSN())
	}
	if len(lsns) != 0 && (len(lsns) != 2 || lsns[0]+1 != lsns[1]) {
		err = fmt.Errorf("a walk sees lsns %d", lsns)
	}
	if len(lsns) == 0 {
		lsns = []wal.LSN{0}
	}
	return lsns[len(lsns)-1], errors.Join(err, s.Err(), s.Close())
}
