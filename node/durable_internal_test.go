package node

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/faultfs"
)

// inLog tells whether a path is the log's.
func inLog(path string) bool { return strings.Contains(path, filepath.Join("db", walDir)) }

// Law 1 and 2: while the log's sync hangs, a write is neither acknowledged nor
// visible, and one that asked for less is acknowledged but not visible. When the
// sync returns, both are.
func TestDurable_BlockedSync(t *testing.T) {
	fs := faultfs.New(vfs.NewMem())
	o := smallOptions(fs)
	o.SegmentBytes = 1 << 20
	n := start(t, o)
	db := n.Tenant(0)
	plain, async := keyOn(n, 0), keyOn(n, 1)
	if _, err := db.Put(t.Context(), []byte("before"), nil, nil); err != nil {
		t.Fatal(err)
	}
	before := n.Status().Watermarks.Durable
	var armed atomic.Bool
	blocked, gate := make(chan struct{}), make(chan struct{})
	// A group commit is a short write and its sync; what the log prepares in the
	// background is written in long ones.
	var short string
	fs.Hook(func(op faultfs.Op) {
		switch {
		case !inLog(op.Path):
		case op.Kind == faultfs.Write && op.Bytes < 4096:
			short = op.Path
		case op.Kind == faultfs.Sync && op.Path == short && armed.CompareAndSwap(true, false):
			close(blocked)
			<-gate
		}
	})
	armed.Store(true)
	answer := make(chan error, 1)
	go func() {
		_, err := db.Put(context.Background(), plain, []byte("v"), nil)
		answer <- err
	}()
	<-blocked
	lsn, err := db.Put(t.Context(), async, []byte("v"), &WriteOptions{Async: true})
	if err != nil || lsn != before+2 {
		t.Fatalf("Put(Async) = %d, %v, want %d", lsn, err, before+2)
	}
	for range 3 {
		block(t, n, 1)() // the core goes round, and would apply what it may
	}
	for _, key := range [][]byte{plain, async} {
		if _, err := db.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%s) during the sync = %v, want ErrNotFound", key, err)
		}
	}
	s, err := db.Scan(t.Context(), ScanOptions{Prefix: []byte("on-")})
	if err != nil {
		t.Fatal(err)
	}
	if s.Next() {
		t.Errorf("a scan during the sync sees %s", s.Key())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-answer:
		t.Errorf("acknowledged during the sync: %v", err)
	default:
	}
	if w := n.Status().Watermarks; w.Durable != before || w.Applied > before || w.Appended < lsn {
		t.Errorf("watermarks during the sync = %+v", w)
	}
	close(gate)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	if err := n.ReadAfter(t.Context(), lsn); err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{plain, async} {
		if _, err := db.Get(t.Context(), key); err != nil {
			t.Errorf("Get(%s) after the sync: %v", key, err)
		}
	}
	fs.Hook(nil)
	mustClose(t, n)
}

// Law 10: one failed sync of the log makes the node read-only, for good and with
// the reason, and is never tried again. Reads go on. A reopen recovers everything
// that was acknowledged.
func TestPoison_SyncFailsOnce(t *testing.T) {
	fs := faultfs.New(vfs.NewMem())
	o := smallOptions(fs)
	o.SegmentBytes = 1 << 20
	n := start(t, o)
	db := n.Tenant(0)
	fill(t, n, "k", 20)
	if _, err := db.Put(t.Context(), []byte("open"), nil, nil); err != nil {
		t.Fatal(err)
	}
	// The log also syncs what it prepares in the background, so the fault stays
	// until the write has met it.
	fs.Inject(faultfs.Fault{Kinds: []faultfs.Kind{faultfs.Sync}, Path: inLog, Err: syscall.EIO, Times: -1})
	_, err := db.Put(t.Context(), []byte("lost"), nil, nil)
	fs.Clear()
	wantError(t, "Put whose sync fails", err, ErrReadOnly)
	wantError(t, "its cause", err, syscall.EIO)
	for range 3 {
		for core := range 2 {
			_, err = db.Put(t.Context(), keyOn(n, core), nil, nil)
			wantError(t, "Put afterwards", err, ErrReadOnly)
		}
	}
	for what, call := range map[string]func() error{
		"Digest":       func() error { _, err := n.Digest(t.Context()); return err },
		"RestorePoint": func() error { _, _, err := n.RestorePoint(t.Context(), "p"); return err },
		"Seal":         func() error { _, err := n.Seal(t.Context()); return err },
		"ReadAfter":    func() error { return n.ReadAfter(t.Context(), 1<<40) },
	} {
		wantError(t, what, call(), ErrReadOnly)
	}
	checkKeys(t, n, "k", 20)
	if _, err := db.Get(t.Context(), []byte("lost")); !errors.Is(err, ErrNotFound) {
		t.Fatalf("Get of what was not acknowledged = %v", err)
	}
	if st := n.Status(); st.Writable || !strings.Contains(st.Reason, "sync") || !strings.Contains(st.Reason, "reopen") {
		t.Fatalf("status = %v, %q", st.Writable, st.Reason)
	}
	wantError(t, "Close", n.Close(), ErrReadOnly)
	n = start(t, n.opts)
	checkKeys(t, n, "k", 20)
	for _, key := range []string{"open", "new"} {
		if _, err := n.Tenant(0).Put(t.Context(), []byte(key), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, n)
}

// Law 10 and 13: no room for the next segment refuses writes by name before an
// LSN is taken; when there is room again the node goes on by itself.
func TestDiskFull_Recovers(t *testing.T) {
	fs := faultfs.New(vfs.NewMem())
	n := start(t, smallOptions(fs))
	fs.SetFull(true)
	acked, err := putUntil(n, ErrDiskFull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Tenant(0).Get(t.Context(), []byte("full0")); err != nil {
		t.Fatalf("Get on a full disk: %v", err)
	}
	appended := n.Status().Watermarks.Appended
	for range 10 {
		_, err := n.Tenant(0).Put(t.Context(), []byte("refused"), make([]byte, 4<<10), nil)
		wantError(t, "Put on a full disk", err, ErrDiskFull)
	}
	if got := n.Status().Watermarks.Appended; got != appended {
		t.Fatalf("refused writes took LSNs: %d, before %d", got, appended)
	}
	fs.SetFull(false)
	await(t, "writes to go on", func() bool {
		_, err := n.Tenant(0).Put(t.Context(), []byte("after"), nil, nil)
		return err == nil
	})
	checkKeys(t, n, "full", acked)
	mustClose(t, n)
	n = start(t, n.opts)
	checkKeys(t, n, "full", acked)
	mustClose(t, n)
}

// putUntil writes until a write is refused with want.
func putUntil(n *Node, want error) (acked int, err error) {
	for ; acked < 1<<14; acked++ {
		_, err = n.Tenant(0).Put(context.Background(), []byte("full"+itoa(acked)), make([]byte, 4<<10), nil)
		if errors.Is(err, want) {
			return acked, nil
		}
		if err != nil {
			return acked, err
		}
	}
	return acked, errors.New("nothing was refused")
}

func itoa(n int) string { return string(appendInteger(nil, int64(n))) }

// A ballastFS has no space until the ballast file is removed.
type ballastFS struct {
	*faultfs.FS
	removed atomic.Int32
}

func (b *ballastFS) Remove(name string) error {
	err := b.FS.Remove(name)
	if err == nil && filepath.Base(name) == ballastName {
		b.removed.Add(1)
		b.SetFull(false)
	}
	return err
}

// A full disk costs the ballast: writes that are refused have the node give it up
// and take a checkpoint, which frees the log, so writes go on by themselves.
func TestDiskFull_BallastFreesLog(t *testing.T) {
	fs := &ballastFS{FS: faultfs.New(vfs.NewMem())}
	o := smallOptions(fs)
	o.BallastBytes = 64 << 10
	n := start(t, o)
	if info, err := fs.Stat(n.path(ballastName)); err != nil || info.Size() != o.BallastBytes {
		t.Fatalf("ballast file: %v, %v", info, err)
	}
	fs.SetFull(true)
	acked, err := putUntil(n, ErrDiskFull)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the ballast to go and the log to be freed", func() bool {
		return fs.removed.Load() == 1 && n.Status().Checkpoints.Taken > 0 && firstLSN(n) > 1
	})
	await(t, "writes to go on", func() bool {
		_, err := n.Tenant(0).Put(t.Context(), []byte("after"), nil, nil)
		return err == nil
	})
	checkKeys(t, n, "full", acked)
	if fs.removed.Load() != 1 {
		t.Fatalf("the ballast was given up %d times", fs.removed.Load())
	}
	mustClose(t, n)
	n = start(t, n.opts)
	if _, err := fs.Stat(n.path(ballastName)); err != nil {
		t.Fatalf("the ballast did not come back at an open that has room: %v", err)
	}
	mustClose(t, n)
}

// A checkpoint whose flush finds no space gives up the ballast and goes on.
func TestDiskFull_CheckpointUsesBallast(t *testing.T) {
	fs := &ballastFS{FS: faultfs.New(vfs.NewMem())}
	o := smallOptions(fs)
	o.BallastBytes = 64 << 10
	n := start(t, o)
	fill(t, n, "k", 40)
	fs.SetFull(true)
	r, err := n.Checkpoint(t.Context())
	if err != nil || r.RemovedSegments == 0 || fs.removed.Load() != 1 {
		t.Fatalf("Checkpoint on a full disk = %+v, %v; ballast given up %d times", r, err, fs.removed.Load())
	}
	// Without a ballast it fails, keeps the log, and says why.
	fill(t, n, "l", 40)
	first := firstLSN(n)
	fs.SetFull(true)
	_, err = n.Checkpoint(t.Context())
	wantError(t, "Checkpoint on a full disk without ballast", err, syscall.ENOSPC)
	if firstLSN(n) != first {
		t.Fatalf("the log was truncated to %d by a checkpoint that failed", firstLSN(n))
	}
	fs.SetFull(false)
	checkKeys(t, n, "l", 40)
	mustClose(t, n)
}

// A checkpoint that finds no room for its marker still frees the log: the marker
// only informs.
func TestDiskFull_MarkerDoesNotHoldTruncation(t *testing.T) {
	fs := faultfs.New(vfs.NewMem())
	n := start(t, smallOptions(fs))
	// No new file in the log, but room elsewhere.
	fs.Inject(faultfs.Fault{Kinds: []faultfs.Kind{faultfs.Create}, Path: inLog, Err: syscall.ENOSPC, Times: -1})
	if _, err := putUntil(n, ErrDiskFull); err != nil {
		t.Fatal(err)
	}
	// What is left in the open segment must not hold the marker.
	for size := 4 << 10; size > 0; size /= 2 {
		for err := error(nil); err == nil; {
			_, err = n.Tenant(0).Put(t.Context(), []byte("k"), make([]byte, size), nil)
		}
	}
	for err := error(nil); err == nil; {
		_, _, err = n.RestorePoint(t.Context(), "p")
	}
	await(t, "a checkpoint that frees the log", func() bool {
		r, err := n.Checkpoint(t.Context())
		if err != nil {
			t.Fatalf("Checkpoint = %+v, %v", r, err)
		}
		return firstLSN(n) > 1
	})
	fs.Clear()
	await(t, "writes to go on", func() bool {
		_, err := n.Tenant(0).Put(t.Context(), []byte("after"), nil, nil)
		return err == nil
	})
	mustClose(t, n)
}
