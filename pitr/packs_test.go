package pitr

import (
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// packedKit is a history of many small segments, merged.
func packedKit(t *testing.T, o *archive.CompactOptions) (store *memStore, k *kit, ends []wal.LSN) {
	t.Helper()
	store = newMemStore()
	k = newKit(t, t.Context(), store)
	l := k.begin()
	for range 20 {
		ends = append(ends, l.puts(3, "k", "v"))
		l.seal()
	}
	ends = append(ends, l.publish())
	l.end()
	rep, err := archive.Compact(t.Context(), k.arch, o)
	check(t, err)
	if rep.Segments < 20 || !o.DeleteSmall != (rep.Deleted == 0) {
		t.Fatalf("compact: %+v", rep)
	}
	return store, k, ends
}

// A restore from packs gives the same state with fewer requests, at any LSN.
func TestRestoreFromPacks(t *testing.T) {
	store, k, ends := packedKit(t, &archive.CompactOptions{DeleteSmall: true, Grace: -1})
	if got := store.keys("wal/"); len(got) != 1 {
		t.Errorf("segments left: %v, want the newest", got)
	}
	for _, lsn := range ends {
		k.mustRestore(Target{LSN: lsn}, nil)
		k.mustRestore(Target{LSN: lsn - 1}, nil)
	}
	reads := 0
	f := archivetest.NewFaulty(store, func(op archivetest.Op, _ string, _ int) archivetest.Fault {
		if op == archivetest.OpRead {
			reads++
		}
		return archivetest.None
	})
	plan, err := NewPlan(t.Context(), k.over(t, f).archives(), Target{Latest: true})
	check(t, err)
	reads = 0
	_, err = Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), nil))
	check(t, err)
	if plan.Objects != 2 || plan.Requests != reads {
		t.Errorf("the plan says %d objects and %d requests; it was a pack and a segment in %d reads", plan.Objects, plan.Requests, reads)
	}
	reads = 0
	k.over(t, f).mustRestore(Target{Latest: true}, nil)
	if reads > 12 {
		t.Errorf("a restore of %d segments made %d reads, want at most 12", len(ends), reads)
	}
	// Little memory: the pack is read in ranges.
	k.mustRestore(Target{Latest: true}, &Options{MemoryBytes: 1 << 10})
	rep, err := Verify(t.Context(), k.arch, nil)
	if err != nil || !rep.OK() || rep.Segments < 20 {
		t.Errorf("verify: %v, %+v", err, rep)
	}
}

// A segment has two places in one store: where the pack is damaged its own
// object serves, and where that is gone the pack.
func TestPackAndObjectStandInForEachOther(t *testing.T) {
	store, k, _ := packedKit(t, &archive.CompactOptions{})
	plan, err := NewPlan(t.Context(), k.archives(), Target{Latest: true})
	check(t, err)
	for _, key := range store.keys("wal/")[:10] {
		check(t, store.Delete(t.Context(), key)) // behind the plan's back
	}
	res, err := Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), nil))
	check(t, err)
	k.compare(Target{Latest: true}, res)

	store, k, _ = packedKit(t, &archive.CompactOptions{})
	pack := store.keys("pack/")[0]
	store.change(pack, func(b []byte) []byte { b[len(b)/3] ^= 4; return b })
	k.mustRestore(Target{Latest: true}, nil)
	store.change(pack, func(b []byte) []byte { return b[:len(b)/2] })
	k.mustRestore(Target{Latest: true}, nil)
}

// Damage in a pack that is the only place is named, and not taken for a gap.
func TestDamagedPackIsNamed(t *testing.T) {
	store, k, _ := packedKit(t, &archive.CompactOptions{DeleteSmall: true, Grace: -1})
	plan, err := NewPlan(t.Context(), k.archives(), Target{Latest: true})
	check(t, err)
	pack := store.keys("pack/")[0]
	store.change(pack, func(b []byte) []byte { b[len(b)/3] ^= 4; return b })
	_, err = Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), nil))
	if err == nil || ExitCode(err) != 3 || !strings.Contains(err.Error(), pack) {
		t.Errorf("restore from a damaged pack: %v (exit code %d), want 3 and %s", err, ExitCode(err), pack)
	}
}
