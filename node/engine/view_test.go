package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/wal"
)

// tap is a disk that can be full: tables cannot be written while it is.
type tap struct{ full atomic.Bool }

func (p *tap) String() string { return "tap" }

func (p *tap) MaybeError(op errorfs.Op) error {
	if p.full.Load() && op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "spill.") {
		return syscall.ENOSPC
	}
	return nil
}

// rawType is a record whose payload is a list of plain changes: "+key=value",
// "-key", separated by spaces. It shows a Reader without kv in between.
const rawType = 251 | wal.RequiredBit

type rawEngine struct{ noEngine }

func (rawEngine) Name() string         { return "raw" }
func (rawEngine) Owns(t wal.Type) bool { return t == rawType }

func (rawEngine) Apply(b *engine.Batch, r *wal.Record) error {
	for _, f := range bytes.Fields(r.Payload) {
		if f[0] == '!' {
			return errors.New("told to fail")
		}
		key, value, _ := bytes.Cut(f[1:], []byte("="))
		key = append([]byte{0x40}, key...)
		if f[0] == '-' {
			copy(b.Delete(len(key)), key)
			continue
		}
		k, v := b.Set(len(key), len(value))
		copy(k, key)
		copy(v, value)
	}
	return nil
}

// state is the model of rawEngine.
type state map[string]string

func (s state) apply(payload string) {
	for _, f := range strings.Fields(payload) {
		key, value, _ := strings.Cut(f[1:], "=")
		if f[0] == '-' {
			delete(s, "\x40"+key)
		} else {
			s["\x40"+key] = value
		}
	}
}

func (s state) pairs(lower, upper string) []string {
	var all []string
	for k, v := range s {
		if k >= lower && k < upper {
			all = append(all, k+"="+v)
		}
	}
	slices.Sort(all)
	return all
}

// machine drives one vshard and its model.
type machine struct {
	t      *rapid.T
	tap    *tap
	v      *engine.VShard
	b      *engine.Batch
	lsn    wal.LSN
	now    state   // committed
	next   state   // with what the batch holds
	snaps  []saved // still open
	keyGen *rapid.Generator[string]
}

type saved struct {
	snap *engine.Snapshot
	want state
	lsn  wal.LSN
}

func clone(s state) state {
	c := make(state, len(s))
	for k, v := range s {
		c[k] = v
	}
	return c
}

// record draws the next record.
func (m *machine) record(t *rapid.T) *wal.Record {
	var fields []string
	for range rapid.IntRange(1, 4).Draw(t, "changes") {
		key := m.keyGen.Draw(t, "key")
		if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			fields = append(fields, "-"+key)
		} else {
			fields = append(fields, fmt.Sprintf("+%s=%d", key, m.lsn))
		}
	}
	m.lsn++
	payload := strings.Join(fields, " ")
	m.next.apply(payload)
	return &wal.Record{LSN: m.lsn, Time: int64(m.lsn), Type: rawType, Payload: []byte(payload)}
}

// Apply adds a record to the batch.
func (m *machine) Apply(t *rapid.T) {
	if err := m.b.Apply(m.record(t)); err != nil {
		t.Fatal(err)
	}
}

// Commit makes the batch visible.
func (m *machine) Commit(t *rapid.T) {
	if err := m.b.Commit(0, 0); err != nil {
		t.Fatal(err)
	}
	m.now = clone(m.next)
}

// Break loses the batch to a record that fails half-way.
func (m *machine) Break(t *rapid.T) {
	err := m.b.Apply(&wal.Record{LSN: m.lsn + 1, Type: rawType, Payload: []byte("+a=broken +b=broken !")})
	if err == nil {
		t.Fatal("no error")
	}
	m.b.Reset()
	m.lsn, m.next = m.v.Applied(), clone(m.now)
}

// Freeze starts a flush and does not wait for it.
func (m *machine) Freeze(t *rapid.T) {
	m.Commit(t)
	m.v.StartFlush(0, 0)
	m.b.Reset()
}

// Flush waits for a flush.
func (m *machine) Flush(t *rapid.T) {
	m.Commit(t)
	m.tap.full.Store(false)
	if err := m.v.Flush(); err != nil {
		t.Fatal(err)
	}
	m.b.Reset()
	if flushed, err := m.v.Flushed(); flushed != m.lsn || err != nil {
		t.Fatalf("flushed %d, want %d: %v", flushed, m.lsn, err)
	}
}

// Full turns the tap.
func (m *machine) Full(t *rapid.T) { m.tap.full.Store(rapid.Bool().Draw(t, "full")) }

// Reopen loses what is not in tables, and applies nothing again.
func (m *machine) Reopen(t *rapid.T) {
	m.CloseSnapshots(t)
	m.Flush(t)
	if err := m.v.Reopen(); err != nil {
		t.Fatal(err)
	}
	m.b.Reset()
}

// Replay applies records without the batch, and reads while they come.
func (m *machine) Replay(t *rapid.T) {
	m.tap.full.Store(false)
	m.Commit(t)
	if err := m.b.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := m.v.NewReplay(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()        // does nothing after a Finish
	engine.SetRunOps(r, 1) // each record becomes a table
	may := []state{m.now}
	for range rapid.IntRange(1, 4).Draw(t, "records") {
		if err := r.Apply(m.record(t)); err != nil {
			t.Fatal(err)
		}
		m.now = clone(m.next)
		may = append(may, m.now)
		m.look(t, may[len(may)-2:]) // the newest table may still be under way
	}
	if err := r.Finish(m.lsn, int64(m.lsn)); err != nil {
		t.Fatal(err)
	}
	m.b = m.v.NewBatch()
}

// look reads keys that are in one of several states.
func (m *machine) look(t *rapid.T, may []state) {
	ref, err := m.v.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Release()
	for _, c := range "abcdefgh" {
		key := "\x40" + string(c)
		value, closer, err := ref.Reader().Get([]byte(key))
		if !slices.ContainsFunc(may, func(s state) bool {
			w, ok := s[key]
			return ok == (err == nil) && string(value) == w
		}) {
			t.Fatalf("during a replay: get %q: got %q, %v, want that of one of %v", key, value, err, may)
		}
		if err == nil {
			closer.Close()
		}
	}
}

// Snapshot keeps a snapshot and what it must show.
func (m *machine) Snapshot(t *rapid.T) {
	s, err := m.v.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	m.snaps = append(m.snaps, saved{snap: s, want: clone(m.now), lsn: m.v.Applied()})
}

// CloseSnapshots checks and closes all snapshots.
func (m *machine) CloseSnapshots(t *rapid.T) {
	for _, s := range m.snaps {
		if s.snap.Applied() != s.lsn {
			t.Errorf("snapshot at lsn %d says %d", s.lsn, s.snap.Applied())
		}
		checkReader(t, "snapshot", s.snap.Reader(), s.want)
		if err := s.snap.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.snaps = nil
}

// Check compares what is visible now with the model.
func (m *machine) Check(t *rapid.T) {
	ref, err := m.v.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Release()
	checkReader(t, "live", ref.Reader(), m.now)
}

func checkReader(t *rapid.T, name string, r engine.Reader, want state) {
	for _, c := range "abcdefgh" {
		key := "\x40" + string(c)
		value, closer, err := r.Get([]byte(key))
		w, ok := want[key]
		if ok != (err == nil) || ok && string(value) != w {
			t.Fatalf("%s: get %q: got %q, %v, want %q, %v", name, key, value, err, w, ok)
		}
		if err == nil {
			closer.Close()
		} else if !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for _, bounds := range [][2]string{{"\x40", "\x41"}, {"\x40b", "\x40f"}, {"\x40aa", "\x40c"}} {
		want := want.pairs(bounds[0], bounds[1])
		forward := walk(t, r, bounds, (*engine.Iterator).First, (*engine.Iterator).Next)
		if diff := cmp.Diff(want, forward); diff != "" {
			t.Fatalf("%s: forward %q: %s", name, bounds, diff)
		}
		backward := walk(t, r, bounds, (*engine.Iterator).Last, (*engine.Iterator).Prev)
		slices.Reverse(backward)
		if diff := cmp.Diff(want, backward); diff != "" {
			t.Fatalf("%s: backward %q: %s", name, bounds, diff)
		}
	}
	seek := func(it *engine.Iterator) bool { return it.SeekGE([]byte("\x40d")) }
	got := walk(t, r, [2]string{"\x40", "\x41"}, seek, (*engine.Iterator).Next)
	if diff := cmp.Diff(want.pairs("\x40d", "\x41"), got); diff != "" {
		t.Fatalf("%s: seek: %s", name, diff)
	}
}

func walk(t *rapid.T, r engine.Reader, bounds [2]string, start, step func(*engine.Iterator) bool) []string {
	it, err := r.NewIter([]byte(bounds[0]), []byte(bounds[1]))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for ok := start(it); ok; ok = step(it) {
		all = append(all, string(it.Key())+"="+string(it.Value()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestViewsAgainstModel: gets, walks in both directions and snapshots show
// exactly what was committed, whatever is in fronts, being written or in tables.
func TestViewsAgainstModel(t *testing.T) {
	p := new(tap)
	s := kit.NewShared(t, errorfs.Wrap(vfs.NewMem(), p), rawEngine{})
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		v := open(t, s, 0, dirOf(t, runs))
		m := &machine{t: rt, tap: p, v: v, b: v.NewBatch(), now: state{}, next: state{},
			keyGen: rapid.SampledFrom(strings.Split("a b c d e f g h aa bb abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyy", " "))}
		defer func() {
			p.full.Store(false)
			for _, s := range m.snaps {
				s.snap.Close()
			}
			if err := v.Close(); err != nil {
				rt.Fatal(err)
			}
		}()
		rt.Repeat(rapid.StateMachineActions(m))
		m.CloseSnapshots(rt)
	})
}

// TestConsistentRetries: a view and the tables are of one moment, also when a
// front becomes a table between the two.
func TestConsistentRetries(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 0)
	kit.Apply(t, v, manyPuts(1, 3), 1)
	opened, undone := 0, 0
	lsn, err := v.Consistent(func() error {
		if opened++; opened == 1 {
			kit.Apply(t, v, manyPuts(4, 3), 1)
			return v.Flush()
		}
		return nil
	}, func() error { undone++; return nil })
	if err != nil || opened != 2 || undone != 1 || lsn != 6 {
		t.Errorf("opened %d, undone %d, lsn %d: %v", opened, undone, lsn, err)
	}
}

// TestLargeFront: many operations, long values, and walks between them, so that
// chunks, segments, hash tables and sorted lists all grow and are merged.
func TestLargeFront(t *testing.T) {
	s, err := engine.NewShared(&engine.Options{FS: vfs.NewMem(), MemtableBytes: 256 << 20, Engines: []engine.Engine{rawEngine{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v := open(t, s, 0, "vshard")
	defer v.Close()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	model := state{}
	b := v.NewBatch()
	defer b.Close()
	check := func(when string) {
		t.Helper()
		ref, err := v.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		defer ref.Release()
		it, err := ref.Reader().NewIter([]byte("\x40"), []byte("\x41"))
		if err != nil {
			t.Fatal(err)
		}
		want, n := model.pairs("\x40", "\x41"), 0
		for ok := it.First(); ok; ok = it.Next() {
			if n >= len(want) || string(it.Key())+"="+string(it.Value()) != want[n] {
				t.Fatalf("%s: entry %d of %d is %q", when, n, len(want), it.Key())
			}
			n++
		}
		if err := it.Close(); err != nil || n != len(want) {
			t.Fatalf("%s: %d of %d entries: %v", when, n, len(want), err)
		}
	}
	for lsn := wal.LSN(1); lsn <= 15_000; lsn++ {
		payload := fmt.Sprintf("+%04x=%d -%04x", rng.Uint32()%9000, lsn, rng.Uint32()%9000)
		if lsn%1000 == 0 {
			payload += fmt.Sprintf(" +long%d=%s", lsn%3000, strings.Repeat("v", int(rng.Uint32()%200_000)))
		}
		model.apply(payload)
		r := wal.Record{LSN: lsn, Type: rawType, Payload: []byte(payload)}
		if err := errors.Join(b.Apply(&r), b.Commit(0, 0)); err != nil {
			t.Fatal(err)
		}
		if lsn%1700 == 0 || lsn < 5 {
			check(fmt.Sprint("in memory, lsn ", lsn))
		}
	}
	check("in memory")
	if st, err := v.Stats(); err != nil || st.Tables != 0 || st.MemoryBytes < 1<<20 {
		t.Errorf("%+v: %v", st, err)
	}
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	check("in tables")
}
