package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

func manyPuts(from, n int) []wal.Record {
	var log []wal.Record
	for i := range n {
		log = append(log, kit.Put(wal.LSN(from+i), 1, fmt.Sprintf("key-%06d", i), strings.Repeat("v", 100)+fmt.Sprint(i)))
	}
	return log
}

// TestFiles: an export opens as a vshard, at the LSN that it says, which is what
// was flushed and not what was applied.
func TestFiles(t *testing.T) {
	mem := vfs.NewMem()
	s := kit.NewShared(t, mem)
	v := kit.Open(t, s, 0)
	kit.Apply(t, v, manyPuts(1, 500), 50)
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	flushed := kit.DumpVShard(t, v)
	kit.Apply(t, v, manyPuts(501, 10), 5)

	f, err := v.Files(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	if f.Applied != 500 || f.Time != kit.Time(500) {
		t.Errorf("export is at lsn %d, time %d, want 500", f.Applied, f.Time)
	}
	var bytes int64
	for _, name := range f.Names {
		info, err := mem.Stat("base/" + name)
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if bytes != f.Bytes || len(f.Names) < 4 {
		t.Errorf("export of %d bytes in %v, want %d bytes", f.Bytes, f.Names, bytes)
	}

	// Only the named files travel.
	if err := mem.MkdirAll("restored", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Names {
		if err := vfs.Copy(mem, "base/"+name, "restored/"+name); err != nil {
			t.Fatal(err)
		}
	}
	r := open(t, s, 0, "restored")
	defer r.Close()
	if r.Applied() != 500 {
		t.Errorf("restored at lsn %d", r.Applied())
	}
	if diff := cmp.Diff(flushed, kit.DumpVShard(t, r)); diff != "" {
		t.Error(diff)
	}
	if _, err := v.Files(t.Context(), "base"); err == nil {
		t.Error("an export over another was accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Files(ctx, "base2"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled export: %v", err)
	}
}

// An export right after an open is whole, although the store has logged nothing.
func TestFiles_NothingWrittenSinceOpen(t *testing.T) {
	s := kit.NewShared(t, vfs.NewMem())
	v := kit.Open(t, s, 0)
	kit.Apply(t, v, manyPuts(1, 50), 50)
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := v.Reopen(); err != nil {
		t.Fatal(err)
	}
	f, err := v.Files(t.Context(), "base")
	if err != nil || f.Applied != 50 {
		t.Fatalf("Files = %+v, %v, want LSN 50", f, err)
	}
}

// TestDamagedTable: a flipped bit anywhere in a table is an error that names the
// file, from reads, scans, digests and exports that meet it; never wrong data.
func TestDamagedTable(t *testing.T) {
	mem := vfs.NewMem()
	s := kit.NewShared(t, mem)
	v := open(t, s, 0, "vshard")
	kit.Apply(t, v, manyPuts(1, 300), 50)
	if err := errors.Join(v.Flush(), v.Close()); err != nil {
		t.Fatal(err)
	}
	path, data := table(t, mem, "vshard")
	noticed := 0
	for at := 0; at < len(data); at += 1 + len(data)/150 {
		bad := append([]byte(nil), data...)
		bad[at] ^= 0x20
		write(t, mem, path, bad)
		if err := readAll(t, mem); err != nil {
			noticed++
			var c *engine.CorruptError
			if !errors.As(err, &c) || !strings.Contains(c.Path, "vshard") {
				t.Errorf("byte %d: got %v, want a *CorruptError with the path", at, err)
			}
		}
	}
	// Some bytes are in parts that a read has no use for.
	if noticed < 100 {
		t.Errorf("only %d of 150 flipped bits were noticed", noticed)
	}
	write(t, mem, path, data[:len(data)/2])
	if err := readAll(t, mem); err == nil {
		t.Error("a table cut in half was not noticed")
	}
	if err := mem.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := readAll(t, mem); err == nil || !strings.Contains(err.Error(), "vshard") {
		t.Errorf("a missing table: got %v", err)
	}
}

// readAll opens the store with cold caches and reads everything; data that is
// read must be right.
func readAll(t *testing.T, mem vfs.FS) error {
	t.Helper()
	s, err := engine.NewShared(&engine.Options{FS: mem, Engines: []engine.Engine{kv.Engine{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v, err := engine.OpenVShard(s, "vshard", 0)
	if err != nil {
		return err
	}
	defer v.Close()
	snap, err := v.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	if _, err := snap.Digest(t.Context()); err != nil {
		return err
	}
	for i := range 300 {
		e, err := kv.Read(v, 7, fmt.Appendf(nil, "key-%06d", i), 0)
		if err != nil {
			return err
		}
		if want := strings.Repeat("v", 100) + fmt.Sprint(i); string(e.Value) != want {
			t.Errorf("key %d: read %q", i, e.Value)
		}
	}
	return nil
}

func table(t *testing.T, fs vfs.FS, dir string) (string, []byte) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := fs.Open(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return dir + "/" + name, data
	}
	t.Fatal("no table")
	return "", nil
}

func write(t *testing.T, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(append([]byte(nil), data...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	mem := vfs.NewMem()
	s := kit.NewShared(t, mem)
	v := open(t, s, 3, "vshard")
	one := kit.Put(1, 1, "k", "v")
	one.VShard = 3
	kit.Apply(t, v, []wal.Record{one}, 1)
	if err := errors.Join(v.Flush(), v.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.OpenVShard(s, "vshard", 4); !errors.Is(err, engine.ErrWrongVShard) {
		t.Errorf("store of another vshard: %v", err)
	}
	names, err := mem.List("vshard")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "marker.format-version.") {
			write(t, mem, "vshard/"+name[:len(name)-3]+"999", nil)
			if err := mem.Remove("vshard/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := engine.OpenVShard(s, "vshard", 3); !errors.Is(err, engine.ErrNewerFormat) {
		t.Errorf("store of a newer version: %v", err)
	}
	if _, err := engine.OpenVShard(nil, "x", 0); err == nil {
		t.Error("no Shared was accepted")
	}
}
