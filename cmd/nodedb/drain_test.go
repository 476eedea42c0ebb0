package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
)

// A store that is down makes a short command wait for it, which it says once,
// with few warnings; Ctrl-C ends the wait, and what was put is there.
func TestPut_StoreDown(t *testing.T) {
	dir, at := filepath.Join(t.TempDir(), "n"), filepath.Join(t.TempDir(), "a")
	if code, _, errs := run(t, "put", "--dir", dir, "--archive", "file://"+at, "k", "1"); code != 0 {
		t.Fatal(errs)
	}
	if err := os.RemoveAll(at); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	read, write := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- newApp().Run(ctx, []string{"put", "--dir", dir, "--archive", "file://" + at, "k", "2"}, strings.NewReader(""), io.Discard, write)
		_ = write.Close()
	}()
	const notice = "waiting for the archive, up to 30s; Ctrl-C leaves the rest to the next start"
	var all strings.Builder
	for lines := bufio.NewScanner(read); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), notice) {
			cancel(&cli.Interrupt{Signal: syscall.SIGINT})
		}
	}
	if got := <-code; got != 0 || strings.Count(all.String(), notice) != 1 {
		t.Errorf("exit %d, want 0 and one notice in:\n%s", got, &all)
	}
	if n := strings.Count(all.String(), "archive request failed"); n < 1 || n > 3 {
		t.Errorf("%d warnings of failed requests, want the first and its doublings:\n%s", n, &all)
	}
	if code, out, errs := run(t, "get", "--dir", dir, "k"); code != 0 || out != "2" {
		t.Errorf("exit %d, %q %s", code, out, errs)
	}
}

// A node that is fenced while it runs says so once when it stops, and does not
// promise that the next start goes on.
func TestServe_Fenced(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "n"), "file://"+filepath.Join(t.TempDir(), "a")
	if code, _, errs := run(t, "put", "--dir", dir, "--archive", url, "--node-id", "shop", "k", "1"); code != 0 {
		t.Fatal(errs)
	}
	store, _, err := archive.OpenStore(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	read, write := io.Pipe()
	var out bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- newApp().Run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--dir", dir, "--archive", url}, strings.NewReader(""), &out, write)
		_ = write.Close()
	}()
	var all strings.Builder
	for lines := bufio.NewScanner(read); lines.Scan(); {
		if strings.Contains(lines.Text(), "running; Ctrl-C stops") {
			// A node that was restored from the archive takes over.
			if _, err := archive.ClaimEpoch(t.Context(), []archive.StoreConfig{{Store: store}}, archive.Claim{
				NodeID: "shop", ParentTimeline: 1, ForkLSN: 1, FirstLSN: 2, VShards: 4, Dir: t.TempDir(),
			}); err != nil {
				t.Error(err)
			}
			cancel(&cli.Interrupt{Signal: syscall.SIGINT})
		}
		if !strings.Contains(lines.Text(), "level=") {
			all.WriteString(lines.Text() + "\n")
		}
	}
	if got := <-code; got != int(cli.CodeFenced) {
		t.Errorf("exit %d, want %d:\n%s", got, cli.CodeFenced, &all)
	}
	if n := strings.Count(all.String(), "is fenced in"); n != 1 {
		t.Errorf("it says %d times who fenced it:\n%s", n, &all)
	}
	if !strings.Contains(all.String(), "the next start with this archive is refused") || strings.Contains(all.String(), "goes on") {
		t.Errorf("what becomes of the log:\n%s", &all)
	}
}
