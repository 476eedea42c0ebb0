package pitr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/internal/faultfs"
	"github.com/nodedb-go/nodedb/node/engine"
)

// crashKit is an archive whose restore loads a base, replays two segments and
// has a digest to meet.
func crashKit(t *testing.T) (*kit, Target) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.puts(12, "a", "1")
	l.seal()
	l.base()
	l.puts(12, "b", "2")
	l.seal()
	l.del("a3")
	at := l.put("c", "3")
	l.publish()
	l.end()
	return k, Target{LSN: at}
}

func crashOptions() *Options {
	return &Options{Parallel: 1, Workers: 1, ReplayBytes: 1 << 20}
}

// resume restores again on fs and checks what is there in the end.
func (k *kit) resume(t *testing.T, fs vfs.FS, target Target, what string) {
	t.Helper()
	plan, err := NewPlan(t.Context(), k.archives(), target)
	check(t, err)
	o := k.options(fs, crashOptions())
	o.Resume = true
	res, err := Restore(t.Context(), plan, "/data/node", o)
	if errors.Is(err, ErrTargetDirNotEmpty) {
		// All was done, up to the removal of the journal.
		res = k.finished(t, fs, what)
	} else if err != nil {
		t.Fatalf("%s: resume: %v", what, err)
	}
	k.compare(target, res)
	names, err := fs.List("/data")
	check(t, err)
	if len(names) != 1 || names[0] != "node" {
		t.Fatalf("%s: left in the parent directory: %q", what, names)
	}
}

// finished reads a complete node as a node would.
func (k *kit) finished(t *testing.T, fs vfs.FS, what string) *Result {
	t.Helper()
	meta, err := engine.ReadMeta(fs, "/data/node")
	if err != nil {
		t.Fatalf("%s: the target is there and is no node: %v", what, err)
	}
	got := k.content(fs, "/data/node")
	return &Result{Reached: Position{Timeline: meta.ParentTimeline, LSN: meta.ForkLSN}, NextLSN: meta.FirstLSN,
		Digest: got.digest(), Entries: uint64(len(got))}
}

// A crash before any file system operation of a restore, with none, half (by
// seed) and all of the unsynced data kept: the target is absent or complete, and
// a resume ends with the right state.
func TestCrashAtEveryOperation(t *testing.T) {
	k, target := crashKit(t)
	for _, keep := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("keep %d%%", keep), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			check(t, mem.MkdirAll("/data", 0o755))
			check(t, durable.SyncDir(mem, "/"))
			check(t, durable.SyncDir(mem, "/data"))
			fs := faultfs.New(mem)
			type crash struct {
				op    faultfs.Op
				clone *vfs.MemFS
			}
			var crashes []crash
			fs.Hook(func(op faultfs.Op) {
				rng := rand.New(rand.NewPCG(uint64(op.N), uint64(keep)))
				crashes = append(crashes, crash{op, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng})})
			})
			plan, err := NewPlan(t.Context(), k.archives(), target)
			check(t, err)
			_, err = Restore(t.Context(), plan, "/data/node", k.options(fs, crashOptions()))
			check(t, err)
			fs.Hook(nil)
			t.Logf("%d operations", len(crashes))
			for _, c := range crashes {
				if _, err := c.clone.Stat("/data/node"); err == nil {
					k.finished(t, c.clone, c.op.String())
				}
				k.over(t, k.store).resume(t, c.clone, target, c.op.String())
			}
		})
	}
}

// Every operation fails once, in every way; the process lives on. The target is
// absent or complete, and a resume ends with the right state.
func TestFaultAtEveryOperation(t *testing.T) {
	k, target := crashKit(t)
	for name, fault := range map[string]func(int64) faultfs.Fault{
		"error":       faultfs.Fail,
		"short write": faultfs.Short,
		"no space":    faultfs.NoSpace,
		"sync":        faultfs.SyncFails,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := k.over(t, k.store)
			failed := 0
			for n := int64(1); ; n++ {
				if name == "short write" && n%2 == 0 {
					continue // an error, for most operations
				}
				fs := faultfs.New(newStageFS(t))
				fs.Inject(fault(n))
				plan, err := NewPlan(t.Context(), k.archives(), target)
				check(t, err)
				res, err := Restore(t.Context(), plan, "/data/node", k.options(fs, crashOptions()))
				if fs.Hits() == 0 {
					check(t, err)
					break
				}
				fs.Clear()
				if err == nil {
					k.compare(target, res) // something that could be done again, or without
					continue
				}
				failed++
				if name == "no space" && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("operation %d: ENOSPC is reported as %v", n, err)
				}
				what := fmt.Sprintf("%s at operation %d (%v)", name, n, err)
				if _, serr := fs.Stat("/data/node"); serr == nil {
					k.finished(t, fs, what)
				}
				k.resume(t, fs, target, what)
			}
			t.Logf("%d failed restores were resumed", failed)
		})
	}
}
