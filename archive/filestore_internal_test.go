package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// syncRecorder notes what is synced, and what is visible at that moment.
type syncRecorder struct {
	t      *testing.T
	dir    string
	target string
	log    []string
	failAt int // index of the sync that fails; -1: none
}

func (r *syncRecorder) sync(f *os.File) error {
	name, err := filepath.Rel(r.dir, f.Name())
	if err != nil {
		r.t.Error(err)
	}
	if strings.HasPrefix(name, "..") {
		return f.Sync() // above the test's own directory
	}
	if strings.Contains(name, tempPrefix) {
		name = filepath.Join(filepath.Dir(name), "TEMP")
	}
	if _, err := os.Lstat(filepath.Join(r.dir, r.target)); err == nil {
		name += " with object"
	}
	r.log = append(r.log, name)
	if len(r.log)-1 == r.failAt {
		return syscall.EIO
	}
	return f.Sync()
}

func recordedStore(t *testing.T, dir, target string) (*fileStore, *syncRecorder) {
	t.Helper()
	s, err := NewFileStore(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	rec := &syncRecorder{t: t, dir: dir, target: filepath.Join("s", target), failAt: -1}
	fs := s.(*fileStore)
	fs.sync = rec.sync
	return fs, rec
}

// What Create acknowledges is on disk: each new directory's name, then the
// content, and only then the object's name.
func TestFileStoreSyncOrder(t *testing.T) {
	dir := t.TempDir()
	s, rec := recordedStore(t, dir, "a/b/key")
	create := func() error {
		rec.log = nil
		return s.Create(context.Background(), "a/b/key", strings.NewReader("x"), 1)
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".", "s", "s/a", "s/a/b/TEMP", "s/a/b with object"}, rec.log); diff != "" {
		t.Errorf("first Create syncs (-want +got):\n%s", diff)
	}
	// Whoever is told that the object exists may build on it.
	if err := create(); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"s/a/b with object"}, rec.log); diff != "" {
		t.Errorf("Create of what exists syncs (-want +got):\n%s", diff)
	}
	rec.log = nil
	if err := s.Delete(context.Background(), "a/b/key"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"s/a/b"}, rec.log); diff != "" {
		t.Errorf("Delete syncs (-want +got):\n%s", diff)
	}
	// Another process's directories may not be synced yet.
	other, rec := recordedStore(t, dir, "a/b/key")
	if err := other.Create(context.Background(), "a/b/key", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".", "s", "s/a", "s/a/b/TEMP", "s/a/b with object"}, rec.log); diff != "" {
		t.Errorf("Create in a directory that exists syncs (-want +got):\n%s", diff)
	}
}

// A sync that fails once: Create fails, nothing was acknowledged, no
// temporary file stays, and the next Create does everything again that is
// not known to be on disk.
func TestFileStoreSyncFails(t *testing.T) {
	for at := range 5 {
		dir := t.TempDir()
		s, rec := recordedStore(t, dir, "a/b/key")
		rec.failAt = at
		if err := s.Create(context.Background(), "a/b/key", strings.NewReader("x"), 1); !errors.Is(err, syscall.EIO) || !errors.Is(err, ErrUnreachable) {
			t.Fatalf("sync %d fails: Create says %v", at, err)
		}
		failed := rec.log[at]
		_, err := s.Stat(context.Background(), "a/b/key")
		if there := err == nil; there != strings.Contains(failed, "with object") {
			t.Errorf("sync %d (%s) fails: object there: %v", at, failed, there)
		}
		rec.log, rec.failAt = nil, -1
		err = s.Create(context.Background(), "a/b/key", strings.NewReader("x"), 1)
		if err != nil && !errors.Is(err, ErrExists) {
			t.Errorf("sync %d failed once: next Create says %v", at, err)
		}
		if !slices.Contains(rec.log, strings.TrimSuffix(failed, " with object")) && !slices.Contains(rec.log, failed) {
			t.Errorf("sync of %s failed and is not done again: %q", failed, rec.log)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "s/a/b", tempPrefix+"*")); err != nil || len(left) > 0 {
			t.Errorf("left %q, %v", left, err)
		}
	}
}
