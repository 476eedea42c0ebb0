package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// writeLog puts a log of so many bytes of records into a node's directory, over
// few keys, as a crash would leave it: nothing of it is in the vshards.
func writeLog(t *testing.T, dir string, bytes int) (records int) {
	t.Helper()
	n, err := Open(dir, recoveryOptions())
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, n)
	log, err := wal.Open(n.path(walDir), &wal.Options{NodeID: "n1", SegmentBytes: 16 << 20, KnownType: func(wal.Type) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 200)
	var b wal.Batch
	var payload []byte
	for size := 0; size < bytes; {
		b.Reset()
		for range 512 {
			key := fmt.Appendf(nil, "key-%d", records%2000)
			payload = kv.AppendPut(payload[:0], &kv.Put{Op: kv.OpPut, Key: key, Value: value})
			if err := b.Add(kv.TypePut, 0, kv.VShardOf(key, len(n.shards)), nil, payload); err != nil {
				t.Fatal(err)
			}
			records++
		}
		if _, _, err := log.AppendSync(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		size += b.Size()
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return records
}

func recoveryOptions() *Options {
	o := smallOptions(vfs.Default)
	o.RecoveryBytes, o.MemtableBytes = 8<<20, 4<<20
	return o
}

// liveNow is what is in use on the heap. Garbage is not counted: how much there is of
// it depends on how busy the machine is.
func liveNow() uint64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// Recovery streams: replaying eight times the log takes no more memory, and
// Progress is called as it goes.
func TestRecovery_MemoryDoesNotGrowWithLog(t *testing.T) {
	const unit = 24 << 20 // enough that every buffer of a replay is in use
	var peaks []uint64
	for _, size := range []int{unit, 4 * unit} {
		dir := t.TempDir()
		records := writeLog(t, dir, size)
		o := recoveryOptions()
		var steps []Recovery
		base := liveNow()
		peak := base
		o.Progress = func(r Recovery) {
			steps = append(steps, r)
			peak = max(peak, liveNow())
		}
		n, err := Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		peaks = append(peaks, peak-base)
		r := n.Recovery()
		if r.Records != uint64(records) || !r.Done || r.To != r.LSN || r.Bytes < int64(size)/2 || r.From != 1 {
			t.Fatalf("recovery of %d records = %+v", records, r)
		}
		if want := records/recoveryStep + 1; len(steps) != want || !steps[len(steps)-1].Done {
			t.Fatalf("Progress was called %d times, want %d", len(steps), want)
		}
		for i := 1; i < len(steps); i++ {
			if steps[i].LSN < steps[i-1].LSN || steps[i].To != r.To {
				t.Fatalf("Progress went from %+v to %+v", steps[i-1], steps[i])
			}
		}
		if d, err := n.Digest(t.Context()); err != nil || d.Entries != 2000 {
			t.Fatalf("Digest = %+v, %v", d, err)
		}
		mustClose(t, n)
	}
	t.Logf("heap growth: %d MiB of log %d KiB, %d MiB of log %d KiB", unit>>20, peaks[0]>>10, 4*unit>>20, peaks[1]>>10)
	if limit := peaks[0] + peaks[0]/2 + unit/2; peaks[1] > limit {
		t.Errorf("the heap grew by %d bytes for the long log, limit %d", peaks[1], limit)
	}
}

// A caller that gives up gets its directory back at once, and nothing of it is
// lost.
func TestOpenContext_GivesUp(t *testing.T) {
	dir := t.TempDir()
	records := writeLog(t, dir, 24<<20)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	gone := errors.New("the user went away")
	o := recoveryOptions()
	o.Progress = func(r Recovery) {
		if r.Done {
			t.Errorf("recovered to the end, LSN %d", r.LSN)
		}
		cancel(gone)
	}
	if n, err := OpenContext(ctx, dir, o); !errors.Is(err, gone) {
		t.Fatalf("OpenContext = %v, %v, want the cause of the context", n, err)
	}
	if n, err := OpenContext(ctx, dir, recoveryOptions()); !errors.Is(err, gone) {
		t.Fatalf("OpenContext with a context that has ended = %v, %v", n, err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	n, err := OpenContext(ctx, dir, recoveryOptions())
	if err != nil {
		t.Fatal(err)
	}
	cancel(gone) // the node is its own now
	if d, err := n.Digest(t.Context()); err != nil || d.Entries != 2000 {
		t.Errorf("Digest = %+v, %v", d, err)
	}
	if r := n.Recovery(); r.LSN < wal.LSN(records) {
		t.Errorf("recovered to LSN %d of %d records", r.LSN, records)
	}
	mustClose(t, n)
}

// Law 4: recovering twice is recovering once: a node that crashes right after its
// recovery, and again, holds the same.
func TestRecovery_Twice(t *testing.T) {
	fs := vfs.NewCrashableMem()
	n := start(t, smallOptions(fs))
	fill(t, n, "k", 50)
	for i := range 20 {
		if _, err := n.Tenant(0).Increment(t.Context(), []byte("counter"), int64(i), &WriteOptions{IdempotencyKey: fmt.Appendf(nil, "i%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	want, err := n.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		disk := n.opts.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
		o := smallOptions(disk)
		again := start(t, o)
		got, err := again.Digest(t.Context())
		if err != nil || got.Digest != want.Digest || got.Entries != want.Entries {
			t.Fatalf("Digest after a crash = %+v, %v, want %+v", got, err, want)
		}
		if again.Recovery().Records == 0 {
			t.Fatal("nothing was replayed")
		}
		n = again
	}
}
