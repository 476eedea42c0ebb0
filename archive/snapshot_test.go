package archive_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

func writeSnapshot(t *testing.T, a *archive.Archive) archive.CatalogKey {
	t.Helper()
	k, _, err := archive.WriteSnapshot(t.Context(), a, &archive.SnapshotOptions{Clock: func() time.Time { return catalogBegin }})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func readObject(t *testing.T, s archive.Store, key string) []byte {
	t.Helper()
	body, err := s.ReadRange(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// sameCatalog ignores what only tells where a catalog comes from.
func sameCatalog() cmp.Options {
	return cmp.Options{cmpopts.IgnoreUnexported(archive.Catalog{}), cmpopts.IgnoreFields(archive.Catalog{}, "Snapshot", "Unlisted"),
		cmpopts.IgnoreFields(archive.SegmentEntry{}, "Bounds"), cmpopts.IgnoreFields(archive.Object{}, "MD5"),
		cmpopts.IgnoreFields(archive.Catalog{}, "Catalogs")}
}

// A catalog made with a snapshot is the one that a listing gives, also for what
// came later; and a snapshot that was destroyed is rebuilt byte for byte.
func TestSnapshotIsTheListing(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	r.segments(1, 1, 1, map[wal.LSN]string{7: "seven"}, 5, 10, 15)
	a := r.open()
	k := writeSnapshot(t, a)
	first := readObject(t, r.store, archive.Join(nodeID, k))
	if err := r.store.Delete(t.Context(), archive.Join(nodeID, k)); err != nil {
		t.Fatal(err)
	}
	if again := writeSnapshot(t, a); again != k || !bytes.Equal(first, readObject(t, r.store, archive.Join(nodeID, again))) {
		t.Errorf("rebuilt as %s, not byte for byte", again)
	}
	r.epoch(2, 1, 0, 0, 13)
	r.segments(1, 2, 13, nil, 20)
	full := r.catalog()
	for _, use := range []archive.SnapshotUse{archive.SnapshotContents, archive.SnapshotNames} {
		got, err := a.CatalogWith(t.Context(), use)
		if err != nil || got.Snapshot == nil || got.Snapshot.Objects != 3 {
			t.Fatalf("use %d: %+v, %v", use, got.Snapshot, err)
		}
		if diff := cmp.Diff(full, got, sameCatalog()); diff != "" {
			t.Errorf("use %d (-listing +snapshot):\n%s", use, diff)
		}
		points, err := a.Points(t.Context(), got.Windows(), "seven")
		if b := got.Segments[1].Bounds; err != nil || b == nil || b.FirstTime != timeOf(6).UnixMicro() || len(points) != 1 || points[0].LSN != 7 {
			t.Errorf("use %d: bounds %+v, points %v, %v", use, b, points, err)
		}
	}
	// A second snapshot has the next number; the first is left as it is.
	if next := writeSnapshot(t, a); next.Seq != k.Seq+1 {
		t.Errorf("second snapshot is %s", next)
	}
}

// A damaged snapshot, at whatever byte, is a problem that is named, never
// another catalog.
func TestSnapshotDamage(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	r.segments(1, 1, 1, nil, 3, 6)
	a := r.open()
	key := archive.Join(nodeID, writeSnapshot(t, a))
	good := readObject(t, r.store, key)
	full := r.catalog()
	for at := 0; at < len(good); at += 11 {
		bad := slices.Clone(good)
		bad[at] ^= 1 << (at % 8)
		if err := r.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		r.put(key, bad)
		got, err := a.CatalogWith(t.Context(), archive.SnapshotNames)
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		if got.Snapshot == nil && (len(got.Problems) != 1 || !strings.Contains(got.Problems[0].Error(), key)) {
			t.Errorf("byte %d: problems %v", at, got.Problems)
		}
		got.Problems = nil
		if diff := cmp.Diff(full, got, sameCatalog()); diff != "" {
			t.Errorf("byte %d (-listing +snapshot):\n%s", at, diff)
		}
	}
}
