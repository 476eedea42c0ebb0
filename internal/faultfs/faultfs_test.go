package faultfs

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// scenario does one operation of each kind and returns the first error.
func scenario(fs *FS) error {
	if err := fs.MkdirAll("d", 0o755); err != nil { // 1
		return err
	}
	f, err := fs.Create("d/a", vfs.WriteCategoryUnspecified) // 2
	if err != nil {
		return err
	}
	defer f.Close()
	for _, do := range []func() error{
		func() error { _, err := f.Write([]byte("0123456789")); return err },  // 3
		func() error { _, err := f.WriteAt([]byte("abcdef"), 2); return err }, // 4
		f.SyncData, // 5
		func() error { return fs.Link("d/a", "d/b") },       // 6
		func() error { return fs.Rename("d/b", "d/c") },     // 7
		func() error { return fs.Remove("d/c") },            // 8
		func() error { return syncDirectory(fs, "d") },      // 9
		func() error { _, err := fs.Stat("d"); return err }, // not counted
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func syncDirectory(fs *FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func TestCountAndHook(t *testing.T) {
	fs := New(vfs.NewMem())
	var got []Kind
	fs.Hook(func(op Op) { got = append(got, op.Kind) })
	if err := scenario(fs); err != nil {
		t.Fatal(err)
	}
	want := []Kind{Mkdir, Create, Write, Write, Sync, Link, Rename, Remove, Sync}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if fs.Count() != 9 || fs.Hits() != 0 {
		t.Errorf("count %d, hits %d; want 9, 0", fs.Count(), fs.Hits())
	}
}

func TestEveryOperationFails(t *testing.T) {
	for n := int64(1); n <= 9; n++ {
		fs := New(vfs.NewMem())
		fs.Inject(Fail(n))
		if err := scenario(fs); !errors.Is(err, ErrInjected) {
			t.Errorf("operation %d: error %v, want %v", n, err, ErrInjected)
		}
		if fs.Count() != n || fs.Hits() != 1 || fs.HitAt() != n {
			t.Errorf("operation %d: count %d, hits %d, the last at %d", n, fs.Count(), fs.Hits(), fs.HitAt())
		}
	}
}

func TestShortWrite(t *testing.T) {
	mem := vfs.NewMem()
	fs := New(mem)
	fs.Inject(Short(3))
	if err := scenario(fs); !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("error %v, want a short write", err)
	}
	got, err := mem.UnsafeGetFileDataBuffer("d/a")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "01234" {
		t.Errorf("content %q, want half", got)
	}
}

func TestSyncFailsOnce(t *testing.T) {
	fs := New(vfs.NewMem())
	fs.Inject(SyncFails(1))
	if err := scenario(fs); !errors.Is(err, syscall.EIO) || fs.Count() != 5 {
		t.Fatalf("error %v at operation %d, want EIO at 5", err, fs.Count())
	}
	if err := scenario(fs); err != nil {
		t.Fatalf("second run: %v", err)
	}
}

func TestFullDiskTakesNoNewBytes(t *testing.T) {
	fs := New(vfs.NewMem())
	f, err := fs.Create("a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 100), 0); err != nil {
		t.Fatal(err)
	}
	fs.SetFull(true)
	if _, err := f.WriteAt(make([]byte, 60), 40); err != nil {
		t.Errorf("overwrite on a full disk: %v", err)
	}
	if _, err := f.WriteAt(make([]byte, 60), 41); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("growth on a full disk: %v, want ENOSPC", err)
	}
	if _, err := fs.OpenReadWrite("b", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("new file on a full disk: %v, want ENOSPC", err)
	}
	if err := fs.Remove("a"); err != nil {
		t.Errorf("remove on a full disk: %v", err)
	}
	fs.Clear()
	if err := scenario(fs); err != nil {
		t.Errorf("after Clear: %v", err)
	}
}

// A crash clone taken at an operation holds what was synced before it, and
// nothing that was not.
func TestCrashClone(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := New(mem)
	var clones []*vfs.MemFS
	fs.Hook(func(Op) { clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{})) })
	f, err := fs.Create("a", vfs.WriteCategoryUnspecified) // 1
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syncDirectory(fs, ""); err != nil { // 2
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil { // 3
		t.Fatal(err)
	}
	if err := f.SyncData(); err != nil { // 4
		t.Fatal(err)
	}
	if err := fs.Remove("a"); err != nil { // 5
		t.Fatal(err)
	}
	want := []string{"absent", "absent", "", "", "x"}
	for i, clone := range clones {
		got := "absent"
		if data, err := clone.UnsafeGetFileDataBuffer("a"); err == nil {
			got = string(data)
		}
		if got != want[i] {
			t.Errorf("before operation %d: %q, want %q", i+1, got, want[i])
		}
	}
	if len(clones) != len(want) {
		t.Errorf("%d operations, want %d", len(clones), len(want))
	}
}

// A crash is cloned while a directory is locked: neither waits for the other.
func TestCloneDuringLock(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := New(mem)
	fs.Hook(func(Op) { mem.CrashClone(vfs.CrashCloneCfg{}) })
	done := make(chan error, 1)
	go func() {
		for range 2000 {
			l, err := fs.Lock("LOCK")
			if err == nil {
				err = l.Close()
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
		if err := fs.MkdirAll("dir", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := fs.RemoveAll("dir"); err != nil {
			t.Fatal(err)
		}
	}
}
