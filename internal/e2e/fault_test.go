package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/faultfs"
)

// faultTimeout bounds one run of the script with a fault in it.
const faultTimeout = 30 * time.Second

// Law 1, 10 and 13: an error, half a write, a full disk or a failed sync at any
// operation ends in an error or in nothing at all, never in a panic or a hang;
// what was acknowledged is there after the next start.
func TestFault_EveryOperation(t *testing.T) {
	kinds := []struct {
		name string
		at   func(int64) faultfs.Fault
	}{
		{"error", faultfs.Fail},
		{"short write", faultfs.Short},
		{"no space", faultfs.NoSpace},
		{"failed sync", faultfs.SyncFails},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			rng := drawSeed(t)
			s := newScript(rng, 36)
			total := s.rehearse(t)
			stride := int64(1)
			if *crashPoints > 0 {
				stride = max(1, total/int64(*crashPoints))
			}
			errored := 0
			for op := 1 + rng.Int64N(stride); op <= total; op += stride {
				if s.runWithFault(t, kind.at(op), op) {
					errored++
				}
			}
			if errored == 0 {
				t.Errorf("no fault was ever reported")
			}
			t.Logf("%d operations tried, %d runs ended in an error", total/stride, errored)
		})
	}
}

// runWithFault plays the script against a file system with one fault, and then
// reopens without it.
func (s *script) runWithFault(t *testing.T, fault faultfs.Fault, op int64) (errored bool) {
	t.Helper()
	s.acked.Store(0)
	s.issued.Store(0)
	mem := vfs.NewMem()
	fs := faultfs.New(mem)
	fs.Inject(fault)
	store := openFileStore(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), faultTimeout)
	defer cancel()
	err := s.run(ctx, s.options(fs, store))
	if ctx.Err() != nil {
		t.Fatalf("fault at operation %d: the node hung: %v", op, err)
	}
	fs.Clear()
	got, err2 := s.reopen(mem, store, false)
	if err2 != nil {
		t.Fatalf("fault at operation %d (the run gave %v): reopen: %v", op, err, err2)
	}
	s.checkPrefix(t, &crashPoint{op: faultfs.Op{N: op}, acked: s.acked.Load()}, got)
	return err != nil
}
