package pitr

import (
	"context"
	"crypto/md5"
	"iter"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// summing is a memStore that tells the MD5 of what it holds, as S3 does.
type summing struct{ *memStore }

func (s summing) sum(o archive.Object) archive.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := md5.Sum(s.objects[o.Key])
	o.MD5 = sum[:]
	return o
}

func (s summing) Stat(ctx context.Context, key string) (archive.Object, error) {
	o, err := s.memStore.Stat(ctx, key)
	if err == nil {
		o = s.sum(o)
	}
	return o, err
}

func (s summing) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		for o, err := range s.memStore.List(ctx, prefix, after) {
			if !yield(s.sum(o), err) {
				return
			}
		}
	}
}

// Fast finds a change of the same size by the store's sum: of a content even at
// first sight, as its manifest records the sum of what was uploaded; of a segment
// once it was verified.
func TestVerifyFastBySum(t *testing.T) {
	k, mem := small(t)
	total := len(mem.keys("obj/")) + len(mem.keys("wal/"))
	flip := func(b []byte) []byte { b[len(b)/2] ^= 4; return b }

	at := k.over(t, summing{mem.clone()}).arch
	r, err := Verify(t.Context(), at, &VerifyOptions{Fast: true})
	if err != nil || !r.OK() || r.Compared != len(mem.keys("obj/")) || r.FirstSeen != len(mem.keys("wal/")) {
		t.Errorf("first sight: %+v, %v", r, err)
	}
	hurt := mem.clone()
	hurt.change(mem.keys("obj/")[0], flip)
	r, err = Verify(t.Context(), k.over(t, summing{hurt}).arch, &VerifyOptions{Fast: true})
	if err != nil || len(r.Problems) != 1 || r.Problems[0].Key != mem.keys("obj/")[0] {
		t.Errorf("a changed content at first sight: %+v, %v", r, err)
	}

	_, err = Verify(t.Context(), k.over(t, summing{mem}).arch, &VerifyOptions{Ledger: k.arch})
	check(t, err)
	r, err = Verify(t.Context(), k.over(t, summing{mem}).arch, &VerifyOptions{Ledger: k.arch, Fast: true})
	if err != nil || !r.OK() || r.Compared != total {
		t.Errorf("with a ledger: %+v, %v", r, err)
	}
	mem.change(mem.keys("wal/")[0], flip)
	r, err = Verify(t.Context(), k.over(t, summing{mem}).arch, &VerifyOptions{Ledger: k.arch, Fast: true})
	if err != nil || len(r.Problems) != 1 || r.Problems[0].Key != mem.keys("wal/")[0] {
		t.Errorf("a changed segment: %+v, %v", r, err)
	}
}

// A verification that ends behind another one forgets nothing of what that found.
func TestVerifyTwoAtOnce(t *testing.T) {
	k, mem := small(t)
	order, a := k.watched(t, mem)
	now := k.now
	var other *VerifyReport
	order.stop = func(string) {
		order.stop = nil
		r, err := Verify(t.Context(), k.arch, &VerifyOptions{Ledger: k.arch, Clock: func() time.Time { return now.Add(time.Hour) }})
		check(t, err)
		other = r
	}
	r, err := Verify(t.Context(), a, &VerifyOptions{Ledger: a, Parallel: 1, MaxBytes: 1, Clock: func() time.Time { return now }})
	if err != nil || other == nil || r.Left == 0 || other.Left != 0 {
		t.Fatalf("%+v, %v; the other: %+v", r, err, other)
	}
	l, err := k.arch.LoadLedger(t.Context())
	check(t, err)
	if total := len(mem.keys("obj/")) + len(mem.keys("wal/")); len(l.Lines) != total {
		t.Errorf("the ledger knows %d of %d objects", len(l.Lines), total)
	}
	for _, line := range l.Lines {
		if !line.Full.Equal(now.Add(time.Hour)) {
			t.Errorf("%s was verified at %s by the ledger, not an hour later", line.Key, line.Full)
		}
	}
}

// No more than the rate is read in a second, but for what may come at once.
func TestVerifyRate(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	noise := make([]byte, 512<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	l.put("a", string(noise))
	l.end()
	synctest.Test(t, func(t *testing.T) {
		const rate = 100 << 10
		begun := time.Now()
		r, err := Verify(t.Context(), k.arch, &VerifyOptions{RateBytes: rate})
		check(t, err)
		want := time.Duration(float64(r.Bytes-rateBurstBytes) / rate * float64(time.Second))
		if took := time.Since(begun); r.Bytes < int64(len(noise)) || took < want || took > want+time.Second {
			t.Errorf("%d bytes took %v, want %v", r.Bytes, took, want)
		}
	})
}
