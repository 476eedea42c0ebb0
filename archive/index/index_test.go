package index_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// The rows are those of a scan, in order; and what Lookup finds of each key are
// the rows of that key, whatever their record.
func TestIndexIsScan(t *testing.T) {
	for _, records := range []int{1, 30, 3000} {
		seed := rand.Uint64()
		t.Logf("seed %d, %d records", seed, records)
		data, seg := random(t, seed, records)
		all := want(t, data)
		object := encode(t, data)
		if diff := cmp.Diff(all, readAll(t, object)); diff != "" {
			t.Fatalf("rows (-scan +index):\n%s", diff)
		}
		a, _ := newArchive(t)
		entry := put(t, a, keyOf(seg), data)
		built, err := index.Build(t.Context(), a, entry, options)
		if err != nil || built.Existed || built.Rows != len(all) {
			t.Fatalf("Build: %+v, %v; want %d rows", built, err, len(all))
		}
		if !bytes.Equal(object, stored(t, a, built.Key)) {
			t.Fatal("Build and Encode differ")
		}
		lookups(t, a, built, all)
		records, err := index.OpenRecords(t.Context(), a, entry)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(all); i += 1 + len(all)/50 {
			sameRecord(t, records, all[i])
		}
	}
}

func lookups(t *testing.T, a *archive.Archive, built index.Built, all []index.Row) {
	t.Helper()
	e := archive.IndexEntry{IndexKey: built.Key, Object: archive.Object{Size: built.Bytes}}
	step := 1 + len(all)/200
	for from := 0; from < len(all); {
		same := func(r index.Row) bool { return r.Tenant == all[from].Tenant && bytes.Equal(r.Key, all[from].Key) }
		to := from
		for to < len(all) && same(all[to]) {
			to++
		}
		if from%step == 0 || to-from > 20 {
			got, err := index.Lookup(t.Context(), a, e, all[from].Tenant, all[from].Key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(all[from:to], got); diff != "" {
				t.Fatalf("Lookup of %q of tenant %d (-scan +index):\n%s", all[from].Key, all[from].Tenant, diff)
			}
			for _, absent := range [][]byte{append(bytes.Clone(all[from].Key), 0), []byte("kez"), {0}} {
				held := slices.ContainsFunc(all, func(r index.Row) bool { return r.Tenant == all[from].Tenant && bytes.Equal(r.Key, absent) })
				if got, err := index.Lookup(t.Context(), a, e, all[from].Tenant, absent); err != nil || !held && len(got) > 0 {
					t.Fatalf("Lookup of absent %q: %v, %v", absent, got, err)
				}
			}
		}
		from = to
	}
}

// sameRecord reads the record of a row at its offset.
func sameRecord(t *testing.T, records *index.Records, row index.Row) {
	t.Helper()
	rec, err := records.Record(row)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(row, rowsOf(t, rec, row.Offset)[row.Part]); diff != "" {
		t.Fatalf("row and record at its offset (-row +record):\n%s", diff)
	}
}

// Law 7: one segment has one index, however often, late and concurrently it is
// made, and nothing of it depends on when or where.
func TestSameSegmentSameBytes(t *testing.T) {
	data, seg := random(t, 7, 500)
	first := encode(t, data)
	for range 3 {
		if !bytes.Equal(first, encode(t, data)) {
			t.Fatal("two indexes of one segment differ")
		}
	}
	a, s := newArchive(t)
	entry := put(t, a, keyOf(seg), data)
	s.Take()
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			_, err := index.Build(context.Background(), a, entry, options)
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	tried := s.Requests().Puts
	again, err := index.Build(t.Context(), a, entry, options)
	if err != nil || !again.Existed || s.Requests().Puts != tried {
		t.Errorf("again: %+v, %v; %d creates, want none", again, err, s.Requests().Puts-tried)
	}
	if !bytes.Equal(first, stored(t, a, again.Key)) {
		t.Error("what is stored is another index")
	}
}

// The object says all that a reader needs, and nothing of the program that
// happened to write it.
func TestMetadata(t *testing.T) {
	data, seg := random(t, 3, 50)
	object := encode(t, data)
	f, err := parquet.OpenFile(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Metadata().CreatedBy; got != "nodedb version 1(build index)" {
		t.Errorf("created by %q", got)
	}
	for k, v := range map[string]string{"nodedb.index.version": "1", "nodedb.node": nodeID,
		"nodedb.segment": seg.Timeline.Hex() + "/" + seg.First.Hex() + "-" + seg.Last.Hex()} {
		if got, _ := f.Lookup(k); got != v {
			t.Errorf("metadata %s is %q, want %q", k, got, v)
		}
	}
	group := f.Metadata().RowGroups[0]
	if len(group.SortingColumns) != 4 || group.SortingColumns[0].ColumnIdx != 0 || group.SortingColumns[2].ColumnIdx != 2 {
		t.Errorf("sorting columns %+v", group.SortingColumns)
	}
	if group.Columns[1].MetaData.BloomFilterOffset == 0 {
		t.Error("there is no Bloom filter")
	}
	if s := f.Schema().String(); !bytes.Contains([]byte(s), []byte("time (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS))")) {
		t.Errorf("schema:\n%s", s)
	}
}

// Several row groups, several pages, several tenants in one page: few bytes are
// read for one key, and fewer for none.
func TestLookupReadsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("300,000 rows")
	}
	const keys = 110_000
	n := 0
	value := bytes.Repeat([]byte{1}, 16)
	data, seg := makeSegment(t, func(b *wal.Batch) bool {
		if n > 0 {
			return false
		}
		for range 2 * keys { // one batch: the log seals when it likes, not within one
			id := (n * 7919) % keys
			add(t, b, kv.TypePut, uint32(n/keys), kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: keyName(id), Value: value}))
			n++
		}
		return true
	})
	a, s := newArchive(t)
	built, err := index.Build(t.Context(), a, put(t, a, keyOf(seg), data), options)
	if err != nil {
		t.Fatal(err)
	}
	if built.Rows <= 1<<17 {
		t.Fatalf("%d rows are one row group", built.Rows)
	}
	e := archive.IndexEntry{IndexKey: built.Key, Object: archive.Object{Size: built.Bytes}}
	look := func(tenant uint32, key []byte, rows []index.Row, readsMax int, bytesMax int64) {
		t.Helper()
		s.Take()
		got, err := index.Lookup(t.Context(), a, e, tenant, key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rows, got); diff != "" {
			t.Fatalf("Lookup of %q (-scan +index):\n%s", key, diff)
		}
		t.Logf("%d rows of %q: %d requests, %d bytes of %d (segment: %d)", len(rows), key, s.Requests().Gets, s.Requests().BytesOut, built.Bytes, len(data))
		if s.Requests().Gets > readsMax || s.Requests().BytesOut > bytesMax {
			t.Errorf("%d requests, %d bytes; want at most %d, %d", s.Requests().Gets, s.Requests().BytesOut, readsMax, bytesMax)
		}
	}
	all := want(t, data)
	for _, i := range []int{0, 1, len(all) / 2, 1 << 17, len(all) - 1} {
		same := func(r index.Row) bool { return r.Tenant == all[i].Tenant && bytes.Equal(r.Key, all[i].Key) }
		look(all[i].Tenant, all[i].Key, all[slices.IndexFunc(all, same):][:1], 20, 900<<10)
	}
	look(2, keyName(1), nil, 1, 64<<10)
	look(0, []byte("zzz"), nil, 1, 64<<10)
	look(1, append(keyName(4), '!'), nil, 6, 128<<10)
}

func keyName(id int) []byte {
	return []byte("user:" + string(rune('a'+id%26)) + ":" + wal.LSN(id).Hex())
}

// What is not a whole, right segment gets no index, and the error says which
// kind of trouble it is.
func TestBuildRefuses(t *testing.T) {
	data, seg := random(t, 5, 40)
	k := keyOf(seg)
	broken := bytes.Clone(data)
	broken[len(broken)/2] ^= 1
	moved := k
	moved.Last++
	foreign, foreignSeg := makeSegment(t, fillOnce(func(b *wal.Batch) { add(t, b, 0x8fff, 0, []byte("x")) }))
	for name, c := range map[string]struct {
		key  archive.SegmentKey
		data []byte
		want error
	}{
		"damaged":            {k, broken, archive.ErrCorrupt},
		"cut":                {k, data[:len(data)-10], archive.ErrCorrupt},
		"longer":             {k, append(bytes.Clone(data), 0), archive.ErrCorrupt},
		"under another name": {moved, data, archive.ErrCorrupt},
		"unknown record":     {keyOf(foreignSeg), foreign, kv.ErrNewer},
	} {
		a, s := newArchive(t)
		entry := put(t, a, c.key, c.data)
		s.Take()
		if _, err := index.Build(t.Context(), a, entry, options); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
		if s.Requests().Puts != 0 {
			t.Errorf("%s: an index was written", name)
		}
	}
	a, _ := newArchive(t)
	absent := archive.SegmentEntry{SegmentKey: k, Object: archive.Object{Key: a.Key(k)}}
	if _, err := index.Build(t.Context(), a, absent, options); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
}

func fillOnce(fill func(b *wal.Batch)) func(b *wal.Batch) bool {
	done := false
	return func(b *wal.Batch) bool {
		if done {
			return false
		}
		fill(b)
		done = true
		return true
	}
}

// A flipped byte in an index is an error or makes no difference to what is
// found, except in what carries no checksum in Parquet: footer, page index and
// Bloom filter. Nothing panics.
func TestLookupDamage(t *testing.T) {
	data, seg := random(t, 11, 200)
	all := want(t, data)
	object := encode(t, data)
	row := all[len(all)/2]
	for at := 0; at < len(object); at += 1 + len(object)/400 {
		a, _ := newArchive(t)
		broken := bytes.Clone(object)
		broken[at] ^= 0x41
		k := keyOf(seg).Index()
		if err := a.Store().Create(t.Context(), a.Key(k), bytes.NewReader(broken), int64(len(broken))); err != nil {
			t.Fatal(err)
		}
		e := archive.IndexEntry{IndexKey: k, Object: archive.Object{Size: int64(len(broken))}}
		if _, err := index.Lookup(t.Context(), a, e, row.Tenant, row.Key); err != nil && !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrVersion) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}
