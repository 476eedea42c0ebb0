package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/pitr"
)

// An archive that is attached late begins with a base, so that everything from
// before it came can be restored, although its log is gone.
func TestBase_LateArchive(t *testing.T) {
	fs, store := vfs.NewMem(), openFileStore(t, t.TempDir())
	n := openNode(t, "/db", archived(fs))
	put(t, n, "early", 40)
	if r, err := n.Checkpoint(t.Context()); err != nil || r.RemovedSegments == 0 {
		t.Fatalf("Checkpoint = %+v, %v", r, err)
	}
	closeNode(t, n)
	n = openNode(t, "/db", archived(fs, archive.StoreConfig{Store: store}))
	await(t, "the first base", func() bool { return n.Status().Bases.Taken == 1 })
	put(t, n, "late", 10)
	want := digest(t, n)
	sealArchived(t, n)
	r, result := restored(t, store, pitr.Target{LSN: want.LSN})
	if result.Digest != want.Digest || want.Entries != 50 {
		t.Fatalf("restore = %+v, want %+v", result, want)
	}
	closeNode(t, r)
	closeNode(t, n)
}

// heldStore keeps the contents of bases waiting until held is closed.
type heldStore struct {
	archive.Store
	held chan struct{}
}

func (s *heldStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if strings.Contains(key, "/obj/") {
		select {
		case <-s.held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.Store.Create(ctx, key, body, size)
}

// WaitArchived promises what can be restored: with an archive that was attached
// late it returns after the first base. A run that is short of it takes it before
// it closes.
func TestBase_LateArchiveIsAwaited(t *testing.T) {
	fs, plain := vfs.NewMem(), openFileStore(t, t.TempDir())
	n := openNode(t, "/db", archived(fs))
	put(t, n, "early", 40)
	closeNode(t, n) // with a checkpoint: the log is gone
	held := make(chan struct{})
	store := &heldStore{Store: plain, held: held}
	n = openNode(t, "/db", archived(fs, archive.StoreConfig{Store: store}))
	put(t, n, "late", 1)
	lsn, err := n.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the log in the archive", func() bool { return n.Status().Watermarks.Archived >= lsn })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.WaitArchived(ctx, lsn); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitArchived before the first base = %v", err)
	}
	closed := make(chan error)
	go func() { closed <- n.Close() }()
	close(held)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	again, result := restored(t, plain, pitr.Target{Latest: true})
	if result.Entries != 41 {
		t.Errorf("restored %d entries after the node closed, want 41", result.Entries)
	}
	closeNode(t, again)
	n = openNode(t, "/db", archived(fs, archive.StoreConfig{Store: plain}))
	if err := n.WaitArchived(t.Context(), lsn); err != nil {
		t.Errorf("WaitArchived with the base there = %v", err)
	}
	closeNode(t, n)
}

// Scheduled bases are taken while there is something new, and only then; one that
// fails is counted and tried again.
func TestBase_Scheduled(t *testing.T) {
	store := archivetest.NewFaulty(openFileStore(t, t.TempDir()), nil)
	o := archived(vfs.NewMem(), archive.StoreConfig{Store: store})
	o.BaseInterval = 10 * time.Millisecond
	n := openNode(t, "/db", o)
	for round := range uint64(3) {
		put(t, n, fmt.Sprintf("r%d-", round), 5)
		await(t, "a base", func() bool { return n.Status().Bases.Taken > round })
	}
	store.SetPlan(archivetest.Always(archivetest.Fail, archivetest.OpCreate))
	put(t, n, "failing", 5)
	await(t, "a failed base", func() bool { b := n.Status().Bases; return b.Failed > 0 && b.LastErr != "" })
	store.SetPlan(archivetest.Healthy)
	taken := n.Status().Bases.Taken
	await(t, "the next base", func() bool { b := n.Status().Bases; return b.Taken > taken && b.LastErr == "" })
	closeNode(t, n)
}
