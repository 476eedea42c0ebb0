package pitr

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// drillKit is a history with digests in the log and in a base, over two
// timelines: digests of LSN 2 (record), 6 (base) and 12 (record, timeline 2).
func drillKit(t *testing.T) (*kit, *memStore) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	l.put("a", "1")
	l.put("b", "2")
	l.publish() // LSN 3, about 2
	l.seal()
	l.puts(3, "c", "x")
	l.base() // LSN 6
	l.put("a", "3")
	l.put("d", "4")
	l.end()
	fs, res := k.mustRestore(Target{LSN: 7}, nil)
	l = k.adopt(fs, "/data/node", res)
	l.put("e", "5")
	l.publish()
	l.put("f", "6")
	l.end()
	return k, mem
}

func (k *kit) drill(o DrillOptions) (*DrillReport, *vfs.MemFS, error) {
	k.t.Helper()
	fs := vfs.NewMem()
	check(k.t, fs.MkdirAll("/tmp", 0o755))
	o.Dir = "/tmp"
	o.Restore = *k.options(fs, nil)
	r, err := Drill(k.ctx, k.archives(), &o)
	left, lerr := fs.List("/tmp")
	check(k.t, lerr)
	if len(left) != 0 && !o.Keep {
		k.t.Fatalf("the drill leaves %v behind", left)
	}
	return r, fs, err
}

// Every LSN of every timeline is drilled: what is rebuilt is the nearest state
// with a published digest, and it is the model's.
func TestDrillTargets(t *testing.T) {
	k, mem := drillKit(t)
	near := func(lsn wal.LSN) wal.LSN {
		switch {
		case lsn < 6:
			return 2
		case lsn < 9:
			return 6
		}
		return 9
	}
	for at := range k.model {
		r, _, err := k.drill(DrillOptions{Target: &Target{LSN: at.LSN, Timeline: at.Timeline}, Tool: "test 1"})
		check(t, err)
		want := near(at.LSN)
		if r.Verdict != archive.VerdictEqual || r.LSN != want || r.Asked.LSN != at.LSN || (r.Why == "") != (want == at.LSN) {
			t.Errorf("%v: %+v, want LSN %d", at, r, want)
		}
		if model := k.model[Position{Timeline: r.Timeline, LSN: r.LSN}]; model.digest() != r.Digest {
			t.Errorf("%v: digest %s, model %s", at, r.Digest, model.digest())
		}
		proof, err := archive.ReadProof(t.Context(), mem, kitNode, r.ProofInfo.Key())
		if err != nil || proof.Digest != r.Digest || proof.Verdict != archive.VerdictEqual || proof.Tool != "test 1" || len(r.Written) != 1 {
			t.Errorf("%v: proof %+v, %v", at, proof, err)
		}
	}
	if c, err := k.arch.Catalog(t.Context()); err != nil || len(c.Proofs) != len(k.model) || len(c.Foreign) != 0 {
		t.Errorf("catalog holds %d proofs of %d drills, %v, foreign %v", len(c.Proofs), len(k.model), err, c.Foreign)
	}
}

// The same seed draws the same LSN, and seeds together reach all timelines.
func TestDrillRandom(t *testing.T) {
	k, mem := drillKit(t)
	before := len(mem.keys(""))
	asked := make(map[Position]bool)
	for seed := range uint64(24) {
		r, _, err := k.drill(DrillOptions{Seed: seed, NoWrite: true})
		check(t, err)
		again, _, err := k.drill(DrillOptions{Seed: seed, NoWrite: true})
		check(t, err)
		if r.Verdict != archive.VerdictEqual || r.Asked != again.Asked || r.Digest != again.Digest {
			t.Errorf("seed %d: %+v, then %+v", seed, r, again)
		}
		asked[Position{Timeline: r.Asked.Timeline}] = true
	}
	if len(asked) != 2 {
		t.Errorf("24 draws reached timelines %v", asked)
	}
	if n := len(mem.keys("")); n != before {
		t.Errorf("NoWrite: %d objects became %d", before, n)
	}
}

// A node that published a digest which is not that of its log is found out.
func TestDrillLie(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("a", "1")
	lie := wal.Digest{LSN: l.last, Entries: 1}
	raw, err := hex.DecodeString(l.now.digest())
	check(t, err)
	copy(lie.Sum[:], raw)
	lie.Sum[0] ^= 1
	l.control(wal.TypeDigest, lie.Append(nil))
	l.end()
	r, _, err := k.drill(DrillOptions{Target: &Target{Latest: true}})
	check(t, err)
	if r.Verdict != archive.VerdictDifferent || r.Digest != k.model[Position{Timeline: 1, LSN: 1}].digest() || r.Published == r.Digest {
		t.Errorf("%+v", r)
	}
	p, err := archive.ReadProof(t.Context(), k.store, kitNode, r.ProofInfo.Key())
	if err != nil || p.Verdict != archive.VerdictDifferent {
		t.Errorf("proof %+v, %v", p, err)
	}
}

// Without a published digest a drill proves nothing, and says so.
func TestDrillUnproven(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("a", "1")
	l.end()
	r, fs, err := k.drill(DrillOptions{Keep: true})
	check(t, err)
	if r.Verdict != archive.VerdictUnproven || r.Why == "" || r.Published != "" {
		t.Errorf("%+v", r)
	}
	if _, err := fs.Stat(r.Dir); err != nil {
		t.Errorf("kept node: %v", err)
	}
}

// A store that only acknowledges the proof does not hold one; a damaged segment
// is an error that names it, and nothing is left behind.
func TestDrillTrouble(t *testing.T) {
	k, mem := drillKit(t)
	liar := k.over(t, archivetest.NewFaulty(mem.clone(), archivetest.Always(archivetest.FalseAck, archivetest.OpCreate)))
	r, _, err := liar.drill(DrillOptions{})
	if !errors.Is(err, archive.ErrNotFound) || r == nil || len(r.Written) != 0 {
		t.Errorf("acknowledged only: %+v, %v", r, err)
	}
	hurt := mem.clone()
	for _, key := range hurt.keys("wal/") {
		hurt.change(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	}
	for _, key := range hurt.keys("base/") {
		delete(hurt.objects, key)
	}
	if _, _, err := k.over(t, hurt).drill(DrillOptions{Target: &Target{LSN: 5}}); ExitCode(err) != ExitCorrupt {
		t.Errorf("damaged segments: %v", err)
	}
}
