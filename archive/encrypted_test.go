package archive_test

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"io"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// newKey makes a pair of keys.
func newKey(t testing.TB) (public string, private *archive.Identities) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id.Recipient().String(), archive.NewIdentities(id)
}

func recipients(t testing.TB, public ...string) *archive.Recipients {
	t.Helper()
	r, err := archive.ParseRecipients(public...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// reader opens the rig's archive with keys.
func reader(t testing.TB, s archive.Store, ids *archive.Identities) *archive.Archive {
	t.Helper()
	a, err := archive.Open(s, nodeID)
	if err != nil {
		t.Fatal(err)
	}
	return a.WithIdentities(ids)
}

// sameSegments checks that the archive gives back the WAL's segments, and
// their ends, for who holds ids.
func (r *rig) sameSegments(ids *archive.Identities) {
	r.t.Helper()
	a := reader(r.t, r.rec, ids)
	c, err := a.Catalog(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	windows := c.Windows()
	if len(windows) != 1 || len(windows[0].Segments) != len(r.segs) {
		r.t.Fatalf("windows %+v", windows)
	}
	for i, e := range windows[0].Segments {
		body, err := a.OpenSegment(r.t.Context(), e)
		if err != nil {
			r.t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil {
			r.t.Fatal(err)
		}
		if !bytes.Equal(got, readLocal(r.t, r.fs, r.segs[i].Path, r.segs[i].Bytes)) {
			r.t.Errorf("%s gives back other bytes", e)
		}
		info, err := a.SegmentInfo(r.t.Context(), e)
		if err != nil || info.Preamble.First != r.segs[i].First || info.Footer.Last != r.segs[i].Last {
			r.t.Errorf("ends of %s: %+v, %v", e, info, err)
		}
	}
}

// What is archived for recipients opens for each of them, and for nobody else;
// who lacks the key is told which.
func TestEncryptedSegments(t *testing.T) {
	r := newRig(t, 3)
	pub1, id1 := newKey(t)
	pub2, id2 := newKey(t)
	other, stranger := newKey(t)
	r.opts.Recipients = recipients(t, pub1, pub2)
	a := r.start()
	r.add(a, r.segs...)
	waitFor(t, a, r.last())
	r.sameSegments(id1)
	r.sameSegments(id2)
	for _, key := range r.rec.created("/wal/") {
		if !strings.HasSuffix(key, ".age") || !strings.Contains(key, "."+r.opts.Recipients.ID().String()+".") {
			t.Errorf("name %s", key)
		}
		if _, err := age.Decrypt(bytes.NewReader(content(t, r.rec, key))); err == nil || !strings.Contains(err.Error(), "no identities") {
			t.Errorf("%s is no age file: %v", key, err)
		}
	}
	order := r.rec.created("")
	keysAt := slices.IndexFunc(order, func(k string) bool { return strings.Contains(k, "/keys/") })
	firstAt := slices.IndexFunc(order, func(k string) bool { return strings.Contains(k, "/wal/") })
	if keysAt < 0 || keysAt > firstAt {
		t.Errorf("recipients are object %d, the first segment object %d", keysAt, firstAt)
	}
	for name, ids := range map[string]*archive.Identities{"none": nil, "wrong": stranger, "empty": archive.NewIdentities()} {
		a := reader(t, r.rec, ids)
		c, err := a.Catalog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e := c.Segments[0]
		_, err = a.OpenSegment(t.Context(), e)
		_, ierr := a.SegmentInfo(t.Context(), e)
		for _, err := range []error{err, ierr} {
			missing, ok := errors.AsType[*archive.KeyMissingError](err)
			if !ok || !errors.Is(err, archive.ErrKeyMissing) || errors.Is(err, archive.ErrCorrupt) {
				t.Fatalf("%s key: %v", name, err)
			}
			if missing.Recipients != r.opts.Recipients.ID() || !slices.Equal(missing.Needed, r.opts.Recipients.Strings()) ||
				!strings.Contains(err.Error(), pub1) || name == "wrong" && !strings.Contains(err.Error(), other) {
				t.Errorf("%s key: %v", name, err)
			}
		}
	}
}

// A lost answer, then a lost connection: the object of the first attempt is
// found, although nobody here could decrypt it or make it again.
func TestEncryptedLostAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		pub, id := newKey(t)
		r.opts.Recipients = recipients(t, pub)
		hurt := map[wal.LSN]bool{}
		r.store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
			k, _ := archive.ParseKey(strings.TrimPrefix(key, archive.NodePrefix(nodeID)))
			if sk, ok := k.(archive.SegmentKey); ok && op == archivetest.OpCreate && !hurt[sk.First] {
				hurt[sk.First] = true
				return archivetest.LostAck
			}
			return archivetest.None
		})
		a := r.start()
		r.add(a, r.segs...)
		waitFor(t, a, r.last())
		if got := len(r.rec.created("/wal/")); got != 4 {
			t.Errorf("%d segments created, want 4", got)
		}
		r.sameSegments(id)
	})
}

// Law 6. The process dies after any request, and half of what it did not sync
// is lost: whatever the next one counts as archived can be read.
func TestEncryptedKillAnywhere(t *testing.T) {
	pub, id := newKey(t)
	for n := 0; ; n++ {
		steps := true
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 2)
			r.opts.Recipients = recipients(t, pub)
			base, dead := r.store.Calls(), false
			var crashed *vfs.MemFS
			r.store.SetPlan(func(op archivetest.Op, _ string, call int) archivetest.Fault {
				switch {
				case dead:
					return archivetest.Fail
				case call-base < n:
					return archivetest.None
				}
				dead = true
				crashed = r.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: mrand.New(mrand.NewPCG(uint64(n), 1))})
				if op == archivetest.OpCreate {
					return archivetest.LostAck
				}
				return archivetest.Fail
			})
			a := r.start()
			r.add(a, r.segs...)
			time.Sleep(time.Minute)
			synctest.Wait()
			stop(a)
			if steps = dead; !dead {
				return
			}
			r.store.SetPlan(archivetest.Healthy)
			r.fs, r.opts.FS = crashed, crashed
			b := r.start()
			r.add(b, r.segs...)
			waitFor(t, b, r.last())
			if got := len(r.rec.created("/wal/")); got != 2 {
				t.Errorf("killed at request %d: %d segments, want 2", n, got)
			}
			r.sameSegments(id)
		})
		if !steps {
			if n < 10 {
				t.Fatalf("only %d steps", n)
			}
			return
		}
	}
}

// Law 6. The store keeps half of an object, its answer is lost, and so is the
// journal: the half is not taken for the segment, which goes there once more
// under another name.
func TestEncryptedHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		pub, id := newKey(t)
		r.opts.Recipients = recipients(t, pub)
		r.store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
			switch {
			case !strings.Contains(key, "/wal/"):
				return archivetest.None
			case op == archivetest.OpCreate:
				return archivetest.Truncated
			case op == archivetest.OpStat:
				return archivetest.Fail
			}
			return archivetest.None
		})
		a := r.start()
		r.add(a, r.segs...)
		time.Sleep(time.Second)
		stop(a)
		halves := len(r.rec.created("/wal/"))
		if halves < 2 {
			t.Fatalf("%d objects", halves)
		}
		if err := r.fs.Remove(journalPath); err != nil {
			t.Fatal(err)
		}
		r.store.SetPlan(archivetest.Healthy)
		b := r.start()
		r.add(b, r.segs...)
		waitFor(t, b, r.last())
		if got := len(r.rec.created("/wal/")); got != halves+2 {
			t.Errorf("%d objects, want two more than %d", got, halves)
		}
		whole := 0
		c, err := reader(t, r.rec, id).Catalog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Segments {
			if body, err := reader(t, r.rec, id).OpenSegment(t.Context(), e); err == nil {
				if _, err = io.Copy(io.Discard, body); err == nil {
					whole++
				} else if !errors.Is(err, archive.ErrCorrupt) {
					t.Errorf("half an object: %v", err)
				}
				_ = body.Close()
			}
		}
		if whole != 2 {
			t.Errorf("%d whole segments, want 2", whole)
		}
	})
}

// Each changed byte and each cut of an encrypted object is found as damage.
func TestEncryptedDamage(t *testing.T) {
	r := newRig(t, 1)
	pub, id := newKey(t)
	r.opts.Recipients = recipients(t, pub)
	a := r.start()
	r.add(a, r.segs...)
	waitFor(t, a, r.last())
	key := r.rec.created("/wal/")[0]
	k, _ := archive.ParseKey(strings.TrimPrefix(key, archive.NodePrefix(nodeID)))
	good := content(t, r.rec, key)
	whole := readLocal(t, r.fs, r.segs[0].Path, r.segs[0].Bytes)
	open := reader(t, r.rec, id)
	read := func(data []byte) error {
		plain, err := open.Unseal(t.Context(), k, bytes.NewReader(data))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(plain)
		if err == nil && !bytes.Equal(got, whole) {
			t.Fatal("other content without an error")
		}
		return err
	}
	if err := read(good); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 1 + len(good)/400 {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		// A changed header may as well be one for somebody else.
		if err := read(bad); !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrKeyMissing) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if err := read(good[:i]); !errors.Is(err, archive.ErrCorrupt) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	endless := io.MultiReader(strings.NewReader("age-encryption.org/v1\n"), repeated("-> x y\n\n"))
	if _, err := open.Unseal(t.Context(), k, endless); !errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("a header without an end: %v", err)
	}
}

// repeated is text without an end.
type repeated string

func (r repeated) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= len(r) {
		n += copy(p[n:], r)
	}
	return n, nil
}

// A writer that lost its recipients does not go on in plain by accident.
func TestEncryptedStaysEncrypted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		pub, _ := newKey(t)
		r.opts.Recipients = recipients(t, pub)
		a := r.start()
		r.add(a, r.segs[0])
		waitFor(t, a, r.segs[0].Last)
		stop(a)
		r.opts.Recipients = nil
		b := r.start()
		r.add(b, r.segs...)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(r.rec.created("/wal/")); got != 1 || b.Archived() >= r.segs[1].First {
			t.Errorf("%d segments, archived up to %d", got, b.Archived())
		}
		if st := b.Status(); !strings.Contains(st.Stores[0].LastError, "encrypted") {
			t.Errorf("status %+v", st.Stores[0])
		}
		stop(b)
		r.opts.AllowPlain = true
		c := r.start()
		r.add(c, r.segs...)
		waitFor(t, c, r.last())
	})
}

// Ranges of a large encrypted object cost few requests and few bytes.
func TestEncryptedRanges(t *testing.T) {
	rec := newRecorder(t)
	pub, id := newKey(t)
	data := make([]byte, 5<<20+12345)
	_, _ = rand.Read(data)
	k := putSealed(t, rec, recipients(t, pub), data)
	counted := archivetest.NewFaulty(rec, nil)
	st, err := rec.Stat(t.Context(), archive.Join(nodeID, k))
	if err != nil {
		t.Fatal(err)
	}
	s, err := reader(t, counted, id).OpenSealed(t.Context(), k, st.Size)
	if err != nil {
		t.Fatal(err)
	}
	ends := counted.Calls()
	for _, off := range []int64{0, s.Size() - 4000} {
		p := make([]byte, 4000)
		if _, err := s.ReadAt(p, off); err != nil || !bytes.Equal(p, data[off:off+4000]) {
			t.Fatalf("read at %d: %v", off, err)
		}
	}
	if ends != 2 || counted.Calls() != 2 {
		t.Errorf("%d requests to open, %d with both ends read; want 2", ends, counted.Calls())
	}
	p := make([]byte, 100)
	if _, err := s.ReadAt(p, 2<<20); err != nil || !bytes.Equal(p, data[2<<20:2<<20+100]) {
		t.Fatalf("read in the middle: %v", err)
	}
	if counted.Calls() != 3 {
		t.Errorf("a frame in the middle took %d requests", counted.Calls()-2)
	}
	rnd := mrand.New(mrand.NewPCG(1, 2))
	for range 50 {
		off := rnd.Int64N(s.Size())
		p := make([]byte, min(rnd.Int64N(200_000), s.Size()-off))
		if _, err := s.ReadAt(p, off); err != nil || !bytes.Equal(p, data[off:off+int64(len(p))]) {
			t.Fatalf("read %d at %d: %v", len(p), off, err)
		}
	}
}

// putSealed stores data as an encrypted object, the way that another program
// would.
func putSealed(t *testing.T, s archive.Store, r *archive.Recipients, data []byte) archive.ObjKey {
	t.Helper()
	var out bytes.Buffer
	pub, err := age.ParseX25519Recipient(r.Strings()[0])
	if err != nil {
		t.Fatal(err)
	}
	enc, err := age.Encrypt(&out, pub)
	if err != nil {
		t.Fatal(err)
	}
	info, err := archive.Seal(enc, bytes.NewReader(data))
	if err := errors.Join(err, enc.Close()); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum(out.Bytes())
	k := archive.ObjKey{SHA256: info.SHA256, Zstd: true, Age: archive.Age{Recipients: r.ID(), MD5: archive.ShortSum(sum[:8])}}
	if err := s.Create(t.Context(), archive.Join(nodeID, k), bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
		t.Fatal(err)
	}
	return k
}
