package pitr

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"iter"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	queriedSegments = 1000
	queriedPuts     = 4000 // in each
	queriedGroup    = 250  // committed together
	queriedEvery    = 200  // the wanted key is in one segment of so many
)

var queriedKey = []byte("user:wanted")

// readMeter counts requests, and bytes of objects that are read.
type readMeter struct {
	archive.Store
	requests, bytes atomic.Int64
}

func (m *readMeter) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	m.requests.Add(1)
	r, err := m.Store.ReadRange(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return &meteredBody{r, m}, nil
}

func (m *readMeter) Stat(ctx context.Context, key string) (archive.Object, error) {
	m.requests.Add(1)
	return m.Store.Stat(ctx, key)
}

func (m *readMeter) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		n := 0
		for o, err := range m.Store.List(ctx, prefix, after) {
			if n++; n%1000 == 1 {
				m.requests.Add(1)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

type meteredBody struct {
	io.ReadCloser
	m *readMeter
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.m.bytes.Add(int64(n))
	return n, err
}

// fillQueried makes a thousand segments of random keys, and values that compress to
// about half, with their indexes.
func fillQueried(dir string) error {
	ctx := context.Background()
	store, err := archive.NewFileStore(dir)
	if err != nil {
		return err
	}
	logDir, err := os.MkdirTemp("", "nodedb-query-log-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(logDir) }()
	if _, err = archive.ClaimEpoch(ctx, []archive.StoreConfig{{Store: store}},
		archive.Claim{NodeID: kitNode, Timeline: 1, VShards: benchVShards, Dir: logDir}); err != nil {
		return err
	}
	a, err := archive.Open(store, kitNode)
	if err != nil {
		return err
	}
	log, err := wal.Open(logDir, &wal.Options{NodeID: kitNode, Timeline: 1, Epoch: 1, SegmentAge: -1})
	if err == nil {
		err = log.Start(1, 1)
	}
	for i := 0; i < queriedSegments && err == nil; i++ {
		if err = fillSegment(ctx, log, i); err == nil {
			err = sealQueried(ctx, a, log)
		}
	}
	if err == nil {
		err = log.Close()
	}
	return err
}

func fillSegment(ctx context.Context, log *wal.Log, i int) error {
	var batch wal.Batch
	value := make([]byte, benchValueBytes)
	for n := range queriedPuts {
		id := uint64(i*queriedPuts+n) * 0x9E3779B97F4A7C15
		key := binary.BigEndian.AppendUint64([]byte("user:"), id)
		if n == queriedPuts/2 && i%queriedEvery == 0 {
			key = queriedKey
		}
		for j := 0; j < benchValueBytes/2; j += 8 {
			binary.LittleEndian.PutUint64(value[j:], (id+uint64(j))*0xBF58476D1CE4E5B9)
		}
		err := batch.Add(kv.TypePut, 0, kv.VShardOf(key, benchVShards), nil, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: key, Value: value}))
		if err == nil && (n+1)%queriedGroup == 0 {
			_, _, err = log.AppendSync(ctx, &batch)
			batch.Reset()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sealQueried(ctx context.Context, a *archive.Archive, log *wal.Log) error {
	s, _, err := log.Seal(ctx)
	if err != nil {
		return err
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var out bytes.Buffer
	if _, err = archive.Seal(&out, io.LimitReader(f, s.Bytes)); err != nil {
		return err
	}
	k := archive.SegmentKey{Timeline: 1, First: s.First, Last: s.Last, Epoch: 1, SHA16: archive.Short(s.SHA256)}
	if err = a.Store().Create(ctx, a.Key(k), bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
		return err
	}
	_, err = index.Build(ctx, a, archive.SegmentEntry{SegmentKey: k, Object: archive.Object{Key: a.Key(k), Size: int64(out.Len())}, From: k.First, To: k.Last},
		&index.Options{Decode: kv.Changes})
	return err
}

// BenchmarkQuery asks a thousand segments for one key: with the segments' own
// indexes, with a merged one, and by scanning. percent is what is read of the
// segments' bytes. requests count a listing for each thousand names, as S3 does.
func BenchmarkQuery(b *testing.B) {
	dir := b.TempDir()
	check(b, fillQueried(dir))
	store, err := archive.NewFileStore(dir)
	check(b, err)
	m := &readMeter{Store: store}
	a, err := archive.Open(m, kitNode)
	check(b, err)
	c, err := a.Catalog(b.Context())
	check(b, err)
	total := int64(0)
	for _, s := range c.Segments {
		total += s.Size
	}
	ask := func(b *testing.B, o *QueryOptions, question func(q *Query) error) {
		m.requests.Store(0)
		m.bytes.Store(0)
		for b.Loop() {
			q, err := NewQuery(b.Context(), []*archive.Archive{a}, o)
			check(b, err)
			check(b, question(q))
		}
		b.ReportMetric(float64(m.requests.Load())/float64(b.N), "requests")
		b.ReportMetric(100*float64(m.bytes.Load())/float64(b.N)/float64(total), "percent")
	}
	history := func(q *Query) error {
		n := 0
		err := q.History(b.Context(), Range{}, 0, queriedKey, func(*Version) error { n++; return nil })
		if n != queriedSegments/queriedEvery {
			b.Fatalf("%d versions", n)
		}
		return err
	}
	get := func(t Target) func(q *Query) error {
		return func(q *Query) error {
			v, err := q.Get(b.Context(), t, 0, queriedKey)
			if err == nil && !v.Found {
				b.Fatal("not found")
			}
			return err
		}
	}
	b.Run("list", func(b *testing.B) { ask(b, nil, func(*Query) error { return nil }) })
	b.Run("history/scan", func(b *testing.B) { ask(b, &QueryOptions{NoIndex: true}, history) })
	b.Run("history/own", func(b *testing.B) { ask(b, nil, history) })
	begun := time.Now()
	r, err := index.Merge(b.Context(), a, nil)
	check(b, err)
	b.Logf("%d indexes of %d bytes merged into %d of %d bytes in %v; segments have %d bytes", r.Indexes, r.Bytes, r.New, r.NewBytes, time.Since(begun), total)
	b.Run("history/merged", func(b *testing.B) { ask(b, nil, history) })
	b.Run("get/latest", func(b *testing.B) { ask(b, nil, get(Target{Latest: true})) })
	b.Run("get/lsn", func(b *testing.B) { ask(b, nil, get(Target{LSN: 2_345_678})) })
	at := Target{Time: c.Segments[len(c.Segments)/2].ModTime}
	b.Run("get/time", func(b *testing.B) { ask(b, nil, get(at)) })
	_, _, err = archive.WriteSnapshot(b.Context(), a, nil)
	check(b, err)
	b.Run("get/time-snapshot", func(b *testing.B) { ask(b, nil, get(at)) })
}
