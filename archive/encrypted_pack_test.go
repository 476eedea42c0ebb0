package archive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// copyOf is a store of its own with the same objects.
func copyOf(t *testing.T, objects map[string]string) archive.Store {
	t.Helper()
	s := memStore(t)
	for key, body := range objects {
		if err := s.Create(t.Context(), key, strings.NewReader(body), int64(len(body))); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// onlyFor checks that all content is encrypted for r.
func onlyFor(t *testing.T, s archive.Store, r *archive.Recipients) {
	t.Helper()
	for key := range objectsOf(t, s) {
		for _, kind := range []string{"/wal/", "/pack/", "/obj/"} {
			if strings.Contains(key, kind) && !strings.Contains(key, "."+r.ID().String()+".") {
				t.Errorf("%s is left", key)
			}
		}
	}
}

// encryptedSmall is an archive of n small segments for a new key.
func encryptedSmall(t *testing.T, n int) (*rig, archive.Store, *archive.Recipients, *archive.Identities) {
	t.Helper()
	pub, id := newKey(t)
	r := newRig(t, n)
	s := memStore(t)
	r.opts.Stores = []archive.StoreConfig{{Store: s}}
	r.opts.Recipients = recipients(t, pub)
	a := r.start()
	r.add(a, r.segs...)
	waitFor(t, a, r.last())
	stop(a)
	return r, s, r.opts.Recipients, id
}

// compactFor merges what id opens, for r.
func compactFor(t *testing.T, s archive.Store, id *archive.Identities, r *archive.Recipients) (*archive.CompactReport, error) {
	t.Helper()
	o := *eager
	o.Recipients = r
	return archive.Compact(t.Context(), reader(t, s, id), &o)
}

// Encrypted segments are merged for whom they are encrypted, by who has a key,
// and by nobody else.
func TestCompactEncrypted(t *testing.T) {
	r, s, to, id := encryptedSmall(t, 8)
	if rep, err := compact(t, s, eager); err != nil || rep.PackN != 0 || rep.Left != 7 {
		t.Fatalf("without recipients: %+v, %v", rep, err)
	}
	if rep, err := compactFor(t, s, nil, to); !errors.Is(err, archive.ErrKeyMissing) || !strings.Contains(err.Error(), to.Strings()[0]) {
		t.Fatalf("without a key: %+v, %v", rep, err)
	}
	other, _ := newKey(t)
	if rep, err := compactFor(t, s, id, recipients(t, other)); err != nil || rep.PackN != 0 || rep.Left != 7 {
		t.Fatalf("for others: %+v, %v", rep, err)
	}
	rep, err := compactFor(t, s, id, to)
	if err != nil || rep.PackN != 1 || rep.Segments != 7 || rep.Deleted != 7 {
		t.Fatalf("compact: %+v, %v", rep, err)
	}
	onlyFor(t, s, to)
	readableBy(t, s, id, r.segs)
	// Who has no key sees what there is, proves the bytes, and is told the key.
	c := catalogOf(t, s)
	if w := c.Windows(); len(w) != 1 || w[0].To != r.last() || len(w[0].Segments) != len(r.segs) || len(c.Packs) != 1 {
		t.Errorf("windows without a key: %+v", w)
	}
	a := openArchive(t, s)
	if err := a.VerifyPack(t.Context(), c.Packs[0]); err != nil {
		t.Errorf("bytes of the pack: %v", err)
	}
	_, serr := a.SegmentInfo(t.Context(), c.Segments[0])
	_, oerr := a.OpenSegment(t.Context(), c.Segments[0])
	for _, err := range []error{serr, oerr} {
		if !errors.Is(err, archive.ErrKeyMissing) || !strings.Contains(err.Error(), to.Strings()[0]) {
			t.Errorf("segment without a key: %v", err)
		}
	}
}

// The encrypted part of a pack is an age file, and no byte of the object may
// change.
func TestEncryptedPackBytes(t *testing.T) {
	_, s, to, id := encryptedSmall(t, 8)
	if _, err := compactFor(t, s, id, to); err != nil {
		t.Fatal(err)
	}
	pack := catalogOf(t, s).Packs[0]
	data := []byte(objectsOf(t, s)[pack.Object.Key])
	tail := int(binary.LittleEndian.Uint32(data[len(data)-16:]))
	if plain, err := age.Decrypt(bytes.NewReader(data[:len(data)-tail]), noIdentity{}); plain != nil || err == nil || !strings.Contains(err.Error(), "did not match any") {
		t.Errorf("the front of a pack is no age file: %v", err)
	}
	for _, at := range []int{0, 100, len(data) / 2, len(data) - tail + 20, len(data) - 20, len(data) - 1} {
		for _, who := range []*archive.Identities{nil, id} {
			bad := bytes.Clone(data)
			bad[at] ^= 2
			objects := objectsOf(t, s)
			objects[pack.Object.Key] = string(bad)
			if err := reader(t, copyOf(t, objects), who).VerifyPack(t.Context(), pack); !errors.Is(err, archive.ErrCorrupt) {
				t.Errorf("byte %d of %d is flipped, key %v: %v", at, len(data), who != nil, err)
			}
		}
	}
}

// noIdentity opens nothing.
type noIdentity struct{}

func (noIdentity) Unwrap([]*age.Stanza) ([]byte, error) { return nil, age.ErrIncorrectIdentity }

// What packs hold is encrypted again with the rest, whenever it stops: first
// plain, then for other keys. All opens for somebody at any time, and in the end
// only for the last.
func TestRewrapPacksDiesAnywhere(t *testing.T) {
	r, s := newSmall(t, 5)
	if _, err := compact(t, s, eager); err != nil {
		t.Fatal(err)
	}
	pub1, id1 := newKey(t)
	pub2, id2 := newKey(t)
	for _, step := range []struct {
		to *archive.Recipients
		id *archive.Identities
	}{{recipients(t, pub1), id1}, {recipients(t, pub1, pub2), id2}} {
		before := objectsOf(t, s)
		opts := &archive.RewrapOptions{Retire: true, Plain: true, Parallel: 1}
		for _, fault := range []archivetest.Fault{archivetest.Fail, archivetest.LostAck, archivetest.Truncated} {
			for n, met := 0, true; met; n++ {
				met = false
				s = copyOf(t, before)
				f := archivetest.NewFaulty(s, func(op archivetest.Op, key string, call int) archivetest.Fault {
					if call != n {
						return archivetest.None
					}
					met = true
					if fault == archivetest.Truncated && op == archivetest.OpCreate && strings.Contains(key, "/keys/") {
						return archivetest.None // half a document stays, and is a problem for ever
					}
					return fault
				})
				_, err := reader(t, f, id1).Rewrap(t.Context(), step.to, opts)
				if err == nil && met && fault == archivetest.Fail {
					t.Errorf("request %d fails, and nobody says so", n)
				}
				eachOpens(t, s, id1, r.segs)
				if _, err := reader(t, s, id1).Rewrap(t.Context(), step.to, opts); err != nil {
					t.Fatalf("%v at request %d, again: %v", fault, n, err)
				}
				onlyFor(t, s, step.to)
				readableBy(t, s, step.id, r.segs)
				if got := len(catalogOf(t, s).Packs); got != 1 {
					t.Errorf("%v at request %d: %d packs", fault, n, got)
				}
			}
		}
	}
}

// Without a retirement both packs are there, each for its readers, and keys
// tells of both.
func TestRewrapPackKeepsBoth(t *testing.T) {
	r, s, to, id := encryptedSmall(t, 8)
	if _, err := compactFor(t, s, id, to); err != nil {
		t.Fatal(err)
	}
	pub2, id2 := newKey(t)
	info, err := reader(t, s, id).Rewrap(t.Context(), recipients(t, pub2), nil)
	if err != nil || info.New != 2 || info.Retired != 0 {
		t.Fatalf("rewrap: %+v, %v", info, err)
	}
	for _, ids := range []*archive.Identities{id, id2} {
		readableBy(t, s, ids, r.segs)
	}
	uses, err := openArchive(t, s).KeyUses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for key, body := range objectsOf(t, s) {
		if strings.HasSuffix(key, ".age") {
			bytes += int64(len(body))
		}
	}
	if len(uses) != 2 {
		t.Fatalf("uses %+v", uses)
	}
	for _, u := range uses {
		want := []archive.KeyRange{{Timeline: 1, From: 1, To: r.last()}}
		if u.Packs != 1 || u.Segments != 1 || len(u.Ranges) != 1 || u.Ranges[0] != want[0] {
			t.Errorf("use %+v, want one pack, one segment, %v", u, want)
		}
		bytes -= u.Bytes
	}
	if bytes != 0 {
		t.Errorf("%d bytes of encrypted objects are nobody's", bytes)
	}
}

// A pack is never served to who may not read it: a plain one serves an
// encrypted segment's content only as what it is.
func TestPackOfOtherReaders(t *testing.T) {
	r, s := newSmall(t, 8)
	if _, err := compact(t, s, &archive.CompactOptions{MinObjects: 3}); err != nil {
		t.Fatal(err)
	}
	pub, id := newKey(t)
	if _, err := reader(t, s, id).Rewrap(t.Context(), recipients(t, pub), &archive.RewrapOptions{Plain: true, Retire: true}); err != nil {
		t.Fatal(err)
	}
	onlyFor(t, s, recipients(t, pub))
	readableBy(t, s, id, r.segs)
	for _, e := range catalogOf(t, s).Segments {
		if body, err := openArchive(t, s).OpenSegment(t.Context(), e); err == nil {
			data, _ := io.ReadAll(body)
			t.Errorf("%s opens without a key: %d bytes", e, len(data))
			_ = body.Close()
		}
	}
}
