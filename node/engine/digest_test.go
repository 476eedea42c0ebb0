package engine_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
)

// TestDigestIndependentOfVShards: the same history over 1, 3 and 8 vshards has
// the same digest, and it is the sum that another arithmetic finds.
func TestDigestIndependentOfVShards(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		steps := kit.Steps(rt, 80)
		model := kit.NewModel()
		for _, r := range kit.Records(steps, 1) {
			model.Apply(t, &r)
		}
		want, entries := model.Digest()
		for _, n := range []int{1, 3, 8} {
			var sum engine.Digest
			var readers []engine.Reader
			log := kit.Records(steps, n)
			for id := range n {
				runs++
				v := open(t, s, uint16(id), dirOf(t, runs))
				defer v.Close()
				kit.Apply(t, v, kit.Of(log, uint16(id)), 8)
				if runs%2 == 0 {
					if err := v.Flush(); err != nil {
						rt.Fatal(err)
					}
				}
				snap, err := v.Snapshot()
				if err != nil {
					rt.Fatal(err)
				}
				defer snap.Close()
				readers = append(readers, snap.Reader())
				d, err := snap.Digest(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				sum.Merge(&d)
			}
			if diff := model.Compare(t, readers...); diff != "" {
				rt.Fatalf("%d vshards: %s", n, diff)
			}
			if sum.Sum() != want || sum.Entries() != entries {
				rt.Fatalf("%d vshards: got %s of %d entries, want %x of %d", n, &sum, sum.Entries(), want, entries)
			}
		}
	})
}

// TestDigestOrder: any order, any split, the same sum; one entry more, less or
// other, another one. Carries run through all words.
func TestDigestOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	entries := make([][]byte, 1000)
	for i := range entries {
		entries[i] = []byte{byte(i), byte(i >> 8), byte(rng.Uint32())}
	}
	var want engine.Digest
	for _, e := range entries {
		want.AddEntry(e)
	}
	var a, b engine.Digest
	for i, p := range rng.Perm(len(entries)) {
		if i%3 == 0 {
			a.AddEntry(entries[p])
		} else {
			b.AddEntry(entries[p])
		}
	}
	if a.Sum() == b.Sum() || a.Sum() == want.Sum() {
		t.Error("different sets have equal digests")
	}
	a.Merge(&b)
	if a != want || a.String() != want.String() || a.Entries() != 1000 {
		t.Errorf("got %s, want %s", &a, &want)
	}
}

// The digest is part of what restores are proven by: its bytes are frozen.
func TestDigestGolden(t *testing.T) {
	var d engine.Digest
	if got, want := d.String(), "0000000000000000000000000000000000000000000000000000000000000000"; got != want {
		t.Errorf("empty: got %s", got)
	}
	d.AddEntry([]byte("a"))
	if got, want := d.String(), "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"; got != want {
		t.Errorf("one entry: got %s, want %s", got, want)
	}
	d.AddEntry([]byte("b"))
	// A carry out of the top word is dropped: the sum is modulo 2^256.
	for range 5 {
		d.AddEntry([]byte("a"))
	}
	if got, want := d.String(), "fab1f185bcdfc70a141b7a9804b7da0777e517d605bd03f82378bbcff234b600"; got != want {
		t.Errorf("seven entries: got %s, want %s", got, want)
	}
}
