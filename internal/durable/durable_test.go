package durable

import (
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/faultfs"
)

func read(t *testing.T, fsys vfs.FS, path string) string {
	t.Helper()
	f, err := fsys.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// At every operation a crash that loses all that is unsynced, and an error,
// leave the old file or the new one, whole; and nil means the new one.
func TestWriteFile_EveryOperation(t *testing.T) {
	for n := 1; ; n++ {
		mem := vfs.NewCrashableMem()
		if err := mem.MkdirAll("d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(SyncDir(mem, ""), WriteFile(mem, "d", "f", []byte("old"))); err != nil {
			t.Fatal(err)
		}
		fsys := faultfs.New(mem)
		reached := false
		fsys.Hook(func(op faultfs.Op) {
			if op.N == int64(n) {
				reached = true
				clone := mem.CrashClone(vfs.CrashCloneCfg{})
				if got := read(t, clone, "d/f"); got != "old" && got != "new" {
					t.Errorf("crash before operation %d leaves %q", n, got)
				}
			}
		})
		if err := WriteFile(fsys, "d", "f", []byte("new")); err != nil {
			t.Fatal(err)
		}
		if got := read(t, mem.CrashClone(vfs.CrashCloneCfg{}), "d/f"); got != "new" {
			t.Errorf("after a crash behind a successful write: %q", got)
		}
		if !reached {
			break
		}
	}
}

func TestWriteFile_Fails(t *testing.T) {
	mem := vfs.NewMem()
	err := WriteFile(mem, "nowhere", "f", []byte("x"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("write into a missing directory: %v", err)
	}
	if err := SyncDir(mem, "nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync of a missing directory: %v", err)
	}
}
