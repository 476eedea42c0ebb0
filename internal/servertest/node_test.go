package servertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

func nodeOptions(s archive.Store) *node.Options {
	return &node.Options{
		NodeID: "n1", VShards: 4, Cores: 2, SegmentBytes: 256 << 10, ArchiveTimeout: -1, CheckpointInterval: -1,
		CheckpointBytes: 1 << 40, BallastBytes: -1, Stores: []archive.StoreConfig{{Store: s}},
	}
}

func openNode(t testing.TB, dir string, s archive.Store) *node.Node {
	t.Helper()
	n, err := node.Open(dir, nodeOptions(s))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// load writes from many goroutines and overwrites some of it.
func load(t *testing.T, n *node.Node, seed int) {
	t.Helper()
	const writers, puts = 8, 150
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			db := n.Tenant(1)
			for i := range puts {
				key := fmt.Appendf(nil, "key-%d-%d", w, i%100)
				if _, err := db.Put(t.Context(), key, pseudo(seed*1000+w*100+i, 1000), nil); err != nil {
					t.Errorf("put: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// pseudo is data that does not compress away.
func pseudo(seed, n int) []byte {
	data := make([]byte, n)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range data {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	return data
}

func digestOf(t *testing.T, n *node.Node) node.DigestResult {
	t.Helper()
	d, err := n.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// archiveAll seals and waits until everything is verified in the archive.
func archiveAll(t testing.TB, n *node.Node) wal.LSN {
	t.Helper()
	lsn, err := n.Seal(t.Context())
	if err == nil {
		err = n.WaitArchived(t.Context(), lsn)
	}
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

// shutDown ends a node whose archive must be able to take everything.
func shutDown(t testing.TB, n *node.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Fatalf("shut down: %v", err)
	}
}

func restoreTo(t *testing.T, s archive.Store, target pitr.Target, dir string) *pitr.Result {
	t.Helper()
	a, err := archive.Open(s, "n1")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pitr.NewPlan(t.Context(), []*archive.Archive{a}, target)
	for try := 0; archive.Retryable(err) && try < 20; try++ { // unknown, not absent: ask again
		plan, err = pitr.NewPlan(t.Context(), []*archive.Archive{a}, target)
	}
	if err != nil {
		t.Fatalf("plan %v: %v", target, err)
	}
	r, err := pitr.Restore(t.Context(), plan, dir, nil)
	if err != nil {
		t.Fatalf("restore %v: %v", target, err)
	}
	return r
}

// Laws 6, 7 and 9 on a real S3 server.
func TestNodeOnS3(t *testing.T) {
	wholeLife(t, server, server.Kill, open(t, storeURL(bucket(t)+"/cluster/a", smallParts)))
}

// wholeLife of a node whose archive is on a server: it writes, the server ends
// and comes back, the log is truncated, the directory is lost, and every state
// comes back by LSN, by time and by name, proven by its digest (laws 6, 7, 9).
func wholeLife(t *testing.T, server *Server, halt func() error, s archive.Store) {
	t.Helper()
	root := t.TempDir()
	n := openNode(t, filepath.Join(root, "node"), s)
	load(t, n, 1)
	first := digestOf(t, n)
	if _, _, err := n.RestorePoint(t.Context(), "before-crash"); err != nil {
		t.Fatal(err)
	}
	point := digestOf(t, n)
	archiveAll(t, n)

	if err := halt(); err != nil {
		t.Fatal(err)
	}
	load(t, n, 2) // the node does not wait for its archive
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Backup(t.Context()); err != nil {
		t.Fatalf("backup: %v", err)
	}
	load(t, n, 3)
	last := digestOf(t, n)
	end := archiveAll(t, n)
	cp, err := n.Checkpoint(t.Context())
	if err != nil || cp.RemovedSegments == 0 || cp.Truncated > cp.Archived {
		t.Errorf("checkpoint: %+v, %v; want segments removed, none above the archived LSN (law 6)", cp, err)
	}
	shutDown(t, n)
	if err := os.RemoveAll(n.Dir()); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		target pitr.Target
		want   node.DigestResult
	}{
		"lsn":   {pitr.Target{LSN: first.LSN}, first},
		"time":  {pitr.Target{Time: last.Time}, last},
		"point": {pitr.Target{Point: "before-crash"}, point},
		"end":   {pitr.Target{LSN: last.LSN}, last},
	} {
		r := restoreTo(t, s, c.target, filepath.Join(root, name))
		if r.Digest != c.want.Digest || r.Entries != c.want.Entries {
			t.Errorf("restored by %s: LSN %d, %d entries, digest %s; want LSN %d, %d entries, digest %s",
				name, r.Reached.LSN, r.Entries, r.Digest, c.want.LSN, c.want.Entries, c.want.Digest)
		}
	}
	restoredNodeGoesOn(t, s, filepath.Join(root, "lsn"), first, end)
}

// restoredNodeGoesOn: a restored node writes a timeline of its own above all
// that was archived (law 9), and that can be restored as well.
func restoredNodeGoesOn(t *testing.T, s archive.Store, dir string, was node.DigestResult, end wal.LSN) {
	t.Helper()
	n := openNode(t, dir, s)
	if d := digestOf(t, n); d.Digest != was.Digest || d.LSN <= end {
		t.Errorf("reopened: LSN %d, digest %s; want an LSN above %d and digest %s", d.LSN, d.Digest, end, was.Digest)
	}
	load(t, n, 4)
	d := digestOf(t, n)
	archiveAll(t, n)
	shutDown(t, n)
	if r := restoreTo(t, s, pitr.Target{LSN: d.LSN}, dir+"-again"); r.Digest != d.Digest {
		t.Errorf("restored across the fork: digest %s, want %s", r.Digest, d.Digest)
	}
}

// etags of all objects: what changes them is an overwrite.
func etags(t *testing.T, bucket string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for o := range client(t).ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		out[o.Key] = o.ETag + o.LastModified.String()
	}
	return out
}

// Law 8: two nodes on one archive, because somebody restored while the first
// was only thought to be dead. The later wins; the earlier stops, says so,
// keeps its log, and has overwritten nothing. A third that comes with nothing
// but the name is refused.
func TestTwoNodesOnS3(t *testing.T) {
	b := bucket(t)
	s := open(t, storeURL(b, ""))
	old := openNode(t, t.TempDir(), s)
	load(t, old, 1)
	end := archiveAll(t, old)
	if _, err := node.Open(t.TempDir(), nodeOptions(s)); !errors.Is(err, archive.ErrFenced) {
		t.Errorf("a node without this history: %v, want ErrFenced", err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	restoreTo(t, s, pitr.Target{LSN: end}, dir)
	winner := openNode(t, dir, s)
	load(t, winner, 2)
	archiveAll(t, winner)
	before := etags(t, b)

	load(t, old, 3)
	lsn, err := old.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var fenced *archive.FencedError
	if err := old.WaitArchived(t.Context(), lsn); !errors.As(err, &fenced) {
		t.Errorf("the first node archives on: %v, want a FencedError", err)
	}
	cp, err := old.Checkpoint(t.Context())
	if err == nil && cp.Truncated >= lsn {
		t.Errorf("the fenced node gave its log up to LSN %d", cp.Truncated)
	}
	load(t, winner, 4)
	d := digestOf(t, winner)
	archiveAll(t, winner)
	after := etags(t, b)
	for key, tag := range before {
		if after[key] != tag {
			t.Errorf("%s was %s and is %s (law 7)", key, tag, after[key])
		}
	}
	shutDown(t, winner)
	if err := old.Close(); !errors.Is(err, archive.ErrFenced) {
		t.Errorf("the fenced node closes with %v, want ErrFenced", err)
	}
	if r := restoreTo(t, s, pitr.Target{LSN: d.LSN}, filepath.Join(t.TempDir(), "r")); r.Digest != d.Digest {
		t.Errorf("restored: digest %s, want %s", r.Digest, d.Digest)
	}
}
