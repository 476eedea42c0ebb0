package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

func TestArchiverUploadsEverything(t *testing.T) {
	for _, md5 := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 6)
			if !md5 {
				r.opts.Stores[0].Store = silent{r.store}
			}
			advanced := 0
			r.opts.OnAdvance = func() { advanced++ }
			a := r.start()
			r.add(a, r.segs...)
			waitFor(t, a, r.last())
			synctest.Wait()
			for i, s := range r.segs {
				want := readLocal(t, r.fs, s.Path, s.Bytes)
				plain, err := archive.Unseal(bytes.NewReader(content(t, r.store, r.key(i))))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(plain)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("segment %d: err %v, equal %v", i, err, bytes.Equal(got, want))
				}
			}
			if advanced == 0 {
				t.Error("OnAdvance was not called")
			}
			if got := a.Releasable(); got != r.last() {
				t.Errorf("Releasable = %d, want %d", got, r.last())
			}
			// Idle: no request, whatever time passes.
			calls := r.store.Calls()
			time.Sleep(24 * time.Hour)
			if got := r.store.Calls(); got != calls {
				t.Errorf("%d requests while idle", got-calls)
			}
			st := a.Status()
			if st.WaitingBytes != 0 || st.Stores[0].Verified != 6 || st.Stores[0].Queued != 0 || st.Stores[0].Circuit != "closed" {
				t.Errorf("status %+v", st)
			}
			if err := a.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Law 6: one upload that fails, hangs, is acknowledged falsely or cannot be
// verified never lets the archived LSN pass it, and nothing else suffers.
func TestOneBadUploadHoldsTheLSN(t *testing.T) {
	tests := []struct {
		name string
		op   archivetest.Op
		f    archivetest.Fault
	}{
		{"create fails", archivetest.OpCreate, archivetest.Fail},
		{"create hangs", archivetest.OpCreate, archivetest.Hang},
		{"create acknowledged, not done", archivetest.OpCreate, archivetest.FalseAck},
		{"stat fails", archivetest.OpStat, archivetest.Fail},
		{"stat hangs", archivetest.OpStat, archivetest.Hang},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 5)
				a := r.start()
				r.store.SetPlan(onKey(tt.op, strings.TrimPrefix(r.key(1), archive.NodePrefix(nodeID)), tt.f))
				r.add(a, r.segs...)
				time.Sleep(time.Hour)
				synctest.Wait()
				if got, want := a.Archived(), r.segs[0].Last; got != want {
					t.Errorf("Archived = %d, want %d", got, want)
				}
				if got, want := a.Releasable(), r.segs[0].Last; got != want {
					t.Errorf("Releasable = %d, want %d", got, want)
				}
				if st := a.Status().Stores[0]; st.Verified != 4 || st.Queued != 1 || st.Failures == 0 {
					t.Errorf("status %+v", st)
				}
				r.store.SetPlan(nil)
				r.store.SetPlan(archivetest.Healthy)
				waitFor(t, a, r.last())
			})
		})
	}
}

// Law 6: an object that was stored cut or damaged behind a success is found.
// It cannot be replaced (law 7), so archiving stops and says so.
func TestDamagedUploadStops(t *testing.T) {
	for _, md5 := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			if !md5 {
				r.opts.Stores[0].Store = silent{r.store}
			}
			a := r.start()
			r.store.SetPlan(onKey(archivetest.OpCreate, r.key(1), archivetest.Truncated))
			r.add(a, r.segs...)
			err := a.Wait(t.Context(), r.last())
			var fenced *archive.FencedError
			if !errors.As(err, &fenced) || fenced.Key != r.key(1) {
				t.Fatalf("Wait = %v, want a FencedError about %s", err, r.key(1))
			}
			if got := a.Archived(); got > r.segs[0].Last {
				t.Errorf("Archived = %d passed the damaged segment at %d", got, r.segs[0].Last)
			}
		})
	}
}

// A lost answer: the object is there, the create said that it failed.
func TestLostAck(t *testing.T) {
	for _, md5 := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 4)
			if !md5 {
				r.opts.Stores[0].Store = silent{r.store}
			}
			first := make(map[string]bool)
			r.store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
				if op == archivetest.OpCreate && !first[key] {
					first[key] = true
					return archivetest.LostAck
				}
				return archivetest.None
			})
			a := r.start()
			r.add(a, r.segs...)
			waitFor(t, a, r.last())
			if st := a.Status().Stores[0]; st.Collisions != 4 || st.Verified != 4 {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// An object under our name with the same content, compressed by another
// version, is ours.
func TestEqualContentOtherCompression(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		var buf bytes.Buffer
		// Two halves, sealed after each other, decompress to the segment.
		data := readLocal(t, r.fs, r.segs[0].Path, r.segs[0].Bytes)
		for _, part := range [][]byte{data[:len(data)/3], data[len(data)/3:]} {
			if _, err := archive.Seal(&buf, bytes.NewReader(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.rec.Create(t.Context(), r.key(0), bytes.NewReader(buf.Bytes()), int64(buf.Len())); err != nil {
			t.Fatal(err)
		}
		a := r.start()
		r.add(a, r.segs...)
		waitFor(t, a, r.last())
	})
}

// A segment file that is not what was sealed is never archived.
func TestDamagedSegmentFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		path := r.segs[1].Path
		data := readLocal(t, r.fs, path, 1<<30)
		data[r.segs[1].Bytes/2] ^= 1
		writeLocal(t, r.fs, path, data)
		a := r.start()
		r.add(a, r.segs...)
		time.Sleep(time.Hour)
		if got := a.Archived(); got != r.segs[0].Last {
			t.Errorf("Archived = %d, want %d", got, r.segs[0].Last)
		}
		st := a.Status().Stores[0]
		if st.LocalErrors == 0 || !strings.Contains(st.LastError, path) {
			t.Errorf("status %+v does not name %s", st, path)
		}
		if st.Circuit != "closed" {
			t.Errorf("a local fault opened the store's circuit")
		}
		if n := len(r.rec.created(r.key(1))); n != 0 {
			t.Errorf("the damaged segment was uploaded")
		}
	})
}

// An outage costs few requests: backoff and an open circuit.
func TestOutageIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 20)
		r.opts.Parallel = 8
		a := r.start()
		r.store.SetPlan(archivetest.Always(archivetest.Fail))
		before := r.store.Calls()
		r.add(a, r.segs...)
		time.Sleep(time.Hour)
		calls := r.store.Calls() - before
		// At most one probe about each 15 seconds on average, and the first burst.
		if calls > 600 {
			t.Errorf("%d requests in an hour of outage", calls)
		}
		if st := a.Status().Stores[0]; st.Circuit == "closed" || st.LastError == "" {
			t.Errorf("status %+v", st)
		}
		r.store.SetPlan(archivetest.Healthy)
		a.Kick()
		synctest.Wait()
		if got := a.Archived(); got != r.last() {
			t.Errorf("Archived = %d right after Kick, want %d", got, r.last())
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		a := r.start()
		r.add(a, r.segs...)
		if err := a.Close(t.Context()); err != nil {
			t.Fatalf("Close = %v", err)
		}
		if got := a.Archived(); got != r.last() {
			t.Errorf("Close left LSN %d of %d", got, r.last())
		}
		if err := a.Add(r.segs[0]); !errors.Is(err, archive.ErrArchiverClosed) {
			t.Errorf("Add after Close = %v", err)
		}
		if err := a.Wait(t.Context(), r.last()+1); !errors.Is(err, archive.ErrArchiverClosed) {
			t.Errorf("Wait after Close = %v", err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Errorf("second Close = %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		a := r.start()
		r.store.SetPlan(archivetest.Always(archivetest.Hang))
		r.add(a, r.segs...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := a.Close(ctx)
		if !errors.Is(err, archive.ErrNotDrained) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		if took := time.Since(began); took > time.Minute+time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

func TestAddRefuses(t *testing.T) {
	r := newRig(t, 3)
	a := r.start()
	bad := func(change func(*wal.Segment)) error {
		s := r.segs[0]
		change(&s)
		return a.Add(s)
	}
	for name, err := range map[string]error{
		"open":     bad(func(s *wal.Segment) { s.Sealed = false }),
		"empty":    bad(func(s *wal.Segment) { s.Last = s.First - 1 }),
		"node":     bad(func(s *wal.Segment) { s.NodeID = "other" }),
		"timeline": bad(func(s *wal.Segment) { s.Timeline = 2 }),
		"epoch":    bad(func(s *wal.Segment) { s.Epoch = 9 }),
	} {
		if err == nil {
			t.Errorf("%s: Add took it", name)
		}
	}
	r.add(a, r.segs[0], r.segs[0], r.segs[1], r.segs[0])
	overlap := r.segs[2]
	overlap.First--
	if err := a.Add(overlap); err == nil {
		t.Error("Add took a segment that overlaps")
	}
	r.add(a, r.segs[2])
	waitFor(t, a, r.last())
}

func TestArchiverOptions(t *testing.T) {
	_, err := archive.NewArchiver(nil)
	if err == nil {
		t.Fatal("NewArchiver(nil) works without stores")
	}
	for _, want := range []string{"needs a store", "journal directory", "invalid epoch"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
	if diff := cmp.Diff([]string{"block", "shed"}, []string{archive.Block.String(), archive.Shed.String()}); diff != "" {
		t.Error(diff)
	}
}
