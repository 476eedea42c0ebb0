package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/faultfs"
)

// payloadOf is what every scenario writes at an LSN: its length varies from
// nothing to more than a page, so that frames are torn in every way.
func payloadOf(lsn LSN) []byte {
	r := rand.New(rand.NewPCG(uint64(lsn), 7))
	n := r.IntN(200)
	if lsn%13 == 0 {
		n = 900 + r.IntN(5000)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// history is what a scenario knows, whatever happened to the log.
type history struct {
	acked     atomic.Uint64 // last LSN that was acknowledged
	truncated atomic.Uint64 // LSN that Truncate was last called with
}

// seededRand is one stream of salts for a whole test binary: a real source does
// not repeat itself after a crash either.
type seededRand struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (r *seededRand) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Read(b)
}

var salts = &seededRand{src: rand.NewChaCha8([32]byte{1})}

func scenarioOptions(fs vfs.FS) *Options {
	return &Options{FS: fs, SegmentBytes: 8 << 10, Rand: salts, NodeID: "n1", SegmentAge: -1, SpareSegments: 2}
}

// append writes n records in one batch.
func (h *history) append(l *Log, n int) error {
	var b Batch
	for i := range n {
		// Alone, the scenario knows which LSN comes next.
		lsn := l.Appended() + 1 + LSN(i)
		if err := b.Add(64|RequiredBit, 1, uint16(lsn), nil, payloadOf(lsn)); err != nil {
			return err
		}
	}
	return h.appendBatch(l, &b)
}

func (h *history) appendBatch(l *Log, b *Batch) error {
	a := l.NewAppender(nil)
	first, _, err := a.Append(b)
	if err != nil {
		return err
	}
	last := first + LSN(b.Len()) - 1
	if !a.Commit() {
		l.Kick()
	}
	if err := l.Wait(bgCtx, last); err != nil {
		return err
	}
	h.acked.Store(uint64(last))
	return nil
}

// run opens, writes, seals, truncates, closes, and opens again. It returns the
// log that is open at the end, if any.
func (h *history) run(fs vfs.FS) (l *Log, err error) {
	for round := range 2 {
		if l, err = Open("wal", scenarioOptions(fs)); err != nil {
			return nil, err
		}
		if err := l.Start(1, Epoch(round+1)); err != nil {
			return l, err
		}
		for i := range 24 {
			if err := h.append(l, 1+i%3); err != nil {
				return l, err
			}
			switch i {
			case 10, 12: // a burst fills segments, which can then be recycled
				for range 5 {
					if err := h.append(l, 8); err != nil {
						return l, err
					}
				}
			case 8, 15:
				if _, _, err := l.Seal(bgCtx); err != nil {
					return l, err
				}
			case 11, 20:
				upTo := l.Durable() - 2
				h.truncated.Store(uint64(upTo))
				if _, err := l.Truncate(upTo); err != nil {
					return l, err
				}
			}
		}
		if round == 0 {
			if err := l.Close(); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// records reads all that a log holds and checks that it is one row of LSNs with
// the right payloads.
func records(l *Log) (first, last LSN, err error) {
	r := l.NewReader(0)
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return first, last, nil
		}
		if err != nil {
			return first, last, err
		}
		if first == 0 {
			first = rec.LSN
		} else if rec.LSN != last+1 {
			return first, last, fmt.Errorf("LSN %d after %d", rec.LSN, last)
		}
		if !bytes.Equal(rec.Payload, payloadOf(rec.LSN)) {
			return first, last, fmt.Errorf("payload of LSN %d differs", rec.LSN)
		}
		last = rec.LSN
	}
}

// checkRecovery opens what a crash left and holds it against what was
// acknowledged before and truncated at the latest.
func checkRecovery(fs *vfs.MemFS, acked, truncated LSN) error {
	l, err := Open("wal", scenarioOptions(fs))
	if err != nil {
		return err
	}
	first, last, err := records(l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	next := l.Appended() + 1
	switch {
	case last < acked && next <= acked:
		err = fmt.Errorf("recovered up to %d, acknowledged up to %d", last, acked)
	case first > truncated+1 && first != 0:
		err = fmt.Errorf("recovered from %d, truncated up to %d", first, truncated)
	case last != 0 && next != last+1:
		err = fmt.Errorf("next LSN %d after %d", next, last)
	case last == 0 && acked > truncated:
		err = fmt.Errorf("nothing recovered, acknowledged up to %d", acked)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	// Recovery twice is recovery once: whatever a crash right after it keeps.
	again := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := l.Close(); err != nil {
		return err
	}
	l, err = Open("wal", scenarioOptions(again))
	if err != nil {
		return fmt.Errorf("second recovery: %w", err)
	}
	first2, last2, err := records(l)
	if err != nil {
		return errors.Join(fmt.Errorf("second recovery: %w", err), l.Close())
	}
	if first2 != first || last2 != last || l.Appended()+1 != next {
		err = fmt.Errorf("second recovery has LSN %d to %d, the first had %d to %d", first2, last2, first, last)
		return errors.Join(err, l.Close())
	}
	// And the log goes on.
	var h history
	for range 3 {
		if err := h.append(l, 2); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	report, err := Verify("wal", again)
	if err != nil {
		return err
	}
	if report.Torn != nil {
		return fmt.Errorf("torn tail after a clean close at %d", report.Torn.Offset)
	}
	return report.Err()
}

// The harshest crash keeps nothing that was not synced, the mildest all of it;
// between them every page and every name is kept or lost by itself.
var crashes = []int{0, 50, 100}

// Law 1, law 11: whatever a crash leaves at any operation, what was
// acknowledged is recovered, as a prefix without a gap.
func TestCrashAtEveryOperation(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	type state struct {
		op        faultfs.Op
		percent   int
		fs        *vfs.MemFS
		acked     LSN
		truncated LSN
	}
	var states []state
	mem := vfs.NewCrashableMem()
	fs := faultfs.New(mem)
	var h history
	fs.Hook(func(op faultfs.Op) {
		for _, percent := range crashes {
			acked := LSN(h.acked.Load())
			clone := mem.CrashClone(vfs.CrashCloneCfg{
				UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, uint64(op.N))),
			})
			states = append(states, state{op, percent, clone, acked, LSN(h.truncated.Load())})
		}
	})
	l, err := h.run(fs)
	if err != nil {
		t.Fatal(err)
	}
	if l.Stats().Recycled == 0 {
		t.Error("the scenario recycles nothing")
	}
	closeLog(t, l)
	fs.Hook(nil)
	if len(states) < 300 {
		t.Fatalf("only %d states", len(states))
	}
	for i, s := range states {
		if i%10 == 1 {
			// A crash in the middle of the recovery from this crash.
			if err := crashRecovery(s.fs, s.acked, s.truncated, seed); err != nil {
				t.Fatalf("crash before %v, %d%% of unsynced data kept; %v", s.op, s.percent, err)
			}
		}
		if err := checkRecovery(s.fs, s.acked, s.truncated); err != nil {
			t.Fatalf("crash before %v, %d%% of unsynced data kept: %v", s.op, s.percent, err)
		}
	}
	t.Logf("%d crashes", len(states))
}

// crashRecovery opens a copy of fs and crashes at each operation of that.
func crashRecovery(mem *vfs.MemFS, acked, truncated LSN, seed uint64) error {
	type state struct {
		op faultfs.Op
		fs *vfs.MemFS
	}
	var states []state
	mem = mem.CrashClone(vfs.CrashCloneCfg{})
	fs := faultfs.New(mem)
	fs.Hook(func(op faultfs.Op) {
		states = append(states, state{op, mem.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, uint64(op.N))),
		})})
	})
	l, err := Open("wal", scenarioOptions(fs))
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	for _, s := range states {
		if err := checkRecovery(s.fs, acked, truncated); err != nil {
			return fmt.Errorf("crash in recovery before %v: %w", s.op, err)
		}
	}
	return nil
}

// Law 10: an error, a short write, a full disk, or a sync that fails once, at
// any operation: every call returns, nothing that was acknowledged is lost, and
// a poisoned log takes nothing more.
func TestFaultAtEveryOperation(t *testing.T) {
	faults := map[string]func(int64) faultfs.Fault{
		"error": faultfs.Fail, "short write": faultfs.Short, "no space": faultfs.NoSpace, "sync fails once": faultfs.SyncFails,
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			poisoned, refused, unharmed := 0, 0, 0
			for n := int64(1); ; n++ {
				mem := vfs.NewCrashableMem()
				fs := faultfs.New(mem)
				fs.Inject(fault(n))
				var h history
				l, err := h.run(fs)
				switch {
				case errors.Is(err, ErrPoisoned):
					poisoned++
					checkPoisoned(t, l, n)
				case err != nil:
					refused++
				default:
					unharmed++
				}
				if l != nil {
					_ = l.Close()
				}
				hit := fs.HitAt()
				fs.Clear()
				percent := crashes[n%3]
				clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, uint64(n)))})
				if err := checkRecovery(clone, LSN(h.acked.Load()), LSN(h.truncated.Load())); err != nil {
					t.Fatalf("%s at operation %d, then a crash that keeps %d%%: %v", name, n, percent, err)
				}
				if hit == 0 {
					break
				}
				n = hit // the next sync that can fail comes after this one
			}
			t.Logf("%d poisoned, %d refused, %d went on", poisoned, refused, unharmed)
			if poisoned == 0 {
				t.Error("no fault poisoned the log")
			}
		})
	}
}

// checkPoisoned holds a poisoned log against law 10.
func checkPoisoned(t *testing.T, l *Log, n int64) {
	t.Helper()
	if l == nil {
		return // while closing
	}
	var h history
	if err := h.append(l, 1); !errors.Is(err, ErrPoisoned) {
		t.Fatalf("fault at operation %d: append to a poisoned log: %v", n, err)
	}
	if _, _, err := l.Seal(bgCtx); !errors.Is(err, ErrPoisoned) {
		t.Fatalf("fault at operation %d: seal of a poisoned log: %v", n, err)
	}
	if _, last, err := records(l); err != nil || last > l.Durable() {
		t.Fatalf("fault at operation %d: reading a poisoned log: LSN %d of %d, %v", n, last, l.Durable(), err)
	}
}

// Law 1: a process that is killed leaves what it wrote in the kernel's memory. The
// next one finds it there, goes on, and then the power fails: what it found and
// what it acknowledged must be on disk by then.
func TestKillThenPowerLoss(t *testing.T) {
	for n := int64(1); ; n++ {
		mem := vfs.NewCrashableMem()
		fs := faultfs.New(mem)
		fs.Inject(faultfs.Fault{At: n, Times: -1}) // dead from here on
		var h history
		l, err := h.run(fs)
		if l != nil {
			_ = l.Close()
		}
		fs.Clear()
		if l, err := Open("wal", scenarioOptions(fs)); err != nil {
			t.Fatalf("killed at operation %d: %v", n, err)
		} else if err := restartAndCrash(l, mem, &h); err != nil {
			t.Fatalf("killed at operation %d, restarted, and power lost: %v", n, err)
		}
		if err == nil {
			return
		}
	}
}

func restartAndCrash(l *Log, mem *vfs.MemFS, h *history) error {
	found := l.Appended()
	if err := checkRecovery(mem.CrashClone(vfs.CrashCloneCfg{}), found, LSN(h.truncated.Load())); err != nil {
		return errors.Join(fmt.Errorf("right after recovery: %w", err), l.Close())
	}
	if err := l.Start(1, 9); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := h.append(l, 3); err != nil {
		return errors.Join(err, l.Close())
	}
	lost := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := l.Close(); err != nil {
		return err
	}
	return checkRecovery(lost, LSN(h.acked.Load()), LSN(h.truncated.Load()))
}

// Law 10: after a failed fsync the kernel may call pages clean that are not on
// disk. What the next start finds in memory and cannot prove to be durable it
// writes again before it trusts it.
func TestDoubtfulFramesAreWrittenAgain(t *testing.T) {
	fs := faultfs.New(vfs.NewMem())
	l, err := Open("wal", scenarioOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	put(t, l, "durable and vouched for by the next")
	put(t, l, "durable")
	fs.Inject(faultfs.SyncFails(0))
	if _, _, err := l.AppendSync(t.Context(), batchOf(t, "in memory only")); !errors.Is(err, ErrPoisoned) {
		t.Fatal(err)
	}
	_ = l.Close()
	wrote := 0
	fs.Hook(func(op faultfs.Op) {
		if op.Kind == faultfs.Write && op.Path == fs.PathJoin("wal", SegmentName(1)) {
			wrote += op.Bytes
		}
	})
	l, err = Open("wal", scenarioOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Durable(); got != 3 {
		t.Errorf("durable %d, want 3", got)
	}
	closeLog(t, l)
	frame := frameHeaderLen + paddedLen(recordHeaderLen+len("in memory only"))
	if want := frame + footerFrameLen(0, 0); wrote != want {
		t.Errorf("recovery wrote %d bytes, want the last frame and the footer, %d", wrote, want)
	}
}
