package index_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/wal"
)

// Law 7: whatever is missing is made, what is there is left alone, what cannot be
// indexed is told and stops nothing else.
func TestCatchUp(t *testing.T) {
	a, s := newArchive(t)
	var first archive.SegmentEntry
	for seed := range uint64(3) {
		data, seg := random(t, seed, 20+10*int(seed))
		k := keyOf(seg)
		e := put(t, a, k, data)
		if seed == 0 {
			first = e
		}
	}
	if _, err := index.Build(t.Context(), a, first, options); err != nil {
		t.Fatal(err)
	}
	data, seg := random(t, 9, 30)
	broken := keyOf(seg)
	broken.SHA16[0] ^= 1
	put(t, a, broken, data)
	sum, err := index.CatchUp(t.Context(), a, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Segments != 3 || sum.Indexed != 2 || sum.Rows == 0 || len(sum.Problems) != 1 || sum.Problems[0].Key != a.Key(broken) {
		t.Errorf("%+v", sum)
	}
	s.Take()
	again, err := index.CatchUp(t.Context(), a, options, nil)
	if err != nil || again.Segments != 1 || again.Indexed != 0 || s.Requests().Puts != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := index.CatchUp(ctx, a, options, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// An index of an encrypted segment would tell its keys to everybody, so it is
// made only where that is said, by who can open the segment, and is that of the
// same segment in plain.
func TestEncrypted(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := archive.ParseRecipients(id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	data, seg := random(t, 4, 30)
	var sealed bytes.Buffer
	if _, err := archive.SealFor(&sealed, bytes.NewReader(data), to); err != nil {
		t.Fatal(err)
	}
	k := keyOf(seg)
	k.Age = archive.Age{Recipients: to.ID(), MD5: archive.ShortSum{1}}
	a, s := newArchive(t)
	entry := putRaw(t, a, k, sealed.Bytes())
	s.Take()
	opened := a.WithIdentities(archive.NewIdentities(id))
	reveal := &index.Options{Decode: options.Decode, RevealEncrypted: true}
	if _, err := index.Build(t.Context(), opened, entry, options); !errors.Is(err, index.ErrEncrypted) {
		t.Errorf("not allowed: %v", err)
	}
	if _, err := index.Build(t.Context(), a, entry, reveal); !errors.Is(err, archive.ErrKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
	if sum, err := index.CatchUp(t.Context(), opened, options, nil); err != nil || sum.Encrypted != 1 || len(sum.Problems) != 0 {
		t.Errorf("catch up: %+v, %v", sum, err)
	}
	if s.Requests().Puts != 0 {
		t.Fatal("an index was written")
	}
	b, err := index.Build(t.Context(), opened, entry, reveal)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(t, data), stored(t, a, b.Key)) {
		t.Error("the index of the encrypted segment differs from that of the plain one")
	}
	records, err := index.OpenRecords(t.Context(), opened, entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range want(t, data) {
		sameRecord(t, records, row)
	}
}

// A segment that only a pack holds any more is indexed like its own object.
func TestPacked(t *testing.T) {
	a, _ := newArchive(t)
	data := map[archive.IndexKey][]byte{}
	at := wal.LSN(1)
	for seed := range uint64(4) {
		d, seg := randomFrom(t, seed, 25, at)
		at = seg.Last + 1
		put(t, a, keyOf(seg), d)
		data[keyOf(seg).Index()] = d
	}
	if _, err := archive.Compact(t.Context(), a, &archive.CompactOptions{MinObjects: 2}); err != nil {
		t.Fatal(err)
	}
	c, err := a.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	packed := 0
	for _, s := range c.Segments {
		if s.Packed == nil {
			continue
		}
		packed++
		s.PackedOnly = true
		b, err := index.Build(t.Context(), a, s, options)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, data[b.Key]), stored(t, a, b.Key)) {
			t.Errorf("%s: the index from the pack differs", s)
		}
		records, err := index.OpenRecords(t.Context(), a, s)
		if err != nil {
			t.Fatal(err)
		}
		rows := want(t, data[b.Key])
		sameRecord(t, records, rows[len(rows)/2])
	}
	if packed < 2 {
		t.Errorf("%d segments are in a pack", packed)
	}
	if diff := cmp.Diff(4-packed, len(index.Missing(mustCatalog(t, a)))); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func mustCatalog(t testing.TB, a *archive.Archive) *archive.Catalog {
	t.Helper()
	c, err := a.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
