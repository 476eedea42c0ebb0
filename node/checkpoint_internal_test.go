package node

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/faultfs"
)

// Law 5: a core that does not answer holds truncation back; once it answers, the
// next checkpoint goes on.
func TestCheckpoint_SilentCore(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.CoreTimeout = 50 * time.Millisecond
	n := start(t, o)
	fill(t, n, "k", 40)
	release := block(t, n, 1)
	for range 2 {
		r, err := n.Checkpoint(t.Context())
		var failed *CheckpointError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "core 1") || strings.Contains(err.Error(), "core 0") {
			t.Fatalf("Checkpoint = %+v, %v, want a *CheckpointError that names core 1 alone", r, err)
		}
		wantError(t, "Checkpoint", err, context.DeadlineExceeded)
		if first := firstLSN(n); first != 1 || r.RemovedSegments != 0 {
			t.Fatalf("the log begins at LSN %d after a checkpoint without core 1: %+v", first, r)
		}
	}
	if st := n.Status(); st.Checkpoints.Failed != 2 || st.Checkpoints.InARow != 2 || st.Watermarks.Checkpointed != 0 {
		t.Fatalf("status = %+v, %+v", st.Checkpoints, st.Watermarks)
	}
	release()
	n.opts.CoreTimeout = awaitMax
	r, err := n.Checkpoint(t.Context())
	if err != nil || r.RemovedSegments == 0 || firstLSN(n) == 1 || firstLSN(n) > r.Flushed+1 {
		t.Fatalf("Checkpoint after the core came back = %+v, %v; the log begins at %d", r, err, firstLSN(n))
	}
	if st := n.Status().Checkpoints; st.Taken != 1 || st.InARow != 0 || st.LastTime.IsZero() {
		t.Fatalf("status = %+v", st)
	}
	checkKeys(t, n, "k", 40)
	mustClose(t, n)
}

// degrade makes a core panic until it cools down.
func degrade(t *testing.T, n *Node, core int) {
	t.Helper()
	key := keyOn(n, core)
	for range 10 {
		r, err := n.Tenant(0).request(opCode(99), key, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.do(t.Context())
		if errors.Is(err, ErrCoreDegraded) {
			return
		}
		wantError(t, "poisoned request", err, ErrInternal)
	}
	t.Fatal("the core did not degrade")
}

// Law 5: a degraded core refuses writes with a time to come back, still answers
// reads and checkpoints, and its records are part of what is truncated.
func TestCheckpoint_DegradedCore(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	fill(t, n, "k", 40)
	degrade(t, n, 0)
	_, err := n.Tenant(0).Put(t.Context(), keyOn(n, 0), nil, nil)
	wantError(t, "Put", err, ErrCoreDegraded)
	if d, ok := RetryAfter(err); !ok || d <= 0 {
		t.Fatalf("RetryAfter(%v) = %v, %v", err, d, ok)
	}
	if st := n.Status().Cores; !st[0].Degraded || st[1].Degraded {
		t.Fatalf("status of the cores = %+v", st)
	}
	if _, err := n.Tenant(0).Put(t.Context(), keyOn(n, 1), nil, nil); err != nil {
		t.Fatalf("Put on the other core: %v", err)
	}
	checkKeys(t, n, "k", 40)
	r, err := n.Checkpoint(t.Context())
	if err != nil || r.RemovedSegments == 0 {
		t.Fatalf("Checkpoint = %+v, %v", r, err)
	}
	if _, err := n.Digest(t.Context()); err != nil {
		t.Fatalf("Digest: %v", err)
	}
	mustClose(t, n)
	n = start(t, n.opts)
	checkKeys(t, n, "k", 40)
	mustClose(t, n)
}

// Law 5: a vshard whose flush fails holds truncation back, and the error names
// it.
func TestCheckpoint_FailingFlush(t *testing.T) {
	fs := faultfs.New(vfs.NewMem())
	n := start(t, smallOptions(fs))
	fill(t, n, "k", 40)
	inShard := func(path string) bool {
		return strings.Contains(path, filepath.Join("vshard", "0002")) && strings.HasSuffix(path, ".sst")
	}
	fs.Inject(faultfs.Fault{Kinds: []faultfs.Kind{faultfs.Create}, Path: inShard, Times: -1})
	r, err := n.Checkpoint(t.Context())
	var failed *CheckpointError
	if !errors.As(err, &failed) || !errors.Is(err, faultfs.ErrInjected) || !strings.Contains(err.Error(), "vshard 0002") {
		t.Fatalf("Checkpoint = %+v, %v, want a *CheckpointError that names vshard 0002", r, err)
	}
	if first := firstLSN(n); first != 1 {
		t.Fatalf("the log begins at LSN %d although a flush failed", first)
	}
	fs.Clear()
	if r, err := n.Checkpoint(t.Context()); err != nil || r.RemovedSegments == 0 {
		t.Fatalf("Checkpoint without the fault = %+v, %v", r, err)
	}
	checkKeys(t, n, "k", 40)
	mustClose(t, n)
}
