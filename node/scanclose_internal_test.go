package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Law 13: a scanner that nobody closes does not hold Close for ever; it is
// waited for within the limit, and then named.
func TestScan_HoldsCloseWithinItsLimit(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	fill(t, n, "k", 10)
	s, err := n.Tenant(0).Scan(t.Context(), ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Shutdown with an open scanner = %v, want DeadlineExceeded", err)
	}
	for s.Next() {
		_ = s.Value() // still whole
	}
	if err := errors.Join(s.Err(), s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	n.leftOpen = false
	if err := n.release(); err != nil {
		t.Fatal(err)
	}
}
