package node_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// A written is one acknowledged change.
type written struct {
	lsn        wal.LSN
	key, value string
}

// writers write until stop is closed, and tell what was acknowledged.
type writers struct {
	wg   sync.WaitGroup
	stop chan struct{}
	mu   sync.Mutex
	done []written
}

func startWriters(t *testing.T, n *node.Node, count int) *writers {
	w := &writers{stop: make(chan struct{})}
	for id := range count {
		w.wg.Go(func() {
			db := n.Tenant(0)
			for i := 0; ; i++ {
				select {
				case <-w.stop:
					return
				default:
				}
				key, value := fmt.Sprintf("w%d-%d", id, i%50), fmt.Sprint(i)
				lsn, err := db.Put(context.Background(), []byte(key), []byte(value), nil)
				if err != nil {
					t.Errorf("writer %d: %v", id, err)
					return
				}
				w.mu.Lock()
				w.done = append(w.done, written{lsn, key, value})
				w.mu.Unlock()
			}
		})
	}
	return w
}

// history ends the writers and returns what they wrote in LSN order.
func (w *writers) history() []written {
	close(w.stop)
	w.wg.Wait()
	slices.SortFunc(w.done, func(a, b written) int { return int(int64(a.lsn) - int64(b.lsn)) })
	return w.done
}

// at is the state after the record lsn.
func at(history []written, lsn wal.LSN) map[string]string {
	state := map[string]string{}
	for _, w := range history {
		if w.lsn <= lsn {
			state[w.key] = w.value
		}
	}
	return state
}

// Law 2 and 3: a consistent scan under concurrent writers is the state at exactly
// its LSN, over all vshards and cores.
func TestCut_ExactUnderWriters(t *testing.T) {
	n := memNode(t, &node.Options{Cores: 3, VShards: 8})
	w := startWriters(t, n, 8)
	type seen struct {
		lsn   wal.LSN
		state map[string]string
	}
	var scans []seen
	for range 40 {
		s, err := n.Tenant(0).Scan(t.Context(), node.ScanOptions{Consistent: true})
		if err != nil {
			t.Fatal(err)
		}
		state := map[string]string{}
		for s.Next() {
			if s.EntryLSN() > s.LSN() {
				t.Errorf("%s of LSN %d in a scan at %d", s.Key(), s.EntryLSN(), s.LSN())
			}
			state[string(s.Key())] = string(s.Value())
		}
		scans = append(scans, seen{s.LSN(), state})
		if err := errors.Join(s.Err(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	history := w.history()
	for _, s := range scans {
		want := at(history, s.lsn)
		if !maps.Equal(s.state, want) {
			t.Fatalf("scan at LSN %d (-want +got):\n%s", s.lsn, cmp.Diff(want, s.state))
		}
	}
	if last := scans[len(scans)-1]; len(last.state) == 0 || len(history) < 100 {
		t.Fatalf("nothing was written: %d keys, %d writes", len(last.state), len(history))
	}
}

// A batch is seen whole or not at all: by consistent scans, by plain ones, which
// see each vshard at one moment, and after a crash.
func TestCut_BatchIsWhole(t *testing.T) {
	const tags, size = 6, 8
	fs := vfs.NewCrashableMem()
	o := rotating(fs)
	o.SegmentBytes = 64 << 10
	n := open(t, "/db", o)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for tag := range tags {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				var b node.Batch
				for k := range size {
					b.Put(fmt.Appendf(nil, "{t%d}%d", tag, k), fmt.Append(nil, i))
				}
				if _, err := n.Tenant(0).Apply(context.Background(), &b, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	whole := func(n *node.Node, consistent bool) {
		t.Helper()
		s, err := n.Tenant(0).Scan(t.Context(), node.ScanOptions{Consistent: consistent})
		if err != nil {
			t.Fatal(err)
		}
		values, count := map[string]string{}, map[string]int{}
		for s.Next() {
			tag := string(s.Key()[:4])
			if v, ok := values[tag]; ok && v != string(s.Value()) {
				t.Fatalf("consistent=%v: half a batch: %s has %s, its batch %s", consistent, s.Key(), s.Value(), v)
			}
			values[tag] = string(s.Value())
			count[tag]++
		}
		for tag, c := range count {
			if c != size {
				t.Fatalf("consistent=%v: %d keys of the batch %s", consistent, c, tag)
			}
		}
		if err := errors.Join(s.Err(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	var disks []*vfs.MemFS
	for i := range 60 {
		whole(n, i%2 == 0)
		if i%20 == 10 {
			disks = append(disks, fs.CrashClone(vfs.CrashCloneCfg{}))
		}
	}
	close(stop)
	wg.Wait()
	for _, disk := range disks {
		o := rotating(disk)
		crashed, err := node.Open("/db", o)
		if err != nil {
			t.Fatal(err)
		}
		whole(crashed, true)
		if err := crashed.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A cut whose caller gives up leaves the node whole: writes go on, and the next
// cut is taken.
func TestCut_Cancelled(t *testing.T) {
	n := memNode(t, &node.Options{Cores: 2, VShards: 4})
	w := startWriters(t, n, 4)
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		if i%2 == 0 {
			cancel()
		} else {
			go cancel()
		}
		if _, err := n.Digest(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cancel()
	}
	if _, err := n.Digest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.history()) == 0 {
		t.Fatal("nothing was written")
	}
}

// The digest depends on the entries alone: neither on the number of vshards and
// cores nor on the order of writes.
func TestDigest_DependsOnEntriesAlone(t *testing.T) {
	var digests []string
	for i, o := range []node.Options{{Cores: 1, VShards: 1}, {Cores: 2, VShards: 8}, {Cores: 3, VShards: 5}} {
		n := memNode(t, &o)
		for k := range 199 {
			k := (k*(2*i+1) + i) % 199
			if i == 1 {
				mustPut(t, n.Tenant(uint32(k%3)), fmt.Sprintf("k%d", k), "overwritten")
				mustPut(t, n.Tenant(9), fmt.Sprintf("k%d", k), "deleted")
				if _, err := n.Tenant(9).Delete(t.Context(), fmt.Appendf(nil, "k%d", k), nil); err != nil {
					t.Fatal(err)
				}
			}
			mustPut(t, n.Tenant(uint32(k%3)), fmt.Sprintf("k%d", k), fmt.Sprint(k))
		}
		d, err := n.Digest(t.Context())
		if err != nil || d.Entries != 199 {
			t.Fatalf("Digest = %+v, %v", d, err)
		}
		digests = append(digests, d.Digest)
		mustPut(t, n.Tenant(0), "k0", "other")
		if other, err := n.Digest(t.Context()); err != nil || other.Digest == d.Digest || other.LSN <= d.LSN {
			t.Fatalf("Digest after a change = %+v, %v", other, err)
		}
	}
	if digests[0] != digests[1] || digests[0] != digests[2] {
		t.Fatalf("digests differ: %q", digests)
	}
}
