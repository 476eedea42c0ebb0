package pitr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/wal"
)

// reads is a plan of faults for the reads of one kind of object, by their order.
func reads(kind string, fault func(n int) archivetest.Fault) archivetest.Plan {
	n := 0
	return func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op != archivetest.OpRead || !strings.HasPrefix(key, archive.NodePrefix(kitNode)+kind) {
			return archivetest.None
		}
		n++
		return fault(n)
	}
}

// Trouble on the way while a restore runs.
func TestTrouble(t *testing.T) {
	always := func(f archivetest.Fault) func(int) archivetest.Fault {
		return func(int) archivetest.Fault { return f }
	}
	once := func(f archivetest.Fault) func(int) archivetest.Fault {
		return func(n int) archivetest.Fault {
			if n == 1 {
				return f
			}
			return archivetest.None
		}
	}
	for _, kind := range []string{"wal/", "obj/"} {
		tests := []struct {
			name  string
			fault func(int) archivetest.Fault
			class error
			exit  int
		}{
			{name: "one failure", fault: once(archivetest.Fail)},
			{name: "one body cut off", fault: once(archivetest.Truncated)},
			{name: "one bit flipped on the way", fault: once(archivetest.Flipped)},
			{name: "down", fault: always(archivetest.Fail), exit: ExitUnreachable},
			{name: "throttled for ever", fault: always(archivetest.Fail), class: archive.ErrThrottled, exit: ExitUnreachable},
			{name: "cold", fault: always(archivetest.Fail), class: archive.ErrCold, exit: ExitCold},
			{name: "denied", fault: always(archivetest.Fail), class: archive.ErrDenied, exit: ExitError},
		}
		for _, tt := range tests {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				k, mem := small(t)
				plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: 4})
				check(t, err)
				faulty := archivetest.NewFaulty(mem, reads(kind, tt.fault))
				if tt.class != nil {
					faulty.Err = tt.class
				}
				plan.src.archives = k.over(t, faulty).archives()
				fs := newStageFS(t)
				res, err := Restore(t.Context(), plan, "/data/node", k.options(fs, nil))
				if ExitCode(err) != tt.exit {
					t.Fatalf("exit code %d for %v, want %d", ExitCode(err), err, tt.exit)
				}
				if err == nil {
					k.compare(plan.Target, res)
				}
			})
		}
	}
}

// A store that hangs ends an attempt, not the restore's life.
func TestHungStore(t *testing.T) {
	k, mem := small(t)
	plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: 4})
	check(t, err)
	plan.src.archives = k.over(t, archivetest.NewFaulty(mem, reads("wal/", func(int) archivetest.Fault { return archivetest.Hang }))).archives()
	_, err = Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), &Options{AttemptTimeout: time.Millisecond}))
	if ExitCode(err) != ExitUnreachable {
		t.Errorf("got %v, want unreachable", err)
	}
}

// A restore that was interrupted after its base was loaded does not load it
// again, and what was applied is not applied again from the start.
func TestResumeSkipsTheBase(t *testing.T) {
	k, target := crashKit(t)
	ctx, cancel := context.WithCancel(t.Context())
	var contents atomic.Int64
	faulty := archivetest.NewFaulty(k.store, func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpRead && strings.Contains(key, "/obj/") {
			contents.Add(1)
		}
		return archivetest.None
	})
	k = k.over(t, faulty)
	plan, err := NewPlan(ctx, k.archives(), target)
	check(t, err)
	fs := newStageFS(t)
	o := k.options(fs, crashOptions())
	o.Progress = func(p Progress) {
		if p.Phase == PhaseReplay {
			cancel()
		}
	}
	if _, err := Restore(ctx, plan, "/data/node", o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if contents.Load() == 0 {
		t.Fatal("the base was not read")
	}
	contents.Store(0)
	k.resume(t, fs, target, "after cancel")
	if n := contents.Load(); n != 0 {
		t.Errorf("%d contents of the base were read again", n)
	}
}

func TestTargetDirectory(t *testing.T) {
	k, _ := small(t)
	plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: 4})
	check(t, err)
	fs := newStageFS(t)
	check(t, fs.MkdirAll("/data/full", 0o755))
	check(t, durable.WriteFile(fs, "/data/full", "precious", []byte("x")))
	check(t, durable.WriteFile(fs, "/data", "file", []byte("x")))
	check(t, fs.MkdirAll("/data/empty", 0o755))
	for _, dir := range []string{"/data/full", "/data/file"} {
		for _, resume := range []bool{false, true} {
			_, err := Restore(t.Context(), plan, dir, k.options(fs, &Options{Resume: resume}))
			if !errors.Is(err, ErrTargetDirNotEmpty) {
				t.Errorf("%s: got %v, want ErrTargetDirNotEmpty", dir, err)
			}
		}
	}
	res, err := Restore(t.Context(), plan, "/data/empty", k.options(fs, nil))
	check(t, err)
	k.compare(plan.Target, res)
	names, err := fs.List("/data")
	check(t, err)
	if len(names) != 3 {
		t.Errorf("left in the parent directory: %q", names)
	}
}

// Two restores to one target: the second is refused while the first works.
func TestTwoRestores(t *testing.T) {
	k, _ := small(t)
	plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: 4})
	check(t, err)
	fs := newStageFS(t)
	var second error
	o := k.options(fs, nil)
	o.Progress = func(p Progress) {
		if p.Phase == PhaseReplay && second == nil {
			_, second = Restore(t.Context(), plan, "/data/node", k.options(fs, &Options{Resume: true}))
		}
	}
	_, err = Restore(t.Context(), plan, "/data/node", o)
	check(t, err)
	if !errors.Is(second, ErrRestoreRunning) {
		t.Errorf("second restore: got %v, want ErrRestoreRunning", second)
	}
}

// The digest that a base or a record published for exactly the LSN is met, or
// nothing is put in place.
func TestDigest(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	atBase := l.put("a", "1")
	l.base()
	atRecord := l.put("a", "2")
	l.publish()
	l.seal()
	atNext := l.put("a", "3")
	l.seal()
	l.publish()
	unspoken := l.put("a", "4")
	wrong := l.put("a", "5")
	l.control(wal.TypeDigest, wal.Digest{LSN: wrong, Entries: 1}.Append(nil))
	l.end()
	for lsn, want := range map[wal.LSN][]string{
		atBase: {"base/"}, atRecord: {"a digest record"}, atNext: {"a digest record"}, unspoken: {},
	} {
		_, res := k.mustRestore(Target{LSN: lsn}, nil)
		if len(res.ProvenBy) != len(want) || len(want) == 1 && !strings.HasPrefix(res.ProvenBy[0], want[0]) {
			t.Errorf("LSN %d: proven by %q, want %q", lsn, res.ProvenBy, want)
		}
	}
	plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: wrong})
	check(t, err)
	fs := newStageFS(t)
	_, err = Restore(t.Context(), plan, "/data/node", k.options(fs, nil))
	if as[*DigestError](err) == nil || ExitCode(err) != ExitCorrupt {
		t.Errorf("got %v, want a DigestError", err)
	}
	if _, err := fs.Stat("/data/node"); err == nil {
		t.Error("a state with the wrong digest was put in place")
	}
}

// A record that this program must not skip stops the restore, also one of the
// node itself; it is not called damage.
func TestUnknownRequiredType(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("a", "1")
	l.control(99, nil)
	l.control(200|wal.RequiredBit, nil)
	l.end()
	k.mustRestore(Target{LSN: 2, Exclusive: true}, nil)
	plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: 3})
	check(t, err)
	_, err = Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), nil))
	if !errors.Is(err, wal.ErrUnknownType) || errors.Is(err, archive.ErrCorrupt) || ExitCode(err) != ExitError {
		t.Errorf("got %v, want wal.ErrUnknownType", err)
	}
}

// A plan changes nothing, travels as JSON, and reads well.
func TestPlanShown(t *testing.T) {
	f := newForked(t)
	writes := 0
	faulty := archivetest.NewFaulty(f.mem, func(op archivetest.Op, _ string, _ int) archivetest.Fault {
		if op == archivetest.OpCreate || op == archivetest.OpDelete {
			writes++
		}
		return archivetest.None
	})
	k := f.over(t, faulty)
	plan, err := NewPlan(t.Context(), k.archives(), Target{LSN: 26})
	check(t, err)
	if writes != 0 {
		t.Errorf("%d writes", writes)
	}
	data, err := json.Marshal(plan)
	check(t, err)
	var back Plan
	check(t, json.Unmarshal(data, &back))
	again, err := json.Marshal(&back)
	check(t, err)
	if diff := cmp.Diff(string(data), string(again)); diff != "" {
		t.Errorf("JSON (-first +second):\n%s", diff)
	}
	var text bytes.Buffer
	check(t, plan.WriteText(&text))
	for _, want := range []string{
		"Restore of node node-a to LSN 26", "reaches    LSN 26 on timeline 2", "base       LSN 8 on timeline 1",
		"replay     LSNs 9 to 10 of timeline 1: 1 segment,", "replay     LSNs 25 to 26 of timeline 2",
		fmt.Sprintf("starts timeline 3 or later, at LSN %d", plan.NextLSN),
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if plan.Requests == 0 || plan.Bytes == 0 || plan.EstimatedSeconds <= 0 || plan.Records != 4 {
		t.Errorf("sums: %+v", plan)
	}
}

// Phases come in order, counts never go back, the end is complete.
func TestProgress(t *testing.T) {
	k, target := crashKit(t)
	plan, err := NewPlan(t.Context(), k.archives(), target)
	check(t, err)
	var all []Progress
	o := k.options(newStageFS(t), nil)
	o.Progress = func(p Progress) { all = append(all, p) }
	o.ProgressInterval = time.Microsecond
	_, err = Restore(t.Context(), plan, "/data/node", o)
	check(t, err)
	order := map[Phase]int{PhaseBase: 0, PhaseReplay: 1, PhaseDigest: 2, PhaseActivate: 3, PhaseDone: 4}
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if order[b.Phase] < order[a.Phase] || b.BytesFetched < a.BytesFetched || b.Records < a.Records || b.LSN < a.LSN {
			t.Fatalf("progress goes back:\n%+v\n%+v", a, b)
		}
	}
	end := all[len(all)-1]
	if end.Phase != PhaseDone || end.BytesFetched != end.BytesTotal || end.Records != end.RecordsTotal || end.LSN != target.LSN || end.TimeReached.IsZero() {
		t.Errorf("end: %+v", end)
	}
}

func TestExplain(t *testing.T) {
	f := newForked(t)
	got, err := Explain(t.Context(), f.archives(), Target{LSN: 14})
	check(t, err)
	if got.Reachable || got.ExitCode != ExitGap || lsnOf(got.Nearest.Before) != 12 || lsnOf(got.Nearest.After) != 22 {
		t.Errorf("gap: %+v", got)
	}
	got, err = Explain(t.Context(), f.archives(), Target{Point: "twice"})
	check(t, err)
	if got.Reachable || got.ExitCode != ExitAmbiguous || len(got.Choices) != 2 {
		t.Errorf("ambiguous: %+v", got)
	}
	got, err = Explain(t.Context(), f.archives(), Target{LSN: 12})
	check(t, err)
	if !got.Reachable || got.Plan == nil {
		t.Errorf("reachable: %+v", got)
	}
	if _, err := Explain(t.Context(), f.archives(), Target{}); !errors.Is(err, ErrTarget) {
		t.Errorf("no target: %v", err)
	}
}
