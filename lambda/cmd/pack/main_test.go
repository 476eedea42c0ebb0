package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The same program gives the same bytes, whenever its file was written, and the
// zip holds it as the runtime wants it.
func TestPack(t *testing.T) {
	dir := t.TempDir()
	program := bytes.Repeat([]byte("program "), 1000)
	var zips [][]byte
	for i, name := range []string{"a", "b"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, program, 0o600+os.FileMode(i)*0o100); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1e9*(i+1)), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if err := packFile(path, path+".zip"); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path + ".zip")
		if err != nil {
			t.Fatal(err)
		}
		zips = append(zips, data)
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("two zips of one program differ")
	}
	z, err := zip.NewReader(bytes.NewReader(zips[0]), int64(len(zips[0])))
	if err != nil {
		t.Fatal(err)
	}
	f := z.File[0]
	if len(z.File) != 1 || f.Name != "bootstrap" || f.Mode() != 0o755 {
		t.Errorf("%d files, the first is %s with mode %v", len(z.File), f.Name, f.Mode())
	}
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, program) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := packFile(filepath.Join(dir, "absent"), filepath.Join(dir, "z")); err == nil {
		t.Error("an absent program is packed")
	}
}
