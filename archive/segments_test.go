package archive_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// makeSegments writes a real WAL with n sealed segments and closes it.
func makeSegments(t testing.TB, fsys vfs.FS, dir string, n int, seed uint64) []wal.Segment {
	t.Helper()
	return makeSegmentsFrom(t, fsys, dir, n, seed, 1, 1)
}

// makeSegmentsFrom begins at the given LSN and epoch.
func makeSegmentsFrom(t testing.TB, fsys vfs.FS, dir string, n int, seed uint64, first wal.LSN, epoch wal.Epoch) []wal.Segment {
	t.Helper()
	l, err := wal.Open(dir, &wal.Options{FS: fsys, NodeID: nodeID, FirstLSN: first, SegmentAge: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(1, epoch); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(seed, 0))
	var segs []wal.Segment
	for range n {
		var b wal.Batch
		for range 1 + rnd.IntN(20) {
			payload := make([]byte, 100+rnd.IntN(2000))
			for i := range payload[:len(payload)/2] {
				payload[i] = byte(rnd.Uint32()) // half of it compresses
			}
			if err := b.Add(64, 0, 0, nil, payload); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := l.AppendSync(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		s, ok, err := l.Seal(t.Context())
		if err != nil || !ok {
			t.Fatalf("seal: %v %v", ok, err)
		}
		segs = append(segs, s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return segs
}
