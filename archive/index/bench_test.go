package index_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// fullSegment is a sealed segment of 64 MiB with values of 128 bytes that compress
// to about half.
var fullSegment = sync.OnceValues(func() ([]byte, error) {
	fsys := vfs.NewMem()
	l, err := wal.Open("wal", &wal.Options{FS: fsys, NodeID: nodeID, FirstLSN: 1, SegmentAge: -1})
	if err != nil {
		return nil, err
	}
	if err := l.Start(1, 1); err != nil {
		return nil, err
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 128)
	for l.Appended() < 1_200_000 {
		var b wal.Batch
		for range 200 {
			for i := range value[:64] {
				value[i] = byte(rnd.Uint32())
			}
			key := []byte("user:" + wal.LSN(rnd.Uint64N(1<<20)).Hex())
			if err := b.Add(kv.TypePut, 0, 1, nil, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: key, Value: value})); err != nil {
				return nil, err
			}
		}
		if _, _, err := l.AppendSync(context.Background(), &b); err != nil {
			return nil, err
		}
	}
	var most wal.Segment
	for _, s := range l.Segments() {
		if s.Sealed && s.Bytes > most.Bytes {
			most = s
		}
	}
	f, err := fsys.Open(most.Path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, most.Bytes))
	return data, errors.Join(err, f.Close(), l.Close())
})

// BenchmarkIndex stands beside BenchmarkScan: what decompressing, verifying and
// decoding the same segment takes.
func BenchmarkIndex(b *testing.B) {
	sealed := sealedFull(b)
	peak := watchMemory(b)
	var size, rows int
	for b.Loop() {
		var out bytes.Buffer
		src, err := archive.Unseal(bytes.NewReader(sealed))
		if err != nil {
			b.Fatal(err)
		}
		if _, rows, err = index.Encode(b.Context(), &out, src, "segment", kv.Changes); err != nil {
			b.Fatal(err)
		}
		_ = src.Close()
		size = out.Len()
	}
	b.ReportMetric(float64(rows), "rows")
	b.ReportMetric(float64(size)/(1<<20), "MiB-index")
	b.ReportMetric(peak(), "MiB-heap-peak")
}

func BenchmarkScan(b *testing.B) {
	sealed := sealedFull(b)
	changes := 0
	for b.Loop() {
		src, err := archive.Unseal(bytes.NewReader(sealed))
		if err != nil {
			b.Fatal(err)
		}
		r := wal.NewSegmentReader(src, "segment")
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = kv.Changes(&rec, func(uint32, string, []byte, []byte, int64) error { changes++; return nil })
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		_ = src.Close()
	}
}

func sealedFull(b *testing.B) []byte {
	b.Helper()
	data, err := fullSegment()
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := archive.Seal(&out, bytes.NewReader(data)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	return out.Bytes()
}

// watchMemory samples how much the heap grows above what it is now.
func watchMemory(b *testing.B) func() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base, peak := m.HeapAlloc, uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc-min(base, m.HeapAlloc))
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-done
		return float64(peak) / (1 << 20)
	}
}
