package pitr

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Segments out of turn wait for room, the one whose turn it is never does. Law 13.
func TestBudget(t *testing.T) {
	b := newBudget(10)
	check(t, b.take(3, 10))
	waits := make(chan error, 1)
	go func() { waits <- b.take(2, 1) }()
	check(t, b.take(0, 100)) // its turn
	b.give(100)
	select {
	case err := <-waits:
		t.Fatalf("segment 2 got room that is not there: %v", err)
	default:
	}
	b.setTurn(2)
	check(t, <-waits)
	if b.peak != 110 {
		t.Errorf("peak %d, want 110", b.peak)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stop := b.endWith(ctx)
	defer stop()
	go func() { waits <- b.take(9, 1) }()
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Errorf("wait after the end: %v", err)
	}
}

// On the real file system: renamed over an empty directory, nothing left beside
// it, and a second restore to it is refused.
func TestRestoreOnDisk(t *testing.T) {
	k, target := crashKit(t)
	fs, parent := vfs.Default, t.TempDir()
	dir := fs.PathJoin(parent, "node")
	check(t, fs.MkdirAll(dir, 0o755))
	plan, err := NewPlan(t.Context(), k.archives(), target)
	check(t, err)
	res, err := Restore(t.Context(), plan, dir, k.options(fs, nil))
	check(t, err)
	k.compare(target, res)
	if got := k.content(fs, dir); got.digest() != res.Digest {
		t.Errorf("content has digest %s, the result says %s", got.digest(), res.Digest)
	}
	names, err := fs.List(parent)
	check(t, err)
	if len(names) != 1 {
		t.Errorf("left in the parent directory: %q", names)
	}
	if _, err := Restore(t.Context(), plan, dir, k.options(fs, nil)); !errors.Is(err, ErrTargetDirNotEmpty) {
		t.Errorf("second restore: got %v, want ErrTargetDirNotEmpty", err)
	}
}
