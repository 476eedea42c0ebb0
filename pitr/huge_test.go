package pitr

import (
	"bytes"
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// pageStore answers listings in pages of 1,000 names, as object stores do, and
// counts the requests. Names under wal/ are made up; other objects are in mem.
type pageStore struct {
	*memStore
	names        []string         // sorted
	size         int64            // of each
	odd          map[string]int64 // sizes of those that differ
	made         map[archive.SegmentKey][]byte
	lists, reads atomic.Int64
}

const pageNames = 1000

func (s *pageStore) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		n := 0
		one := func(key string, size int64) bool {
			if n%pageNames == 0 {
				s.lists.Add(1)
			}
			n++
			return yield(archive.Object{Key: key, Size: size, ModTime: kitBegin, Class: "STANDARD"}, nil)
		}
		for o := range s.memStore.List(ctx, prefix, after) {
			if !one(o.Key, o.Size) {
				return
			}
		}
		for _, key := range s.names[sort.SearchStrings(s.names, after+"\x00"):] {
			if len(key) >= len(prefix) && key[:len(prefix)] == prefix && !one(key, stdcmp.Or(s.odd[key], s.size)) {
				return
			}
		}
		if n == 0 {
			s.lists.Add(1)
		}
	}
}

func (s *pageStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	s.reads.Add(1)
	if _, k, err := archive.ParseFull(key); err == nil {
		if sk, ok := k.(archive.SegmentKey); ok {
			data, err := s.madeUp(sk)
			data = data[min(off, int64(len(data))):]
			return io.NopCloser(bytes.NewReader(data[:min(n, int64(len(data)))])), err
		}
	}
	return s.memStore.ReadRange(ctx, key, off, n)
}

// madeUp is a segment that is made when it is first asked for; its size is not
// the same each time, so it is kept.
func (s *pageStore) madeUp(k archive.SegmentKey) ([]byte, error) {
	if data := s.made[k]; data != nil {
		return data, nil
	}
	fs := vfs.NewMem()
	var sealed wal.Segment
	log, err := wal.Open("wal", &wal.Options{FS: fs, NodeID: kitNode, Timeline: k.Timeline, Epoch: k.Epoch, FirstLSN: k.First,
		SegmentAge: -1, SpareSegments: -1, Clock: func() time.Time { return kitBegin.Add(time.Duration(k.First) * time.Second) },
		OnSeal: func(sg wal.Segment) { sealed = sg }})
	if err != nil {
		return nil, err
	}
	var b wal.Batch
	for range k.Last - k.First + 1 {
		if err := b.Add(wal.TypeNoop, 0, wal.VShardNone, nil, nil); err != nil {
			return nil, err
		}
	}
	if _, _, err := log.AppendSync(context.Background(), &b); err != nil {
		return nil, err
	}
	if _, _, err := log.Seal(context.Background()); err != nil {
		return nil, err
	}
	f, err := fs.Open(sealed.Path)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if _, err := archive.Seal(&out, io.LimitReader(f, sealed.Bytes)); err != nil {
		return nil, err
	}
	if err := errors.Join(f.Close(), log.Close()); err != nil {
		return nil, err
	}
	s.made[k] = out.Bytes()
	return s.made[k], nil
}

func (s *pageStore) requests() (lists, reads int64) { return s.lists.Swap(0), s.reads.Swap(0) }

var kitBegin = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

const hugeSegments = 100_000

// huge is an archive of n segments of ten records, one base near its end and one
// in the middle.
func huge(t testing.TB, n int) (*pageStore, *archive.Archive) {
	s := &pageStore{memStore: newMemStore(), made: make(map[archive.SegmentKey][]byte)}
	_, err := archive.ClaimEpoch(t.Context(), []archive.StoreConfig{{Store: s}}, archive.Claim{NodeID: kitNode, Timeline: 1, VShards: 1, Dir: t.TempDir()})
	check(t, err)
	for i := range n {
		k := archive.SegmentKey{Timeline: 1, First: wal.LSN(10*i + 1), Last: wal.LSN(10*i + 10), Epoch: 1}
		k.SHA16 = archive.ShortSum([]byte(fmt.Sprintf("%08x", uint32(i)*2654435761)))
		s.names = append(s.names, archive.Join(kitNode, k))
	}
	s.size = s.sealedSize(n - 1)
	s.odd = map[string]int64{s.names[9]: s.sealedSize(9)}
	// A base five hundred segments before the end, so that a plan is of them only.
	m := fmt.Sprintf(`{"version":1,"node_id":%q,"id":"b","timeline":1,"epoch":1,"lsn":%d,"time":"2026-03-01T10:00:00Z","entries":0,"vshards":[{"id":0,"applied":%d,"files":[]}]}`,
		kitNode, 10*n-5000, 10*n-5000)
	check(t, s.memStore.Create(t.Context(), archive.Join(kitNode, archive.BaseKey{Timeline: 1, LSN: wal.LSN(10*n - 5000), ID: "b"}), bytes.NewReader([]byte(m)), int64(len(m))))
	a, err := archive.Open(s, kitNode)
	check(t, err)
	return s, a
}

// sealedSize is the size of a segment whose footer a plan reads.
func (s *pageStore) sealedSize(i int) int64 {
	_, k, err := archive.ParseFull(s.names[i])
	if err != nil {
		return 0
	}
	body, err := s.madeUp(k.(archive.SegmentKey))
	if err != nil {
		return 0
	}
	return int64(len(body))
}

// peak runs f and gives the time it took and what the heap grew by at most, with
// a collector that runs often.
func peak(f func()) (took, cpu time.Duration, heap uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	var top atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				top.Store(max(top.Load(), m.HeapAlloc))
			}
		}
	}()
	start := time.Now()
	var had unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &had)
	f()
	took = time.Since(start)
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used)
	close(stop)
	<-done
	cpu = time.Duration(used.Utime.Nano() + used.Stime.Nano() - had.Utime.Nano() - had.Stime.Nano())
	return took, cpu, max(top.Load(), before) - before
}

// A plan over 100,000 segments takes less than 2 s (not held here) and 200 MiB from a listing.
// With a snapshot of the catalog it takes three requests: names before the
// contents of bases, the snapshot, names behind it.
func TestPlanHuge(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 names take too long under the race detector")
	}
	s, a := huge(t, hugeSegments)
	target := Target{LSN: 10 * hugeSegments}
	plan := func(what string, t2 Target, use archive.SnapshotUse, lists, reads int64) *Plan {
		s.requests()
		var p *Plan
		took, cpu, heap := peak(func() {
			var err error
			p, err = newPlan(t.Context(), []*archive.Archive{a}, t2, (&PlanOptions{}).withDefaults(), use)
			check(t, err)
			ok, err := p.confirm(t.Context())
			if err != nil || !ok {
				t.Fatalf("confirm: %v, %v", ok, err)
			}
		})
		l, r := s.requests()
		t.Logf("%s: %d segments planned in %v (CPU %v), %d MiB of heap, %d listings and %d reads", what, len(p.Segments), took, cpu, heap>>20, l, r)
		// 2 s is for a machine that does nothing else; a test shares it.
		if took > time.Minute || use == archive.SnapshotIgnored && heap > 200<<20 || l > lists || r > reads {
			t.Errorf("%s: want at most a minute, 200 MiB, %d listings, %d reads", what, lists, reads)
		}
		return p
	}
	full := plan("from a listing", target, archive.SnapshotIgnored, hugeSegments/pageNames+2, 5)
	k, info, err := archive.WriteSnapshot(t.Context(), a, &archive.SnapshotOptions{NamesOnly: true})
	check(t, err)
	if info.Objects != hugeSegments {
		t.Fatalf("snapshot %s has %d names", k, info.Objects)
	}
	size, err := s.memStore.Stat(t.Context(), archive.Join(kitNode, k))
	check(t, err)
	t.Logf("snapshot of %d names: %s", info.Objects, bytesText(size.Size))
	quick := plan("with a snapshot of names", target, archive.SnapshotNames, 2, 1)
	if diff := cmp.Diff(full, quick, cmpopts.IgnoreUnexported(Plan{})); diff != "" {
		t.Errorf("plans (-listing +snapshot):\n%s", diff)
	}
}

// Names that are gone are found before anything is fetched for them, and the
// plan is made from the listing, whether a snapshot names them or not.
func TestSnapshotIsConfirmed(t *testing.T) {
	const n = 2000
	s, a := huge(t, n)
	_, _, err := archive.WriteSnapshot(t.Context(), a, &archive.SnapshotOptions{NamesOnly: true})
	check(t, err)
	p, err := NewPlan(t.Context(), []*archive.Archive{a}, Target{LSN: 100})
	check(t, err)
	if !p.src.unlisted() || len(p.Segments) != 10 {
		t.Errorf("%d segments, snapshot used: %v", len(p.Segments), p.src.unlisted())
	}
	for at, lsn := range map[int]wal.LSN{n - 2: 10 * n, 5: 100} {
		all := s.names
		s.names = slices.Delete(slices.Clone(all), at, at+1)
		if _, err := NewPlan(t.Context(), []*archive.Archive{a}, Target{LSN: lsn}); ExitCode(err) != ExitGap {
			t.Errorf("segment %d is gone: %v", at, err)
		}
		s.names = all
	}
}
