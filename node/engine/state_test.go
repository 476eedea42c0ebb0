package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/wal"
)

// sumType adds its payload's first byte to a sum in memory.
const sumType = 252 | wal.RequiredBit

// sumEngine keeps everything in memory, as a vector index would.
type sumEngine struct{ noEngine }

func (sumEngine) Name() string                           { return "sum" }
func (sumEngine) Owns(t wal.Type) bool                   { return t == sumType }
func (sumEngine) Apply(*engine.Batch, *wal.Record) error { return nil }
func (sumEngine) NewState(v *engine.VShard) engine.State { return &sumState{id: v.ID()} }

type sumState struct {
	id     uint16
	sum    uint64
	count  uint64
	closed bool
}

func (s *sumState) Apply(r *wal.Record) error {
	if r.Payload[0] == 0xff {
		return errors.New("told to fail")
	}
	s.sum += uint64(r.Payload[0])
	s.count++
	return nil
}

func (s *sumState) Load(next func() ([]byte, bool, error)) error {
	var all []byte
	for {
		chunk, ok, err := next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		all = append(all, chunk...)
	}
	if len(all) != 16 {
		return fmt.Errorf("image of %d bytes", len(all))
	}
	s.sum, s.count = binary.LittleEndian.Uint64(all), binary.LittleEndian.Uint64(all[8:])
	return nil
}

func (s *sumState) Freeze() (engine.Image, error) {
	return sumImage(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, s.sum), s.count)), nil
}

func (s *sumState) Close() error { s.closed = true; return nil }

type sumImage []byte

func (i sumImage) Save(_ context.Context, put func([]byte) error) error {
	for len(i) > 0 { // in several chunks
		n := min(5, len(i))
		if err := put(i[:n]); err != nil {
			return err
		}
		i = i[n:]
	}
	return nil
}

func sumLog(n int) (log []wal.Record, sums []uint64) {
	sums = []uint64{0}
	for i := range n {
		lsn := wal.LSN(i + 1)
		r := wal.Record{LSN: lsn, Time: int64(lsn), Type: sumType, Payload: []byte{byte(i*37 + 1)}}
		if i%3 == 2 || r.Payload[0] == 0xff {
			r = kit.Put(lsn, 1, fmt.Sprintf("key-%d", i), "v")
		}
		log = append(log, r)
		sum := sums[i]
		if r.Type == sumType {
			sum += uint64(r.Payload[0])
		}
		sums = append(sums, sum)
	}
	return log, sums
}

func sumOf(v *engine.VShard) *sumState { return engine.StateOf(v, "sum").(*sumState) }

// TestStateCrash holds Law 4 for engines in memory: at every operation of
// flushes, a crash leaves an image that holds each record up to Flushed once,
// and the log from there on makes it whole.
func TestStateCrash(t *testing.T) {
	log, sums := sumLog(40)
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex // flushes and compactions write at the same time
	var clones []*vfs.MemFS
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{}))
		}
		return nil
	}))
	s := kit.NewShared(t, fs, sumEngine{})
	v := open(t, s, 0, "vshard")
	for i := 0; i < len(log); i += 10 {
		kit.Apply(t, v, log[i:i+10], 3)
		if err := v.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := sumOf(v).sum; got != sums[i+10] {
			t.Fatalf("sum %d after %d records, want %d", got, i+10, sums[i+10])
		}
	}
	state := sumOf(v)
	if err := v.Close(); err != nil || !state.closed {
		t.Fatalf("close: %v, state closed: %v", err, state.closed)
	}
	highest := wal.LSN(0)
	for i, c := range clones {
		s := kit.NewShared(t, c, sumEngine{})
		v := open(t, s, 0, "vshard")
		flushed, err := v.Flushed()
		if err != nil {
			t.Fatal(err)
		}
		if flushed > v.Applied() {
			t.Errorf("crash %d: flushed %d, applied %d", i, flushed, v.Applied())
		}
		highest = max(highest, flushed)
		kit.Apply(t, v, log[i%(int(flushed)+1):], 4)
		if got := sumOf(v).sum; got != sums[len(log)] {
			t.Errorf("crash %d: sum %d after the log from %d, want %d", i, got, flushed, sums[len(log)])
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	if highest != 40 {
		t.Errorf("no crash kept the last image, the best is %d of %d", highest, len(clones))
	}
}

// TestStateReplay: replays feed the states too, and a state that fails breaks
// the batch.
func TestStateReplay(t *testing.T) {
	log, sums := sumLog(30)
	s := kit.NewShared(t, vfs.NewMem(), sumEngine{})
	v := open(t, s, 0, "vshard")
	defer v.Close()
	r, err := v.NewReplay(nil)
	if err != nil {
		t.Fatal(err)
	}
	feed(t, r, log)
	if err := r.Finish(30, 30); err != nil {
		t.Fatal(err)
	}
	if got := sumOf(v).sum; got != sums[30] {
		t.Errorf("sum %d, want %d", got, sums[30])
	}
	// The image is older than the tables: the WAL is still needed.
	if flushed, err := v.Flushed(); flushed != 0 || err != nil {
		t.Errorf("flushed %d before any image: %v", flushed, err)
	}
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	if flushed, err := v.Flushed(); flushed != 30 || err != nil {
		t.Errorf("flushed %d: %v", flushed, err)
	}
	b := v.NewBatch()
	defer b.Close()
	err = b.Apply(&wal.Record{LSN: 31, Type: sumType, Payload: []byte{0xff}})
	if err == nil || !errors.Is(b.Commit(31, 31), engine.ErrBatchBroken) {
		t.Errorf("a state that fails: %v", err)
	}
}
