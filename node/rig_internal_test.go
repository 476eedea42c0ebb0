package node

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// awaitMax bounds what a test waits for; nothing is asserted about how long it
// takes.
const awaitMax = 30 * time.Second

// await looks until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(awaitMax)
	defer limit.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// smallOptions are those of a node that rotates its log often and does nothing
// by itself.
func smallOptions(fs vfs.FS) *Options {
	return &Options{
		NodeID: "n1", FS: fs, VShards: 4, Cores: 2, BallastBytes: -1, SegmentBytes: 8 << 10,
		MaintainInterval: -1, CheckpointInterval: -1, CheckpointBytes: 1 << 40, ArchiveTimeout: -1,
		MemtableBytes: 1 << 20, CacheBytes: 1 << 20,
	}
}

// start opens a node that the test closes when it ends, if it has not; what Close
// says is then of no interest.
func start(t *testing.T, o *Options) *Node {
	t.Helper()
	n, err := Open("/db", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func mustClose(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// fill writes so many keys of 1 KiB each, and seals the log.
func fill(t *testing.T, n *Node, prefix string, count int) wal.LSN {
	t.Helper()
	for i := range count {
		if _, err := n.Tenant(0).Put(t.Context(), fmt.Appendf(nil, "%s%d", prefix, i), make([]byte, 1<<10), nil); err != nil {
			t.Fatalf("Put(%s%d): %v", prefix, i, err)
		}
	}
	lsn, err := n.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

func checkKeys(t *testing.T, n *Node, prefix string, count int) {
	t.Helper()
	for i := range count {
		if _, err := n.Tenant(0).Get(t.Context(), fmt.Appendf(nil, "%s%d", prefix, i)); err != nil {
			t.Fatalf("Get(%s%d): %v", prefix, i, err)
		}
	}
}

// keyOn returns a key that lives on a core.
func keyOn(n *Node, core int) []byte {
	for i := 0; ; i++ {
		key := fmt.Appendf(nil, "on-%d-%d", core, i)
		if n.shards[kv.VShardOf(key, len(n.shards))].core.id == core {
			return key
		}
	}
}

// block keeps a core's thread busy until release is called.
func block(t *testing.T, n *Node, core int) (release func()) {
	t.Helper()
	gate, blocked := make(chan struct{}), make(chan struct{})
	n.cores[core].post(func() error {
		close(blocked)
		<-gate
		return nil
	}, func(error) {})
	<-blocked
	done := false
	release = func() {
		if !done {
			done = true
			close(gate)
		}
	}
	t.Cleanup(release)
	return release
}

// firstLSN is where the log begins.
func firstLSN(n *Node) wal.LSN { return n.oldestLSN() }

func fileStore(t *testing.T) archive.Store {
	t.Helper()
	s, err := archive.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s = %v, want %v", what, err, want)
	}
}
