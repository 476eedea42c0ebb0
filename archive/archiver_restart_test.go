package archive_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

const journalPath = jourDir + "/journal.log"

// A restart with the journal asks the store for nothing that it knows.
func TestRestartFromJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		a := r.start()
		r.add(a, r.segs[:3]...)
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := r.store.Calls()
		b := r.start()
		r.add(b, r.segs[:3]...)
		waitFor(t, b, r.segs[2].Last)
		synctest.Wait()
		if got := r.store.Calls() - before; got != 0 {
			t.Errorf("%d requests for what the journal knows", got)
		}
		r.add(b, r.segs[3:]...)
		waitFor(t, b, r.last())
		if got := len(r.rec.created("/wal/")); got != 5 {
			t.Errorf("%d segments created, want 5", got)
		}
	})
}

// Without the journal the store is listed, and nothing is sent twice.
func TestRestartWithoutJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		a := r.start()
		r.add(a, r.segs[:5]...)
		waitFor(t, a, r.segs[4].Last) // Close does not wait for what is queued
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.fs.Remove(journalPath); err != nil {
			t.Fatal(err)
		}
		sent := 0
		r.store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
			if op == archivetest.OpCreate && strings.Contains(key, "/wal/") {
				sent++
			}
			return archivetest.None
		})
		b := r.start()
		r.add(b, r.segs...)
		waitFor(t, b, r.last())
		if sent != 3 {
			t.Errorf("%d segments sent, want the 3 new ones", sent)
		}
	})
}

// The process dies between any two requests or journal writes: the next one
// finishes the job, overwrites nothing, and counts nothing too early.
func TestKillAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			base := r.store.Calls()
			dead := false
			var crashed *vfs.MemFS
			r.store.SetPlan(func(op archivetest.Op, key string, call int) archivetest.Fault {
				if call-base < n || dead {
					if dead {
						return archivetest.Fail
					}
					return archivetest.None
				}
				dead = true
				// What is synced survives, and about half of the rest.
				crashed = r.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(n), 1))})
				if op == archivetest.OpCreate {
					return archivetest.LostAck
				}
				return archivetest.Fail
			})
			a := r.start()
			r.add(a, r.segs...)
			time.Sleep(time.Minute)
			synctest.Wait()
			stop(a)
			if !dead {
				done = true
				return
			}
			r.store.SetPlan(archivetest.Healthy)
			r.fs, r.opts.FS = crashed, crashed
			b := r.start()
			r.add(b, r.segs...)
			waitFor(t, b, r.last())
			if got := len(r.rec.created("/wal/")); got != 3 {
				t.Errorf("killed at request %d: %d segments, want 3", n, got)
			}
		})
		if done {
			if n < 10 {
				t.Fatalf("only %d steps", n)
			}
			return
		}
	}
}

// Whatever happened to the journal, archiving goes on, and what was archived
// still is.
func TestDamagedJournal(t *testing.T) {
	r := newRig(t, 6)
	a := r.start()
	r.add(a, r.segs[:4]...)
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := readLocal(t, r.fs, journalPath, 1<<20)
	end := strings.IndexByte(string(good), 0)
	if end < 100 {
		t.Fatalf("journal of %d bytes", end)
	}
	cases := map[string][]byte{
		"empty": {}, "garbage": []byte(strings.Repeat("garbage \x01\n", 100)), "zeroes": make([]byte, 1000),
	}
	for i := 0; i < end; i += 1 + end/60 {
		cases[fmt.Sprint("cut at ", i)] = good[:i]
		flipped := []byte(string(good))
		flipped[i] ^= 0x04
		cases[fmt.Sprint("flipped at ", i)] = flipped
	}
	for name, data := range cases {
		writeLocal(t, r.fs, journalPath, data)
		b, err := archive.NewArchiver(&r.opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.add(b, r.segs...)
		waitFor(t, b, r.last())
		if err := b.Close(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if got := len(r.rec.created("/wal/")); got != 6 {
		t.Errorf("%d segments created, want 6", got)
	}
	if got := r.rec.created("/gap/"); len(got) != 0 {
		t.Errorf("gaps were declared: %v", got)
	}
}

// A disk that is full, or broken, under the journal never stops archiving:
// that is what frees the disk.
func TestJournalWithoutDisk(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 5)
			broken := errorfs.InjectorFunc(func(op errorfs.Op) error {
				if strings.HasPrefix(op.Path, jourDir) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return fault
				}
				return nil
			})
			r.opts.FS = errorfs.Wrap(r.fs, broken)
			a := r.start()
			r.add(a, r.segs...)
			waitFor(t, a, r.last())
			if st := a.Status(); st.JournalErrors == 0 {
				t.Errorf("no journal error was counted: %+v", st)
			}
		})
	}
}

// Segments that were truncated before this store had them become one gap, also
// when the journal is lost.
func TestHoleBeforeFirstSegment(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 6)
			a := r.start()
			r.add(a, r.segs[:2]...)
			if err := a.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if lost {
				if err := r.fs.Remove(journalPath); err != nil {
					t.Fatal(err)
				}
			}
			b := r.start()
			r.add(b, r.segs[4:]...)
			waitFor(t, b, r.last())
			gaps, err := archive.ReadGaps(t.Context(), r.rec, nodeID)
			if err != nil {
				t.Fatal(err)
			}
			var got [][2]uint64
			for _, g := range gaps {
				got = append(got, [2]uint64{uint64(g.First), uint64(g.Last)})
			}
			want := [][2]uint64{{uint64(r.segs[2].First), uint64(r.segs[3].Last)}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("journal lost %v: gaps (-want +got):\n%s", lost, diff)
			}
		})
	}
}

// A hole in the WAL itself (salvage) is declared, in order.
func TestHoleBetweenSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		a := r.start()
		r.store.SetPlan(onKey(archivetest.OpCreate, "/gap/", archivetest.Fail))
		r.add(a, r.segs[0], r.segs[1], r.segs[3], r.segs[4])
		time.Sleep(time.Hour)
		if got := a.Archived(); got != r.segs[1].Last {
			t.Errorf("Archived = %d with an undeclared hole after %d", got, r.segs[1].Last)
		}
		r.store.SetPlan(archivetest.Healthy)
		waitFor(t, a, r.last())
		gaps, err := archive.ReadGaps(t.Context(), r.rec, nodeID)
		if err != nil || len(gaps) != 1 || gaps[0].First != r.segs[2].First || gaps[0].Last != r.segs[2].Last {
			t.Errorf("gaps %+v, err %v", gaps, err)
		}
	})
}
