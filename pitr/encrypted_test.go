package pitr

import (
	"context"
	"crypto/md5"
	"errors"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/nodedb-go/nodedb/archive"
)

func newKey(t *testing.T) (*archive.Recipients, *archive.Identities) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	check(t, err)
	r, err := archive.ParseRecipients(id.Recipient().String())
	check(t, err)
	return r, archive.NewIdentities(id)
}

// with is the kit for a reader who holds ids.
func (k *kit) with(ids *archive.Identities) *kit {
	c := *k
	c.arch = k.arch.WithIdentities(ids)
	return &c
}

// encryptedKit is a history with a base and packs, all of it encrypted for one
// key: after the fact, so that every kind of object went through a rewrap.
func encryptedKit(t *testing.T) (k *kit, l *life, r *archive.Recipients, id *archive.Identities) {
	t.Helper()
	mem := newMemStore()
	k = newKit(t, t.Context(), mem)
	l = k.begin()
	for i := range 16 {
		l.puts(3, "k", "v")
		if i == 9 {
			l.base()
		}
		if i%5 == 1 {
			l.publish()
		}
		l.seal()
	}
	l.publish()
	l.seal()
	rep, err := archive.Compact(t.Context(), k.arch, &archive.CompactOptions{DeleteSmall: true, Grace: -1})
	check(t, err)
	if rep.PackN != 1 {
		t.Fatalf("compact: %+v", rep)
	}
	r, id = newKey(t)
	_, err = k.arch.Rewrap(t.Context(), r, &archive.RewrapOptions{Plain: true, Retire: true})
	check(t, err)
	for _, kind := range []string{"wal/", "pack/", "obj/"} {
		keys := mem.keys(kind)
		for _, key := range keys {
			if !strings.HasSuffix(key, ".age") {
				t.Errorf("%s is not encrypted", key)
			}
		}
		if len(keys) == 0 {
			t.Fatalf("no %s", kind)
		}
	}
	return k, l, r, id
}

// What was encrypted after the fact is restored, in much memory and in little,
// drilled and proven; who has no key, or another, is told which one is missing.
func TestEncryptedHistory(t *testing.T) {
	k, l, r, id := encryptedKit(t)
	holder := k.with(id)
	for at := range k.model {
		holder.mustRestore(Target{LSN: at.LSN}, nil)
	}
	plan, err := NewPlan(t.Context(), holder.archives(), Target{Latest: true})
	if err != nil || len(plan.MissingKeys) != 0 {
		t.Errorf("plan with the key: %+v, %v", plan, err)
	}
	holder.mustRestore(Target{Latest: true}, &Options{MemoryBytes: 1 << 10})
	for seed := range uint64(4) {
		rep, _, err := holder.drill(DrillOptions{Seed: seed})
		if err != nil || rep.Verdict != archive.VerdictEqual {
			t.Errorf("drill: %+v, %v", rep, err)
		}
	}
	_, stranger := newKey(t)
	for name, ids := range map[string]*archive.Identities{"no": nil, "another": stranger} {
		other := k.with(ids)
		_, perr := NewPlan(t.Context(), other.archives(), Target{Latest: true})
		_, _, derr := other.drill(DrillOptions{})
		_, werr := Windows(t.Context(), other.archives()) // their times are in the segments
		for what, err := range map[string]error{"plan": perr, "drill": derr, "windows": werr} {
			if !errors.Is(err, archive.ErrKeyMissing) || !strings.Contains(err.Error(), r.Strings()[0]) {
				t.Errorf("%s with %s key: %v", what, name, err)
			}
		}
	}
	// A plan that can be made without a key says which one the restore needs.
	l.put("plain", "again")
	l.end()
	plan, err = NewPlan(t.Context(), k.archives(), Target{Latest: true})
	check(t, err)
	if len(plan.MissingKeys) != 1 || plan.MissingKeys[0].ID != r.ID().String() || !slices.Equal(plan.MissingKeys[0].Recipients, r.Strings()) {
		t.Errorf("missing keys: %+v", plan.MissingKeys)
	}
	if _, err = Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), nil)); !errors.Is(err, archive.ErrKeyMissing) {
		t.Errorf("restore: %v", err)
	}
}

// sums reports MD5 as object stores do.
type sums struct{ *memStore }

func (s sums) Stat(ctx context.Context, key string) (archive.Object, error) {
	o, err := s.memStore.Stat(ctx, key)
	sum := md5.Sum(s.objects[key])
	o.MD5 = sum[:]
	return o, err
}

// Every encrypted object is verified: in full with the key, by its bytes without
// one, and by the sum that the store reports.
func TestEncryptedVerify(t *testing.T) {
	k, l, _, id := encryptedKit(t)
	l.end()
	mem, _ := k.store.(*memStore)
	total := len(mem.keys("wal/")) + len(mem.keys("pack/")) + len(mem.keys("obj/"))
	k = k.over(t, sums{mem})
	rep, err := Verify(t.Context(), k.arch.WithIdentities(id), nil)
	if err != nil || !rep.OK() || rep.Segments != 17 || rep.Packs != 1 || rep.Unopened != 0 {
		t.Errorf("with the key: %+v, %v", rep, err)
	}
	rep, err = Verify(t.Context(), k.arch, nil)
	if err != nil || !rep.OK() || rep.Unopened != total {
		t.Errorf("without: %+v, %v, want %d unopened", rep, err, total)
	}
	_, stranger := newKey(t)
	wrong := k.arch.WithIdentities(stranger)
	rep, err = Verify(t.Context(), wrong, &VerifyOptions{Ledger: k.arch})
	if err != nil || len(rep.Problems) != total {
		t.Errorf("with another: %+v, %v, want %d problems", rep, err, total)
	}
	if l, err := k.arch.LoadLedger(t.Context()); err != nil || len(l.Lines) != 0 {
		t.Errorf("what could not be opened is in the ledger: %+v, %v", l, err)
	}
	for _, a := range []*archive.Archive{k.arch, k.arch.WithIdentities(id), wrong} {
		rep, err = Verify(t.Context(), a, &VerifyOptions{Fast: true})
		if err != nil || !rep.OK() || rep.Compared != total {
			t.Errorf("fast: %+v, %v, want %d compared", rep, err, total)
		}
	}
	for _, kind := range []string{"wal/", "pack/", "obj/"} {
		key := mem.keys(kind)[0]
		good := mem.objects[key]
		mem.change(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		for _, o := range []*VerifyOptions{nil, {Fast: true}} {
			for _, ids := range []*archive.Identities{nil, id} {
				rep, err := Verify(t.Context(), k.arch.WithIdentities(ids), o)
				if err != nil || len(rep.Problems) != 1 || rep.Problems[0].Key != key {
					t.Errorf("%s damaged: %+v, %v", key, rep, err)
				}
			}
		}
		mem.change(key, func([]byte) []byte { return good })
	}
}

// A pack is verified although each segment in it has its own object too.
func TestVerifyPackBesideObjects(t *testing.T) {
	store, k, _ := packedKit(t, &archive.CompactOptions{})
	pack := store.keys("pack/")[0]
	rep, err := Verify(t.Context(), k.arch, nil)
	if err != nil || !rep.OK() || rep.Packs != 1 || rep.Segments != len(store.keys("wal/")) {
		t.Errorf("verify: %+v, %v", rep, err)
	}
	store.change(pack, func(b []byte) []byte { b[len(b)/3] ^= 4; return b })
	rep, err = Verify(t.Context(), k.arch, nil)
	if err != nil || len(rep.Problems) != 1 || rep.Problems[0].Key != pack || rep.Packs != 0 {
		t.Errorf("verify of a damaged pack: %+v, %v", rep, err)
	}
}
