package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is loaded into a running node is what it exports, and what its directory
// exports when it has stopped.
func TestRemote_LoadAndExport(t *testing.T) {
	if testing.Short() {
		t.Skip("verbs one after the other: the race detector has nothing to see")
	}
	dir := filepath.Join(t.TempDir(), "n")
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", dir, "--vshards", "4")
	var lines strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&lines, "{\"key\":\"k/%04d\",\"value\":\"v%d\"}\n", i, i)
	}
	for i := range 50 { // of one key the last stays
		fmt.Fprintf(&lines, "{\"key\":\"same\",\"value\":\"%d\"}\n", i)
	}
	lines.WriteString("{\"key_b64\":\"/wA=\",\"value_b64\":\"AAEC/w==\",\"expires_at\":\"2091-01-01T00:00:00Z\"}\n")
	code, out, errs := runWith(t.Context(), lines.String(), "load", "--addr", s.addr, "--concurrency", "16")
	if code != 0 || !strings.Contains(out, "loaded 2,051 entries") {
		t.Fatalf("load: exit %d, %s%s", code, out, errs)
	}
	code, _, errs = runWith(t.Context(), "a\t1\nb\n", "load", "--addr", s.addr, "--format", "tsv", "--tenant", "3")
	if code != 1 || !strings.Contains(errs, "-:2: ") || !strings.Contains(errs, "1 entries before it are loaded") {
		t.Errorf("malformed: exit %d, %s", code, errs)
	}
	if code, out, errs := run(t, "export", "--addr", s.addr, "--tenant", "3"); code != 0 || out != `{"key":"a","value":"1"}`+"\n" {
		t.Errorf("export of a tenant: exit %d, %q %s", code, out, errs)
	}
	code, there, errs := run(t, "export", "--addr", s.addr)
	if code != 0 || strings.Count(there, "\n") != 2002 || !strings.Contains(there, `{"key":"same","value":"49"}`) {
		t.Errorf("export: exit %d, %d lines %s", code, strings.Count(there, "\n"), errs)
	}
	code, out, errs = run(t, "export", "k/1", "--addr", s.addr, "--output", filepath.Join(t.TempDir(), "o"))
	if code != 0 || !strings.Contains(out, "exported 1,000 entries") || !strings.Contains(out, ", as of LSN 20") {
		t.Errorf("export to a file: exit %d, %s%s", code, out, errs)
	}
	for _, verb := range []string{"load", "export"} {
		code, _, errs := runWith(t.Context(), "a\t1\n", verb, "--dir", dir)
		if want := "; use --addr " + s.addr; code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s of a held directory: exit %d, %s, want %q", verb, code, errs, want)
		}
	}
	s.stop()
	_, here, errs := run(t, "export", "--dir", dir)
	if diff := cmp.Diff(here, there); diff != "" {
		t.Errorf("-directory +address\n%s%s", diff, errs)
	}
}

// While the archive takes nothing and the budget is used up, loading into a running
// node says so and waits; a single write is refused with a code of its own.
func TestRemote_LoadWaitsForArchive(t *testing.T) {
	root := t.TempDir()
	store, away := filepath.Join(root, "archive"), filepath.Join(root, "away")
	if err := os.Mkdir(store, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", filepath.Join(root, "n"), "--vshards", "4", "--log-level", "error",
		"--archive", "file://"+store, "--wal-budget", "1MiB", "--segment-size", "64KiB")
	if code, _, errs := run(t, "put", "first", "1", "--addr", s.addr); code != 0 {
		t.Fatalf("put: exit %d, %s", code, errs)
	}
	if err := errors.Join(os.Rename(store, away), os.WriteFile(store, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "k%03d\t%s\n", i, strings.Repeat(fmt.Sprint(i%10), 16<<10))
	}
	back := make(chan error, 1)
	go func() {
		for {
			code, _, errs := run(t, "put", "one", "more", "--addr", s.addr)
			if code == 0 {
				continue
			}
			var err error
			if !strings.Contains(errs, "ARCHIVEBEHIND ") {
				err = fmt.Errorf("a write over the budget: exit %d, %s", code, errs)
			}
			back <- errors.Join(err, os.Remove(store), os.Rename(away, store))
			return
		}
	}()
	code, out, errs := runWith(t.Context(), lines.String(), "load", "--addr", s.addr, "--format", "tsv", "--concurrency", "4")
	if code != 0 || !strings.Contains(out, "loaded 200 entries") || !strings.Contains(errs, "the archive is behind, loading waits for it") {
		t.Errorf("load: exit %d, %s%s", code, out, errs)
	}
	if err := <-back; err != nil {
		t.Error(err)
	}
	s.stop()
}

// A mistake on the command line is told before anybody is asked.
func TestRemote_Usage(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"get k --addr localhost", "want HOST:PORT or unix:PATH"},
		{"get k --addr ::1:6380", "want HOST:PORT or unix:PATH"},
		{"put k v --addr localhost:redis", "want a port from 1 to 65535"},
		{"status --addr 127.0.0.1:65536", "want a port from 1 to 65535"},
		{"checkpoint --addr 127.0.0.1:0", "want a port from 1 to 65535"},
		{"digest --addr unix:", "want unix:PATH"},
		{"load --addr 127.0.0.1:1 --vshards 4", "--vshards is for a directory"},
		{"load --addr 127.0.0.1:1 --archive mem://", "--archive is for a directory"},
		{"load --addr 127.0.0.1:1 --dir x", "--dir and --addr cannot be given together"},
		{"load --addr 127.0.0.1:1 --concurrency 0", "want 1 to 4096"},
		{"export --addr 127.0.0.1:1 --dir x", "--dir and --addr cannot be given together"},
		{"export --addr 127.0.0.1:1 --json", "--output"},
		{"incr k x --addr 127.0.0.1:1", ""},
		{"wal ls --addr 127.0.0.1:1", "run it on the node's host with --dir DIR"},
		{"wal --addr 127.0.0.1:1 ls", "see its commands"},
		{"--addr=127.0.0.1:1 wal verify", "run it on the node's host with --dir DIR"},
		{"archive ls --addr 127.0.0.1:1", "give --archive URL"},
		{"archive status --addr 127.0.0.1:1", "give --archive URL, and on the node's host --dir DIR"},
		{"archive push --addr 127.0.0.1:1", "give --admin HOST:PORT --admin-token-file FILE"},
		{"archive copy --addr 127.0.0.1:1", "give --from URL and --to URL"},
		{"archive keygen --addr 127.0.0.1:1", "leave the flag out"},
		{"catalog index --addr 127.0.0.1:1", "give --archive URL"},
	} {
		code, _, errs := runWith(t.Context(), "", strings.Fields(tc.line)...)
		if code != 2 || !strings.Contains(errs, tc.want) {
			t.Errorf("%s: exit %d, %s, want 2, %q", tc.line, code, errs, tc.want)
		}
	}
}
