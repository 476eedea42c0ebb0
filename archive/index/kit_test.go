package index_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/parquet-go/parquet-go"
	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

const nodeID = "n1"

var options = &index.Options{Decode: kv.Changes}

// makeSegment writes a real log, and gives its one sealed segment. fill appends
// records; it is called until it returns false, a group commit each time.
func makeSegment(t testing.TB, fill func(b *wal.Batch) bool) ([]byte, wal.Segment) {
	t.Helper()
	return makeSegmentFrom(t, 1, fill)
}

func makeSegmentFrom(t testing.TB, first wal.LSN, fill func(b *wal.Batch) bool) ([]byte, wal.Segment) {
	t.Helper()
	fsys := vfs.NewMem()
	l, err := wal.Open("wal", &wal.Options{FS: fsys, NodeID: nodeID, FirstLSN: first, SegmentAge: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	for {
		var b wal.Batch
		if !fill(&b) {
			break
		}
		if _, _, err := l.AppendSync(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
	s, ok, err := l.Seal(context.Background())
	if err != nil || !ok {
		t.Fatalf("seal: %v %v", ok, err)
	}
	if s.First != first {
		t.Fatalf("the log sealed a segment before LSN %d: what is so much must be one batch", s.First)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Open(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, s.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	return data, s
}

func add(t testing.TB, b *wal.Batch, typ wal.Type, tenant uint32, payload []byte) {
	t.Helper()
	if err := b.Add(typ, tenant, uint16(tenant), nil, payload); err != nil {
		t.Fatal(err)
	}
}

// random is a segment with records of every kind: few keys, so that they repeat,
// some of them long and alike.
func random(t testing.TB, seed uint64, records int) ([]byte, wal.Segment) {
	t.Helper()
	return randomFrom(t, seed, records, 1)
}

func randomFrom(t testing.TB, seed uint64, records int, first wal.LSN) ([]byte, wal.Segment) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	key := func() []byte {
		k := fmt.Appendf(nil, "key%03d", rnd.IntN(1+records/3))
		switch rnd.IntN(10) {
		case 0:
			return append(bytes.Repeat([]byte{'x'}, 60), k...)
		case 1:
			return []byte{byte(rnd.Uint32()), 0xff, 0}[:1+rnd.IntN(3)]
		}
		return k
	}
	value := func() []byte { return bytes.Repeat([]byte{byte(rnd.Uint32())}, rnd.IntN(300)) }
	expiry := func() int64 { return max(0, rnd.Int64N(2_000_000)-1_000_000) }
	left := records
	return makeSegmentFrom(t, first, func(b *wal.Batch) bool {
		if left <= 0 {
			return false
		}
		for range 1 + rnd.IntN(40) {
			left--
			tenant := uint32(rnd.IntN(3)) * 0x7fffffff
			switch rnd.IntN(8) {
			default:
				add(t, b, kv.TypePut, tenant, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: key(), Value: value(), ExpireAt: expiry()}))
			case 0:
				add(t, b, kv.TypeDelete, tenant, kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Key: key()}))
			case 1:
				batch := &kv.Batch{Op: kv.OpBatch}
				for range rnd.IntN(5) {
					batch.Mutations = append(batch.Mutations, kv.Mutation{Delete: rnd.IntN(3) == 0, Key: key(), Value: value()})
				}
				add(t, b, kv.TypeBatch, tenant, kv.AppendBatch(nil, batch))
			case 2:
				add(t, b, kv.TypeExpire, 0, kv.AppendExpire(nil, &kv.Expire{Op: kv.OpMaintenance,
					Keys: []kv.Due{{Millis: 1 + rnd.Int64N(9999), Tenant: tenant, Key: key()}}}))
			case 3:
				add(t, b, wal.TypeRestorePoint, 0, wal.RestorePoint{Name: "p"}.Append(nil))
			}
		}
		return true
	})
}

// want is what a scan of the segment gives, in order.
func want(t testing.TB, data []byte) []index.Row {
	t.Helper()
	r := wal.NewSegmentReader(bytes.NewReader(data), "segment")
	var rows []index.Row
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, rowsOf(t, rec, r.FrameOffset())...)
	}
	slices.SortStableFunc(rows, func(x, y index.Row) int {
		if x.Tenant != y.Tenant {
			return int(int64(x.Tenant) - int64(y.Tenant))
		}
		return bytes.Compare(x.Key, y.Key)
	})
	return rows
}

func rowsOf(t testing.TB, rec wal.Record, offset int64) (out []index.Row) {
	t.Helper()
	row := func(tenant uint32, op string, key, value []byte, expireAt int64) {
		r := index.Row{Tenant: tenant, Key: bytes.Clone(key), LSN: rec.LSN, Part: len(out), TimeMicros: rec.Time, Timeline: 1, Epoch: 1,
			VShard: rec.VShard, Type: rec.Type, Op: op, ValueBytes: int64(len(value)), ExpireAt: expireAt, Offset: offset}
		if op == "put" {
			r.ValueSHA256 = sha256.Sum256(value)
		}
		out = append(out, r)
	}
	var err error
	switch rec.Type {
	case kv.TypePut:
		var p kv.Put
		p, err = kv.DecodePut(rec.Payload)
		row(rec.Tenant, "put", p.Key, p.Value, p.ExpireAt)
	case kv.TypeDelete:
		var d kv.Delete
		d, err = kv.DecodeDelete(rec.Payload)
		row(rec.Tenant, "del", d.Key, nil, 0)
	case kv.TypeBatch:
		var b kv.Batch
		b, err = kv.DecodeBatch(rec.Payload)
		for _, m := range b.Mutations {
			op := "put"
			if m.Delete {
				op = "del"
			}
			row(rec.Tenant, op, m.Key, m.Value, m.ExpireAt)
		}
	case kv.TypeExpire:
		var e kv.Expire
		e, err = kv.DecodeExpire(rec.Payload)
		for _, d := range e.Keys {
			row(d.Tenant, "expire", d.Key, nil, d.Millis)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sqlRow is what an engine that knows only Parquet sees.
type sqlRow struct {
	Tenant   int64  `parquet:"tenant"`
	Key      []byte `parquet:"key"`
	LSN      int64  `parquet:"lsn"`
	Part     int32  `parquet:"part"`
	Time     int64  `parquet:"time,timestamp(microsecond)"`
	Timeline int64  `parquet:"timeline"`
	Epoch    int64  `parquet:"epoch"`
	VShard   int32  `parquet:"vshard"`
	Type     int32  `parquet:"type"`
	Op       string `parquet:"op"`
	Size     int64  `parquet:"value_size"`
	SHA256   []byte `parquet:"value_sha256,optional"`
	Expires  *int64 `parquet:"expires,optional,timestamp(millisecond)"`
	Offset   int64  `parquet:"offset"`
}

func readAll(t testing.TB, object []byte) []index.Row {
	t.Helper()
	rows, err := parquet.Read[sqlRow](bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	var out []index.Row
	for _, r := range rows {
		row := index.Row{Tenant: uint32(r.Tenant), Key: r.Key, LSN: wal.LSN(r.LSN), Part: int(r.Part), TimeMicros: r.Time,
			Timeline: wal.Timeline(r.Timeline), Epoch: wal.Epoch(r.Epoch), VShard: uint16(r.VShard), Type: wal.Type(r.Type),
			Op: r.Op, ValueBytes: r.Size, Offset: r.Offset}
		copy(row.ValueSHA256[:], r.SHA256)
		if (len(r.SHA256) == 32) != (r.Op == "put") {
			t.Fatalf("%s of LSN %d has a hash of %d bytes", r.Op, r.LSN, len(r.SHA256))
		}
		if r.Expires != nil {
			row.ExpireAt = *r.Expires
		}
		out = append(out, row)
	}
	return out
}

func encode(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, _, err := index.Encode(context.Background(), &out, bytes.NewReader(data), "segment", kv.Changes); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func newArchive(t testing.TB) (*archive.Archive, *archivetest.Counted) {
	t.Helper()
	s, _, err := archive.OpenStore(context.Background(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	counted := archivetest.NewCounted(s)
	a, err := archive.Open(counted, nodeID)
	if err != nil {
		t.Fatal(err)
	}
	return a, counted
}

func keyOf(s wal.Segment) archive.SegmentKey {
	return archive.SegmentKey{Timeline: s.Timeline, First: s.First, Last: s.Last, Epoch: s.Epoch, SHA16: archive.Short(s.SHA256)}
}

// put stores a segment as the archiver does.
func put(t testing.TB, a *archive.Archive, k archive.SegmentKey, data []byte) archive.SegmentEntry {
	t.Helper()
	var sealed bytes.Buffer
	if _, err := archive.Seal(&sealed, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return putRaw(t, a, k, sealed.Bytes())
}

func putRaw(t testing.TB, a *archive.Archive, k archive.SegmentKey, object []byte) archive.SegmentEntry {
	t.Helper()
	key := a.Key(k)
	if err := a.Store().Create(context.Background(), key, bytes.NewReader(object), int64(len(object))); err != nil {
		t.Fatal(err)
	}
	return archive.SegmentEntry{SegmentKey: k, Object: archive.Object{Key: key, Size: int64(len(object))}, From: k.First, To: k.Last}
}

func stored(t testing.TB, a *archive.Archive, k archive.Key) []byte {
	t.Helper()
	r, err := a.Store().ReadRange(context.Background(), a.Key(k), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
