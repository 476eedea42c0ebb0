package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nodedb-go/nodedb/internal/cli"
)

// A running node keeps others out and names itself; a signal drains it.
func TestServe(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "n"), "file://"+filepath.Join(t.TempDir(), "a")
	if code, _, errs := run(t, "put", "--dir", dir, "k", "v"); code != 0 {
		t.Fatal(errs)
	}
	cmd := child(t.Context(), "nodedb", "serve", "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--dir", dir, "--archive", url, "--json", "--log-level", "info")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewScanner(stderr)
	waitFor(t, log, "running")

	pid := fmt.Sprintf("pid %d", cmd.Process.Pid)
	code, _, errs := run(t, "get", "--dir", dir, "k")
	if code != 1 || !strings.Contains(errs, "held by "+pid) {
		t.Errorf("get on a running node: exit %d, %s", code, errs)
	}
	if code, _, errs = run(t, "wal", "verify", "--dir", dir); code != 1 || !strings.Contains(errs, pid) {
		t.Errorf("wal verify on a running node: exit %d, %s", code, errs)
	}
	code, out, errs := run(t, "status", "--dir", dir)
	if code != 0 || !strings.Contains(out, pid) {
		t.Errorf("status of a running node: exit %d, %s%s", code, out, errs)
	}
	if code, out, errs = run(t, "wal", "dump", "--dir", dir); code != 0 {
		t.Errorf("wal dump of a running node: exit %d, %s%s", code, out, errs)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, log, "stopping")
	for log.Scan() { // Wait closes the pipe, so it is read to its end first
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("serve after SIGTERM: %v", err)
	}
	var doc serveDoc
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
		t.Fatalf("%v in %q", err, stdout.String())
	}
	if doc.Durable == 0 || doc.Archived != doc.Durable || doc.Checkpointed == 0 {
		t.Errorf("not drained: %+v", doc)
	}
	if code, out, errs := run(t, "get", "--dir", dir, "k"); code != 0 || out != "v" {
		t.Errorf("get after serve: exit %d, %q %s", code, out, errs)
	}
}

func waitFor(t *testing.T, lines *bufio.Scanner, text string) string {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return lines.Text()
		}
	}
	t.Fatalf("standard error ended without %q: %v", text, lines.Err())
	return ""
}

// Ctrl-C in the middle of a load: what was read is durable, the message says
// how much that is, and the exit code is a shell's.
func TestLoadInterrupted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n")
	ctx, cancel := context.WithCancelCause(t.Context())
	in, feed := io.Pipe()
	go func() {
		for i := range 500 {
			fmt.Fprintf(feed, "{\"key\":\"%06d\",\"value\":\"x\"}\n", i)
		}
		cancel(&cli.Interrupt{Signal: syscall.SIGINT})
		for i := 500; ; i++ { // load stops reading: the pipe is closed below
			if _, err := fmt.Fprintf(feed, "{\"key\":\"%06d\",\"value\":\"x\"}\n", i); err != nil {
				return
			}
		}
	}()
	var out, errs bytes.Buffer
	code := newApp().Run(ctx, []string{"load", "--dir", dir, "--format", "jsonl"}, in, &out, &errs)
	_ = in.Close()
	var loaded int
	for line := range strings.Lines(errs.String()) {
		if before, _, ok := strings.Cut(line, " entries before it are loaded"); ok {
			if _, err := fmt.Sscan(strings.ReplaceAll(before, ",", ""), &loaded); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code != 130 || loaded < 1 || out.Len() > 0 {
		t.Fatalf("exit %d, %d loaded, stdout %q, stderr %s", code, loaded, &out, &errs)
	}
	_, list, _ := run(t, "scan", "--dir", dir, "--limit", "0")
	if got := strings.Count(list, "\n"); got != loaded {
		t.Errorf("%d keys are there, %d were reported", got, loaded)
	}
	want := fmt.Sprintf("\"%06d\"\n", loaded-1)
	if !strings.HasSuffix(list, want) {
		t.Errorf("the loaded keys are not the first %d", loaded)
	}
}

// An interrupted demo leaves no process and no directory.
func TestDemoInterrupted(t *testing.T) {
	work := t.TempDir()
	cmd := child(t.Context(), "nodedb", "demo", "--source", ".", "--work", work, "--writers", "2", "--progress", "json")
	nodedb, err := exec.LookPath("nodedb") // the demo starts itself again, by its name
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = nodedb
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewScanner(stderr)
	waitFor(t, log, `"progress":"overwrite, remove"`)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var rest strings.Builder
	for log.Scan() {
		rest.WriteString(log.Text() + "\n")
	}
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("exit %v, want 130: %s", err, rest.String())
	}
	if left, err := filepath.Glob(filepath.Join(work, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// A reader of standard output that goes away is no error worth a message.
func TestClosedPipe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n")
	if code, _, errs := runWith(t.Context(), `{"key":"a","value":"1"}`, "load", "--dir", dir); code != 0 {
		t.Fatal(errs)
	}
	var errs bytes.Buffer
	code := newApp().Run(t.Context(), []string{"export", "--dir", dir}, strings.NewReader(""), brokenPipe{}, &errs)
	if code != int(cli.CodePipe) || errs.Len() > 0 {
		t.Errorf("exit %d, stderr %q", code, &errs)
	}
	if code, _, errs := run(t, "get", "--dir", dir, "a"); code != 0 {
		t.Errorf("the node was not closed: exit %d %s", code, errs)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", syscall.EPIPE) }

// Every verb takes --json and --help, and every flag has its variable.
func TestEveryVerb(t *testing.T) {
	var walk func(path []string, verbs []*cli.Verb)
	walk = func(path []string, verbs []*cli.Verb) {
		for _, v := range verbs {
			full := append(append([]string{}, path...), v.Name)
			walk(full, v.Verbs)
			code, out, errs := run(t, append(full, "--help")...)
			if code != 0 || !strings.Contains(out, v.Usage) {
				t.Errorf("%v --help: exit %d %s%s", full, code, out, errs)
			}
			if v.Run != nil && (!strings.Contains(out, "--json") || !strings.Contains(out, "NODEDB_")) {
				t.Errorf("%v has no --json or names no variable:\n%s", full, out)
			}
		}
	}
	walk(nil, newApp().Verbs)
}

// A mistake on the command line is told before a port is taken.
func TestServe_MistakesFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // taken already
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "n")
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--dir", dir, "--on-archive-stall", "panic"}, 2, "want block or shed"},
		{[]string{"--dir", file}, 1, "is a file"},
		{[]string{"--dir", dir}, 1, "take another --admin"},
	} {
		code, _, errs := run(t, append([]string{"serve", "--addr", "off", "--unix-socket", file + ".sock", "--admin", l.Addr().String()}, tc.args...)...)
		if code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%q: exit %d, %s, want %d, %q", tc.args, code, errs, tc.code, tc.want)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory was made")
	}
}
