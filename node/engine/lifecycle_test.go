package engine_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// TestClosedVShard: everything says ErrClosed, nothing panics.
func TestClosedVShard(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := open(t, s, 0, "vshard")
	if err := s.Close(); err == nil {
		t.Error("the caches were closed under an open vshard")
	}
	if err := errors.Join(v.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	_, err1 := v.Acquire()
	_, err2 := v.Snapshot()
	_, err3 := v.Flushed()
	_, err4 := v.Files(t.Context(), "dst")
	_, err5 := v.NewReplay(nil)
	_, err6 := v.Stats()
	_, err7 := kv.Read(v, 0, []byte("k"), 0)
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, v.Flush(), v.Admit(), v.Err(), v.Compact(t.Context()), v.Reopen()} {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("call %d: got %v, want ErrClosed", i+1, err)
		}
	}
}

// TestCloseWaitsForReaders: a reader that holds the vshard is never pulled the
// store from under; new ones are refused at once.
func TestCloseWaitsForReaders(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := open(t, s, 0, "vshard")
	kit.Apply(t, v, []wal.Record{kit.Put(1, 1, "k", "v")}, 1)
	ref, err := v.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- v.Close() }()
	for {
		r, err := v.Acquire()
		if errors.Is(err, engine.ErrClosed) {
			break
		}
		r.Release()
	}
	if _, err := kv.Get(ref.Reader(), 7, []byte("k"), 0); err != nil {
		t.Errorf("read while Close waits: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("Close returned under a reader: %v", err)
	default:
	}
	ref.Release()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

// TestReopenFindsFlushed: Reopen is at the flushed LSN, the log does the rest.
func TestReopenFindsFlushed(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 0)
	log := manyPuts(1, 100)
	kit.Apply(t, v, log[:60], 10)
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	kit.Apply(t, v, log[60:], 10)
	want := kit.DumpVShard(t, v)
	if err := v.Reopen(); err != nil {
		t.Fatal(err)
	}
	if v.Applied() != 60 {
		t.Errorf("applied %d after Reopen, want 60", v.Applied())
	}
	kit.Apply(t, v, log, 10)
	if got := kit.DumpVShard(t, v); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Error("the store is another after Reopen and the log")
	}
}

// TestFlushUpTo: a vshard without traffic follows the node's LSN.
func TestFlushUpTo(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 0)
	check := func(want wal.LSN) {
		t.Helper()
		flushed, err := v.Flushed()
		if err != nil || flushed != want || v.Applied() != want {
			t.Errorf("flushed %d, applied %d, want %d: %v", flushed, v.Applied(), want, err)
		}
	}
	if err := <-v.StartFlush(40, 5); err != nil {
		t.Fatal(err)
	}
	check(40)
	if err := <-v.StartFlush(30, 4); err != nil {
		t.Fatal(err)
	}
	check(40)
	kit.Apply(t, v, []wal.Record{kit.Put(41, 1, "k", "v")}, 1)
	a, b := v.StartFlush(0, 0), v.StartFlush(50, 6)
	if err := errors.Join(<-b, <-a); err != nil {
		t.Fatal(err)
	}
	check(50)
	st, err := v.Stats()
	if err != nil || st.Frozen != 0 || st.Tables == 0 {
		t.Errorf("%+v: %v", st, err)
	}
}

// TestAdmitWhenFlushesFail holds Law 13: a store that cannot write its tables
// refuses by name, goes on reading and applying what was logged, says why to
// those who wait for a flush, and takes writes again when it can.
func TestAdmitWhenFlushesFail(t *testing.T) {
	p := new(tap)
	s := kit.NewShared(t, errorfs.Wrap(vfs.NewMem(), p))
	v := kit.Open(t, s, 0)
	p.full.Store(true)
	lsn := wal.LSN(0)
	for v.Admit() == nil {
		lsn++
		if lsn > 1000 {
			t.Fatal("never refused")
		}
		kit.Apply(t, v, []wal.Record{kit.Put(lsn, 1, "key-"+lsn.String(), strings.Repeat("x", 64<<10))}, 1)
	}
	if err := v.Admit(); !errors.Is(err, engine.ErrStalled) {
		t.Errorf("got %v, want ErrStalled", err)
	}
	if err := v.Flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("flush: got %v, want ENOSPC", err)
	}
	if err := v.Admit(); !errors.Is(err, engine.ErrStalled) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ErrStalled for ENOSPC", err)
	}
	lsn++
	kit.Apply(t, v, []wal.Record{kit.Put(lsn, 1, "late", "v")}, 1)
	if e, err := kv.Read(v, 7, []byte("late"), 0); err != nil || e.LSN != lsn {
		t.Errorf("read: %v, %v", e, err)
	}
	p.full.Store(false)
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := v.Admit(); err != nil {
		t.Errorf("still refused: %v", err)
	}
	if flushed, err := v.Flushed(); flushed != lsn || err != nil {
		t.Errorf("flushed %d, want %d: %v", flushed, lsn, err)
	}
}

// The memory of memtables that wait is shared. A vshard that has none of it goes
// on when another cannot write its own, and closing gives it back.
func TestAdmitSharesMemory(t *testing.T) {
	p := new(tap)
	s, err := engine.NewShared(&engine.Options{
		FS: errorfs.Wrap(vfs.NewMem(), p), MemtableBytes: 1 << 20, FrozenBytes: 2 << 20, Engines: []engine.Engine{kv.New(nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	a, b := kit.Open(t, s, 0), kit.Open(t, s, 1)
	p.full.Store(true)
	lsn := wal.LSN(0)
	put := func(v *engine.VShard, megabytes int) {
		for range megabytes {
			r := wal.Record{VShard: wal.VShardNone}
			for r.VShard != v.ID() {
				lsn++
				r = kit.Put(lsn, 2, "key-"+lsn.String(), strings.Repeat("x", 1<<20))
			}
			kit.Apply(t, v, []wal.Record{r}, 1)
		}
	}
	put(a, 2)
	if err := a.Admit(); !errors.Is(err, engine.ErrStalled) {
		t.Errorf("two of two MiB wait: %v, want ErrStalled", err)
	}
	if err := b.Admit(); err != nil {
		t.Errorf("nothing of it waits: %v", err)
	}
	put(b, 1)
	if err := b.Admit(); !errors.Is(err, engine.ErrStalled) {
		t.Errorf("the memory is used up: %v, want ErrStalled", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Admit(); err != nil {
		t.Errorf("one of two MiB waits: %v", err)
	}
	put(b, 1)
	p.full.Store(false)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	put(b, 1)
	if err := b.Admit(); err != nil {
		t.Errorf("what was written counts still: %v", err)
	}
}

// TestFanout: the whole log through one door gives each vshard its own part.
func TestFanout(t *testing.T) {
	const n = 4
	s := kit.NewShared(t, vfs.NewMem())
	var log []wal.Record
	for i := range 2000 {
		log = append(log, kit.Put(wal.LSN(i+1), n, "key-"+wal.LSN(i*7%900).String(), wal.LSN(i).String()))
	}
	log = append(log, wal.Record{LSN: 2001, Type: wal.TypeNoop, VShard: wal.VShardNone})
	model := kit.NewModel()
	var vs []*engine.VShard
	for id := range n {
		vs = append(vs, kit.Open(t, s, uint16(id)))
	}
	f, err := engine.NewFanout(vs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range log {
		model.Apply(t, &log[i])
		if err := f.Add(&log[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Add(&wal.Record{LSN: 2002, VShard: n}); !errors.Is(err, engine.ErrWrongVShard) {
		t.Errorf("record of a vshard that is not there: %v", err)
	}
	if err := f.Finish(2001, 9); err != nil {
		t.Fatal(err)
	}
	var readers []engine.Reader
	for _, v := range vs {
		if flushed, err := v.Flushed(); flushed != 2001 || v.Applied() != 2001 || err != nil {
			t.Errorf("vshard %d: flushed %d, applied %d: %v", v.ID(), flushed, v.Applied(), err)
		}
		ref, err := v.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		defer ref.Release()
		readers = append(readers, ref.Reader())
	}
	if diff := model.Compare(t, readers...); diff != "" {
		t.Error(diff)
	}
	if _, err := engine.NewFanout([]*engine.VShard{vs[1]}); !errors.Is(err, engine.ErrWrongVShard) {
		t.Errorf("vshards out of order: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestCompact: tables that lie on top of each other become one level, and what
// they say stays the same.
func TestCompact(t *testing.T) {
	v := open(t, kit.NewShared(t, vfs.NewMem()), 0, "vshard")
	defer v.Close()
	// Pebble may compact by itself in between: go on until it did not.
	for lsn, amp := wal.LSN(1), 0; amp < 2; lsn++ {
		kit.Apply(t, v, []wal.Record{kit.Put(lsn, 1, "k", "v")}, 1)
		if err := v.Flush(); err != nil {
			t.Fatal(err)
		}
		s, err := v.Stats()
		if err != nil || lsn > 1000 {
			t.Fatalf("before: %+v, %v; want tables on top of each other", s, err)
		}
		amp = s.ReadAmp
	}
	want := kit.DumpVShard(t, v)
	if err := v.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := v.Stats(); err != nil || s.ReadAmp != 1 {
		t.Errorf("after: %+v, %v; want one level", s, err)
	}
	if diff := cmp.Diff(want, kit.DumpVShard(t, v)); diff != "" {
		t.Errorf("Compact changed the content (-before +after):\n%s", diff)
	}
}
