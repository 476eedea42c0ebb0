package index_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// tomorrow merges what was indexed today.
func tomorrow() *index.MergeOptions {
	return &index.MergeOptions{MinIndexes: 2, Clock: func() time.Time { return time.Now().Add(24 * time.Hour) }}
}

// history is n segments that follow each other, by their keys.
func history(t testing.TB, seed uint64, n int) map[archive.SegmentKey][]byte {
	t.Helper()
	out := make(map[archive.SegmentKey][]byte)
	at := wal.LSN(1)
	for i := range n {
		data, seg := randomFrom(t, seed+uint64(i), 5+20*i, at)
		at = seg.Last + 1
		out[keyOf(seg)] = data
	}
	return out
}

// indexed puts the segments and their indexes into an archive, in any order.
func indexed(t testing.TB, segments map[archive.SegmentKey][]byte) (*archive.Archive, *archivetest.Counted) {
	t.Helper()
	a, s := newArchive(t)
	for k, data := range segments {
		if _, err := index.Build(t.Context(), a, put(t, a, k, data), options); err != nil {
			t.Fatal(err)
		}
	}
	return a, s
}

func merge(t testing.TB, a *archive.Archive, o *index.MergeOptions) *index.MergeReport {
	t.Helper()
	r, err := index.Merge(t.Context(), a, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mergedObject is the only one.
func mergedObject(t testing.TB, a *archive.Archive) (archive.MergedEntry, []byte) {
	t.Helper()
	c := mustCatalog(t, a)
	if len(c.Merged) != 1 || len(c.Foreign) > 0 {
		t.Fatalf("merged indexes: %v, foreign: %v", c.Merged, c.Foreign)
	}
	return c.Merged[0], stored(t, a, c.Merged[0].MergedKey)
}

type mergedSQLRow struct {
	sqlRow
	SegmentFirst int64  `parquet:"segment_first"`
	SegmentSHA16 []byte `parquet:"segment_sha16"`
}

// wantMerged are the rows of all segments, by scan, in the order of a merged index.
func wantMerged(t testing.TB, segments map[archive.SegmentKey][]byte) (out []index.Row) {
	t.Helper()
	for k, data := range segments {
		for _, r := range want(t, data) {
			r.SegmentFirst, r.SegmentSHA16 = k.First, k.SHA16
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y index.Row) int {
		return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), bytes.Compare(x.Key, y.Key), cmp.Compare(x.LSN, y.LSN), cmp.Compare(x.Part, y.Part))
	})
	return out
}

// A merged index has the rows of its segments, as a scan of them gives; a lookup
// in it says of each segment what the segment's own index says; and it is a
// function of them, whoever makes it, when, and in which order they came.
func TestMergeIsRows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	segments := history(t, seed, 7)
	a, s := indexed(t, segments)
	r := merge(t, a, tomorrow())
	all := wantMerged(t, segments)
	if r.Indexes != 7 || r.New != 1 || r.Rows != len(all) || len(r.Problems) != 0 {
		t.Fatalf("%+v, want %d rows", r, len(all))
	}
	e, object := mergedObject(t, a)
	if got := readMerged(t, object); !gocmp.Equal(all, got) {
		t.Fatalf("rows (-scan +merged):\n%s", gocmp.Diff(all, got))
	}
	b, _ := indexed(t, segments) // another order: a map's
	merge(t, b, tomorrow())
	if _, again := mergedObject(t, b); !bytes.Equal(object, again) {
		t.Error("the same segments gave other bytes")
	}
	s.Take()
	if r := merge(t, a, tomorrow()); r.New != 0 || r.Existed != 0 || s.Requests().Puts != 0 {
		t.Errorf("again: %+v", r)
	}
	sameLookups(t, a, e, all)
}

func readMerged(t testing.TB, object []byte) (out []index.Row) {
	t.Helper()
	out = readAll(t, object)
	rows, err := parquet.Read[mergedSQLRow](bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		out[i].SegmentFirst, out[i].SegmentSHA16 = wal.LSN(r.SegmentFirst), archive.ShortSum(r.SegmentSHA16)
	}
	return out
}

func sameLookups(t *testing.T, a *archive.Archive, e archive.MergedEntry, all []index.Row) {
	t.Helper()
	c := mustCatalog(t, a)
	for i := 0; i < len(all); i += 1 + len(all)/40 {
		got, err := index.LookupMerged(t.Context(), a, e, all[i].Tenant, all[i].Key)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(c.Segments) {
			t.Fatalf("it has %d segments of %d", len(got), len(c.Segments))
		}
		for _, own := range c.Indexes {
			rows, err := index.Lookup(t.Context(), a, own, all[i].Tenant, all[i].Key)
			if err != nil {
				t.Fatal(err)
			}
			for n := range rows {
				rows[n].SegmentFirst, rows[n].SegmentSHA16 = own.First, own.SHA16
			}
			if diff := gocmp.Diff(rows, got[own.IndexKey]); diff != "" {
				t.Fatalf("%q in %s (-own +merged):\n%s", all[i].Key, own, diff)
			}
		}
	}
	if got, err := index.LookupMerged(t.Context(), a, e, 0, []byte("never written")); err != nil || len(got) != len(c.Segments) {
		t.Errorf("absent: %d segments, %v", len(got), err)
	}
}

// An index that is not right is told and left out, the others are merged; an index
// that belongs to no segment any more is left to retention.
func TestMergeLeavesOut(t *testing.T) {
	segments := history(t, 5, 5)
	a, _ := newArchive(t)
	i := 0
	keys := slices.SortedFunc(func(yield func(archive.SegmentKey) bool) {
		for k := range segments {
			if !yield(k) {
				return
			}
		}
	}, func(x, y archive.SegmentKey) int { return cmp.Compare(x.First, y.First) })
	for _, k := range keys {
		put(t, a, k, segments[k])
		object := encode(t, segments[k])
		switch i++; i {
		case 2: // another segment's
			object = encode(t, segments[keys[0]])
		case 4:
			object[len(object)/3] ^= 1
		}
		putRawKey(t, a, k.Index(), object)
	}
	gone := archive.IndexKey{Timeline: 1, First: 9000, Last: 9001}
	putRawKey(t, a, gone, encode(t, segments[keys[0]]))
	r := merge(t, a, tomorrow())
	if r.New != 1 || r.Indexes != 3 || len(r.Problems) != 2 {
		t.Fatalf("%+v", r)
	}
	e, _ := mergedObject(t, a)
	got, err := index.LookupMerged(t.Context(), a, e, 0, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for n, k := range keys {
		if _, ok := got[k.Index()]; ok == (n == 1 || n == 3) {
			t.Errorf("segment %d is in it: %v", n, ok)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := index.Merge(ctx, a, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := index.Merge(t.Context(), a, &index.MergeOptions{MinIndexes: 1}); err == nil {
		t.Error("one index is merged")
	}
}

func putRawKey(t testing.TB, a *archive.Archive, k archive.Key, object []byte) {
	t.Helper()
	if err := a.Store().Create(t.Context(), a.Key(k), bytes.NewReader(object), int64(len(object))); err != nil {
		t.Fatal(err)
	}
}

// Several groups, and segments with the same LSNs: what fenced writers left stays
// apart from what counts.
func TestMergeGroups(t *testing.T) {
	if testing.Short() {
		t.Skip("180,000 rows")
	}
	const keys, puts = 1000, 60_000
	segments := make(map[archive.SegmentKey][]byte)
	for i := range 3 {
		n := 0
		data, seg := makeSegment(t, func(b *wal.Batch) bool {
			if n == puts {
				return false
			}
			for range puts { // one batch: the log seals when it likes, not within one
				add(t, b, kv.TypePut, 0, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: keyName(n % keys), Value: []byte{byte(i)}}))
				n++
			}
			return true
		})
		segments[keyOf(seg)] = data
	}
	a, s := indexed(t, segments)
	if r := merge(t, a, tomorrow()); r.Rows <= 1<<17 {
		t.Fatalf("%d rows are one row group", r.Rows)
	}
	e, _ := mergedObject(t, a)
	s.Take()
	got, err := index.LookupMerged(t.Context(), a, e, 0, keyName(7))
	if err != nil {
		t.Fatal(err)
	}
	reads, read := s.Requests().Gets, s.Requests().BytesOut
	for k, data := range segments {
		var rows []index.Row
		for _, r := range want(t, data) {
			if bytes.Equal(r.Key, keyName(7)) {
				r.SegmentFirst, r.SegmentSHA16 = k.First, k.SHA16
				rows = append(rows, r)
			}
		}
		if diff := gocmp.Diff(rows, got[k.Index()]); diff != "" || len(rows) < 40 {
			t.Errorf("%s (-scan +merged):\n%s", k, diff)
		}
	}
	t.Logf("%d requests, %d bytes of %d", reads, read, e.Size)
	if reads > 20 || read > 900<<10 {
		t.Errorf("%d requests, %d bytes", reads, read)
	}
}

func goldenSegments(t testing.TB) map[archive.SegmentKey][]byte {
	t.Helper()
	segments := make(map[archive.SegmentKey][]byte)
	for _, name := range []string{"segment.wal", "segment2.wal"} {
		data, err := os.ReadFile("testdata/v1/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r := wal.NewSegmentReader(bytes.NewReader(data), name)
		for err == nil {
			_, err = r.Next()
		}
		segments[keyOf(r.Segment())] = data
	}
	return segments
}

// Merged indexes of version 1 are read for ever, and the same bytes are made of the
// same segments by every program.
func TestMergedGolden(t *testing.T) {
	segments := goldenSegments(t)
	golden, err := os.ReadFile("testdata/v1/merged.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(wantMerged(t, segments), readMerged(t, golden)); diff != "" {
		t.Errorf("rows (-scan +golden):\n%s", diff)
	}
	a, _ := indexed(t, segments)
	merge(t, a, tomorrow())
	if _, object := mergedObject(t, a); !bytes.Equal(object, golden) {
		t.Error("the merged index of the golden segments has other bytes now")
	}
}

// A flipped byte is an error or makes no difference, as in a segment's own index.
func TestLookupMergedDamage(t *testing.T) {
	segments := history(t, 3, 3)
	a, _ := indexed(t, segments)
	merge(t, a, tomorrow())
	e, object := mergedObject(t, a)
	all := wantMerged(t, segments)
	row := all[len(all)/2]
	for at := 0; at < len(object); at += 1 + len(object)/300 {
		b, _ := newArchive(t)
		broken := bytes.Clone(object)
		broken[at] ^= 0x41
		putRawKey(t, b, e.MergedKey, broken)
		if _, err := index.LookupMerged(t.Context(), b, e, row.Tenant, row.Key); err != nil && !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrVersion) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

func FuzzLookupMerged(f *testing.F) {
	object, err := os.ReadFile("testdata/v1/merged.parquet")
	if err != nil {
		f.Fatal(err)
	}
	var keys []archive.IndexKey
	for k := range goldenSegments(f) {
		keys = append(keys, k.Index())
	}
	key, _ := archive.MergedOf(keys)
	f.Add(object, []byte("key001"), 0, byte(0))
	f.Add(object, []byte("key001"), len(object)-100, byte(1))
	f.Add(object[:len(object)/2], []byte("key001"), 4, byte(0x80))
	f.Fuzz(func(t *testing.T, object, wanted []byte, at int, flip byte) {
		a, _ := newArchive(t)
		object = bytes.Clone(object)
		if at >= 0 && at < len(object) {
			object[at] ^= flip
		}
		e := archive.MergedEntry{MergedKey: key, Object: archive.Object{Size: int64(len(object))}}
		putRawKey(t, a, e.MergedKey, object)
		_, err = index.LookupMerged(t.Context(), a, e, 0, wanted)
		if err != nil && !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrVersion) {
			t.Fatal(err)
		}
	})
}
