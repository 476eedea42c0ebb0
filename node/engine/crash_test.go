package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// Fault model of these tests: the file system stops at any operation that changes
// it. Files keep what was synced, and of the rest nothing, everything, or a
// random share of blocks and directory entries.

// crashLog is a log with all that matters to flushes: overwrites, deletes, expiry.
func crashLog(n int) []wal.Record {
	var log []wal.Record
	for i := range n {
		lsn := wal.LSN(i + 1)
		r := kit.Put(lsn, 1, fmt.Sprintf("key-%d", i%7), fmt.Sprintf("value-%d", i))
		switch i % 5 {
		case 3:
			r.Type = kv.TypeDelete
			r.Payload = kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Key: fmt.Appendf(nil, "key-%d", (i+2)%7)})
		case 4:
			r.Type = kv.TypeExpire
			r.Payload = kv.AppendExpire(nil, &kv.Expire{Op: kv.OpMaintenance, Keys: []kv.Due{
				{Millis: 5000, Tenant: 7, Key: fmt.Appendf(nil, "key-%d", (i+6)%7)}}})
		case 1:
			r.Payload = kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: fmt.Appendf(nil, "key-%d", i%7), Value: []byte("ttl"), ExpireAt: 4200})
		}
		log = append(log, r)
	}
	return log
}

func modelsOf(t testing.TB, log []wal.Record) []*kit.Model {
	models := []*kit.Model{kit.NewModel()}
	for i := range log {
		m := models[i].Clone()
		m.Apply(t, &log[i])
		models = append(models, m)
	}
	return models
}

// scenario applies, flushes, replays and exports.
func scenario(v *engine.VShard, log []wal.Record) error {
	third := len(log) / 3
	if err := errors.Join(kit.TryApply(v, log[:third], 3), v.Flush()); err != nil {
		return err
	}
	r, err := v.NewReplay(nil)
	if err != nil {
		return err
	}
	engine.SetRunOps(r, 7)
	for i := range log[:2*third] {
		if err := r.Apply(&log[i]); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	if err := r.Finish(log[2*third-1].LSN, log[2*third-1].Time); err != nil {
		return err
	}
	for i := 2 * third; i < len(log); i += 4 {
		if err := errors.Join(kit.TryApply(v, log[i:min(i+4, len(log))], 2), v.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// TestCrashAtEveryOperation holds Law 4 on disk: at any moment the store that a
// crash leaves is the model at the LSN that it names, and the rest of the log
// brings it to the end.
func TestCrashAtEveryOperation(t *testing.T) {
	log := crashLog(36)
	models := modelsOf(t, log)
	mem := vfs.NewCrashableMem()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))

	var mu sync.Mutex
	var clones []*vfs.MemFS
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: 0}
		if n := len(clones); n%2 == 1 {
			cfg = vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (1 + n/2%2), RNG: rng}
		}
		clones = append(clones, mem.CrashClone(cfg))
		return nil
	}))
	s := kit.NewShared(t, fs)
	v := open(t, s, 0, "vshard")
	if err := errors.Join(scenario(v, log), v.Close()); err != nil {
		t.Fatal(err)
	}
	if len(clones) < 100 {
		t.Fatalf("only %d crashes", len(clones))
	}
	t.Logf("%d crashes", len(clones))
	highest := wal.LSN(0)
	for i, c := range clones {
		at := checkCrash(t, fmt.Sprintf("crash %d", i), c, log, models)
		highest = max(highest, at)
	}
	if highest < wal.LSN(len(log)-4) {
		t.Errorf("no crash kept more than lsn %d: the flushes did nothing", highest)
	}
}

func checkCrash(t *testing.T, name string, fs vfs.FS, log []wal.Record, models []*kit.Model) wal.LSN {
	t.Helper()
	s, err := engine.NewShared(&engine.Options{FS: fs, MemtableBytes: 1 << 20, Engines: []engine.Engine{kv.Engine{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v, err := engine.OpenVShard(s, "vshard", 0)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer v.Close()
	at := v.Applied()
	checkAt(t, name, v, models[at])
	flushed, err := v.Flushed()
	if err != nil || flushed != at {
		t.Errorf("%s: flushed %d, applied %d: %v", name, flushed, at, err)
	}
	kit.Apply(t, v, log, 4)
	checkAt(t, name+" after the rest", v, models[len(log)])
	return at
}

func checkAt(t *testing.T, name string, v *engine.VShard, model *kit.Model) {
	t.Helper()
	ref, err := v.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Release()
	if diff := model.Compare(t, ref.Reader()); diff != "" {
		t.Errorf("%s: at lsn %d: %s", name, v.Applied(), diff)
	}
}

// TestErrorAtEveryOperation: a full disk, or any other error, at any operation is
// an error of the call or is healed later. Never a panic, never a wrong state;
// reads go on; and when the disk works again, Reopen and the log bring all back.
func TestErrorAtEveryOperation(t *testing.T) {
	log := crashLog(36)
	models := modelsOf(t, log)
	failed := 0
	const opsMax = 2000
	for n := 0; ; n++ {
		if n == opsMax {
			t.Fatalf("scenario did not end within %d operations", opsMax)
		}
		mem := vfs.NewMem()
		fault := &fault{at: n, err: syscall.ENOSPC, lasting: n%2 == 0}
		reached, err := errorScenario(t, fault, errorfs.Wrap(mem, fault), log, models)
		if !reached {
			break
		}
		if err != nil {
			failed++
		}
		// The disk works again.
		checkCrash(t, fmt.Sprintf("error %d, reopened", n), mem, log, models)
	}
	if failed < 20 {
		t.Errorf("only %d errors reached the caller", failed)
	}
	t.Logf("%d errors reached the caller", failed)
}

// fault fails the operation number at, and all later ones while it lasts.
type fault struct {
	mu      sync.Mutex
	n, at   int
	err     error
	lasting bool
	healed  bool
}

func (f *fault) String() string { return "fault" }

func (f *fault) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if !f.healed && (f.n-1 == f.at || f.lasting && f.n-1 > f.at) {
		return f.err
	}
	return nil
}

func (f *fault) reached() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n > f.at
}

func (f *fault) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healed = true
}

func errorScenario(t *testing.T, f *fault, fs vfs.FS, log []wal.Record, models []*kit.Model) (bool, error) {
	t.Helper()
	s, err := engine.NewShared(&engine.Options{FS: fs, MemtableBytes: 1 << 20, Engines: []engine.Engine{kv.Engine{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v, err := engine.OpenVShard(s, "vshard", 0)
	if err != nil {
		return f.reached(), err
	}
	err = scenario(v, log)
	checkAt(t, fmt.Sprintf("error %d", f.at), v, models[v.Applied()])
	f.heal()
	if rerr := v.Reopen(); rerr != nil {
		t.Errorf("error %d: reopen: %v", f.at, rerr)
		return f.reached(), err
	}
	checkAt(t, fmt.Sprintf("error %d, after Reopen", f.at), v, models[v.Applied()])
	kit.Apply(t, v, log, 4)
	checkAt(t, fmt.Sprintf("error %d, after Reopen and the log", f.at), v, models[len(log)])
	if ferr := v.Flush(); ferr != nil {
		t.Errorf("error %d: flush after Reopen: %v", f.at, ferr)
	}
	if cerr := v.Close(); cerr != nil {
		t.Errorf("error %d: close: %v", f.at, cerr)
	}
	return f.reached(), err
}
