package pitr

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// lateWriter is an archive in which a fenced writer's uploads arrived late:
//
//	epoch 1   1-2 uploaded   3-6 and 7-8 sealed, in flight
//	epoch 2   began from a copy of the disk as it was at LSN 4, writes 5-8
//	          uploads 3-4 (if ownSegment) and 5-8
//	then 3-6 and 7-8 of epoch 1 arrive
func lateWriter(t *testing.T, ownSegment bool) (*kit, *memStore) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	one := k.begin()
	one.put("a", "1")
	one.put("b", "2")
	one.seal()
	one.put("a", "3")
	one.put("b", "4")
	two := &life{k: k, dir: one.dir, now: one.now, last: one.last, epoch: one.epoch, known: archive.NewKnownObjects(),
		fs: one.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})}
	one.put("a", "5, never acknowledged by the one who counts")
	one.put("b", "6, likewise")
	var late []wal.Segment
	hold := func() {
		_, _, err := one.log.Seal(t.Context())
		check(t, err)
		late, one.sealed = append(late, one.sealed...), nil
	}
	hold()
	one.put("c", "7")
	one.put("d", "8")
	hold()

	two.open(archive.Claim{Timeline: 1})
	two.put("a", "five")
	two.put("b", "six")
	two.del("a")
	two.put("e", "eight")
	recovered := two.log.Segments()[1]
	if recovered.First != 3 || recovered.Last != 4 {
		t.Fatalf("recovered segment: %+v", recovered)
	}
	if ownSegment {
		two.upload(recovered)
	}
	two.end()
	for _, s := range late {
		one.upload(s)
	}
	one.end()
	return k, mem
}

// Records that a fenced epoch wrote behind the start of the next one are not
// history: whether the predecessor is there whole or must be cut out of the late
// segment, and whether the epoch object can be read or not. Law 8.
func TestDeadEpoch(t *testing.T) {
	for _, own := range []bool{true, false} {
		for _, object := range []string{"whole", "damaged", "missing"} {
			k, mem := lateWriter(t, own)
			key := k.arch.Key(archive.EpochKey{Epoch: 2})
			switch object {
			case "damaged":
				mem.change(key, func(b []byte) []byte { return b[:len(b)/2] })
			case "missing":
				delete(mem.objects, key)
			}
			for lsn := wal.LSN(1); lsn <= 8; lsn++ {
				_, res := k.mustRestore(Target{LSN: lsn}, nil)
				if res.Reached.LSN != lsn {
					t.Errorf("own segment %v, epoch object %s: reached %v, want %d", own, object, res.Reached, lsn)
				}
			}
			d, err := Describe(t.Context(), k.archives())
			check(t, err)
			if got := d.Timelines[0].Dead; got != 1 {
				t.Errorf("own segment %v, epoch object %s: %d dead segments, want 1", own, object, got)
			}
		}
	}
}

// Two segments of one epoch that hold the same LSNs: nothing says which is
// history, so what needs them is refused, and nothing else.
func TestClash(t *testing.T) {
	k, mem := small(t)
	_, other := small(t)
	twin := other.keys("wal/")[1]
	mem.objects[twin] = other.objects[twin]
	_, err := NewPlan(t.Context(), k.archives(), Target{LSN: 3})
	if ExitCode(err) != ExitAmbiguous || !names(err, twin) {
		t.Errorf("got %v, want a refusal that names both objects", err)
	}
	k.mustRestore(Target{LSN: 2}, nil)
}

// An LSN on two timelines needs a timeline.
func TestSameLSNOnTwoTimelines(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	one := k.begin()
	one.put("a", "1")
	one.put("a", "2")
	one.seal()
	fs, res := k.mustRestore(Target{LSN: 1}, nil)
	two := k.adopt(fs, "/data/node", res)
	two.put("a", "three on two")
	two.end()
	one.put("a", "three on one") // in flight when it was fenced
	one.end()

	_, err := NewPlan(t.Context(), k.archives(), Target{LSN: 3})
	got := as[*AmbiguousError](err)
	if got == nil {
		t.Fatalf("got %v, want an AmbiguousError", err)
	}
	want := []Position{{Timeline: 1, LSN: 3}, {Timeline: 2, LSN: 3}}
	if diff := cmp.Diff(want, got.Choices); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
	for _, at := range want {
		k.mustRestore(Target{LSN: at.LSN, Timeline: at.Timeline}, nil)
	}
}
