package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Only who finds the lock taken says so: a lock file that cannot be opened is another
// matter, whatever process id lies beside it.
func TestLockDir_CannotOpen(t *testing.T) {
	dir := t.TempDir()
	lock, err := LockDir(vfs.Default, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(vfs.Default, dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "held by pid") {
		t.Errorf("taken: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, LockFile)
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(vfs.Default, dir); err == nil || errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("cannot be opened: %v, want its path and not ErrLocked", err)
	}
}
