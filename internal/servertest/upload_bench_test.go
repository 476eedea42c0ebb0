package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"
	"gocloud.dev/blob"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	benchSegments     = 8
	benchSegmentBytes = 64 << 20
)

// BenchmarkUploadSegments sends eight segments of 64 MiB to MinIO at once: as the
// archiver does (hash, compress, encrypt, create, prove), and as a program would
// that streams zstd at its fastest into the portable writer with its defaults.
// Both take turns at going first; x-rate is ours by theirs, median of the turns.
// MiB-peak is the memory that the Go runtime had from the system at the most.
func BenchmarkUploadSegments(b *testing.B) {
	log, segments := benchLog(b)
	defer func() { _ = log.Close() }()
	sides := []uploadSide{{name: "archiver", send: sendArchiver}, {name: "s3blob", send: sendPortable}}
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		for j := range sides {
			sides[(i+j)%2].run(b, segments)
		}
		ratios = append(ratios, sides[1].last.Seconds()/sides[0].last.Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-rate")
	for _, s := range sides {
		b.ReportMetric(float64(s.peak)/(1<<20), "MiB-peak-"+s.name)
	}
}

type uploadSide struct {
	name string
	send func(b *testing.B, bucket string, segments []wal.Segment) error
	last time.Duration
	peak uint64
}

func (s *uploadSide) run(b *testing.B, segments []wal.Segment) {
	b.Helper()
	name := bucket(b)
	debug.FreeOSMemory()
	stop := watchMemory()
	began := time.Now()
	err := s.send(b, name, segments)
	s.last = time.Since(began)
	s.peak = max(s.peak, stop())
	if err != nil {
		b.Fatalf("%s: %v", s.name, err)
	}
	b.Logf("%s: %.0f MB/s", s.name, benchSegments*benchSegmentBytes/1e6/s.last.Seconds())
}

// benchLog writes the segments: words and numbers that compress to under a half.
func benchLog(b *testing.B) (*wal.Log, []wal.Segment) {
	b.Helper()
	log, err := wal.Open(b.TempDir(), &wal.Options{NodeID: "bench", SegmentAge: -1, SegmentBytes: benchSegmentBytes})
	if err != nil {
		b.Fatal(err)
	}
	if err := log.Start(1, 1); err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	var batch wal.Batch
	var whole []wal.Segment
	for len(whole) < benchSegments {
		batch.Reset()
		payload := make([]byte, 0, 1<<20)
		for len(payload) < 1<<20-64 {
			payload = fmt.Appendf(payload, "user:%d name-%d %x;", rnd.IntN(1e6), rnd.IntN(5000), rnd.Uint32())
		}
		if err := batch.Add(wal.TypeNoop, 0, wal.VShardNone, nil, payload); err != nil {
			b.Fatal(err)
		}
		if _, _, err := log.AppendSync(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
		whole = whole[:0]
		for _, s := range log.Segments() {
			if s.Sealed && s.Bytes > benchSegmentBytes*7/8 {
				whole = append(whole, s)
			}
		}
	}
	return log, whole
}

func sendArchiver(b *testing.B, bucket string, segments []wal.Segment) error {
	b.Helper()
	store, _, err := archive.OpenStore(b.Context(), storeURL(bucket, ""))
	if err != nil {
		return err
	}
	defer store.Close()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	to, err := archive.ParseRecipients(id.Recipient().String())
	if err != nil {
		return err
	}
	stores := []archive.StoreConfig{{Store: store}}
	dir := b.TempDir()
	epoch, err := archive.ClaimEpoch(b.Context(), stores, archive.Claim{NodeID: "bench", Dir: dir, Timeline: 1})
	if err != nil {
		return err
	}
	a, err := archive.NewArchiver(&archive.ArchiverOptions{Stores: stores, Epoch: epoch, JournalDir: dir, FS: vfs.Default,
		From: segments[0].First - 1, Parallel: benchSegments, Recipients: to})
	if err != nil {
		return err
	}
	for _, s := range segments {
		if err := a.Add(s); err != nil {
			return err
		}
	}
	err = a.Wait(b.Context(), segments[len(segments)-1].Last)
	return errors.Join(err, a.Close(b.Context()))
}

func sendPortable(b *testing.B, bucket string, segments []wal.Segment) error {
	b.Helper()
	bkt, err := blob.OpenBucket(b.Context(), fmt.Sprintf("s3://%s?endpoint=%s&region=us-east-1&use_path_style=true", bucket, url.QueryEscape(server.Endpoint)))
	if err != nil {
		return err
	}
	errs := make([]error, len(segments))
	var wg sync.WaitGroup
	for i, s := range segments {
		wg.Go(func() { errs[i] = sendOne(b.Context(), bkt, s) })
	}
	wg.Wait()
	return errors.Join(append(errs, bkt.Close())...)
}

func sendOne(ctx context.Context, bkt *blob.Bucket, s wal.Segment) error {
	f, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w, err := bkt.NewWriter(ctx, fmt.Sprint(s.First), nil)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	_, err = io.Copy(z, io.LimitReader(f, s.Bytes))
	return errors.Join(err, z.Close(), w.Close())
}

// watchMemory samples until it is stopped.
func watchMemory() (stop func() uint64) {
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var most uint64
		for {
			most = max(most, resident())
			select {
			case <-tick.C:
			case <-done:
				peak <- most
				return
			}
		}
	}()
	return func() uint64 { close(done); return <-peak }
}

// resident is what the runtime has from the system and did not give back.
func resident() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
