package archive_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// BenchmarkArchiver archives segments of about 16 MiB from disk into a file
// store, from Add to verified.
func BenchmarkArchiver(b *testing.B) {
	dir := b.TempDir()
	store, err := archive.NewFileStore(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	l, err := wal.Open(dir, &wal.Options{NodeID: nodeID, SegmentAge: -1, SegmentBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Start(1, 1); err != nil {
		b.Fatal(err)
	}
	stores := []archive.StoreConfig{{Store: store}}
	epoch, err := archive.ClaimEpoch(b.Context(), stores, archive.Claim{NodeID: nodeID, Dir: dir, Timeline: 1})
	if err != nil {
		b.Fatal(err)
	}
	a, err := archive.NewArchiver(&archive.ArchiverOptions{Stores: stores, Epoch: epoch, JournalDir: dir, FS: vfs.Default})
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	var bytes int64
	var waited time.Duration
	for b.Loop() {
		b.StopTimer()
		var batch wal.Batch
		for range 16 {
			payload := make([]byte, 1<<20)
			for i := range payload[:len(payload)/2] {
				payload[i] = byte(rnd.Uint32())
			}
			if err := batch.Add(64, 0, 0, nil, payload); err != nil {
				b.Fatal(err)
			}
		}
		if _, _, err := l.AppendSync(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
		seg, _, err := l.Seal(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		began := time.Now()
		if err := a.Add(seg); err != nil {
			b.Fatal(err)
		}
		if err := a.Wait(b.Context(), seg.Last); err != nil {
			b.Fatal(err)
		}
		waited += time.Since(began)
		bytes += seg.Bytes
	}
	b.ReportMetric(float64(bytes)/waited.Seconds()/(1<<20), "MiB/s")
	if err := a.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
