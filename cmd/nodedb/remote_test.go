package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served is a child process of nodedb serve.
type served struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	log    *bufio.Scanner
	addr   string
	admin  string
}

var listening = regexp.MustCompile(`(Redis clients|admin) on (\S+)`)

// startServe runs serve on a free port, and returns when it listens. So does its admin
// server unless args say otherwise.
func startServe(t *testing.T, env []string, args ...string) *served {
	t.Helper()
	if !slices.Contains(args, "--admin") {
		args = append(args, "--admin", "127.0.0.1:0")
	}
	s := &served{t: t, cmd: child(t.Context(), "nodedb", append([]string{"serve", "--json"}, args...)...)}
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout = &s.stdout
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // when the test has not stopped it
	s.log = bufio.NewScanner(pipe)
	for s.log.Scan() {
		switch m := listening.FindStringSubmatch(s.log.Text()); {
		case m == nil:
		case m[1] == "admin":
			s.admin = m[2]
		case s.addr == "":
			s.addr = m[2]
		}
		if strings.Contains(s.log.Text(), "running") {
			return s
		}
	}
	t.Fatalf("serve ended: %v", s.cmd.Wait())
	return nil
}

// stop ends it by SIGTERM.
func (s *served) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	for s.log.Scan() { // Wait closes the pipe, so it is read to its end first
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("serve after SIGTERM: %v", err)
	}
}

// moving is what differs between two runs of the same verb.
var moving = regexp.MustCompile(`("?(lsn|time|[a-z]+_lsn|removed_bytes|removed_segments|duration_ns)"?: ?("[^"]*"|\d+))|LSN \d+( at \S+)?|(no|\d+) segments?, \S+ \S+|[\d.]+ [mµ]s|, \d{4}-\S+`)

// Each verb answers the same, as text and as JSON, whether it opens a directory or
// asks the node that has it open.
func TestRemote_AnswersAsDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("verbs one after the other: the race detector has nothing to see")
	}
	here, there := filepath.Join(t.TempDir(), "n"), filepath.Join(t.TempDir(), "n")
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", there, "--vshards", "4")
	for i, args := range [][]string{
		{"put", "user/1", "Ada"}, {"put", "user/2", "Bob\xff\x00"}, {"put", "--base64", "AP8=", "/wA="}, {"put", "--if-absent", "user/1", "x"},
		{"put", "--expires-at", "2091-01-01T00:00:00Z", "user/3", ""}, {"put", "--if-absent", "user/4", "x"}, {"put", "", "x"},
		{"put", "--idempotency-key", "i", "once", "1"}, {"put", "--idempotency-key", "i", "once", "2"}, {"get", "once"},
		{"put", "--tenant", "7", "user/1", "of seven"}, {"get", "--tenant", "7", "user/1"},
		{"get", "user/1"}, {"get", "user/2"}, {"get", "user/3"}, {"get", "nothing"}, {"get", "--base64", "AP8="},
		{"incr", "hits"}, {"incr", "hits", "-5"}, {"incr", "user/1"}, {"get", "hits"},
		{"scan"}, {"scan", "--values"}, {"scan", "user/", "--reverse"}, {"scan", "--from", "user/2", "--to", "user/4", "--values"},
		{"scan", "--limit", "2"}, {"scan", "--limit", "0"}, {"scan", "--tenant", "9"},
		{"del", "user/1", "nothing", "user/2"}, {"scan"}, {"scan", "--values"}, {"checkpoint"}, {"checkpoint"}, {"restore-point", "noon"}, {"restore-point", ""},
	} {
		line := append(args[:len(args):len(args)], []string{"--json=true", "--json=false"}[i%2])
		code, out, errs := run(t, append(line, "--dir", here)...)
		rcode, rout, rerrs := run(t, append(line, "--addr", s.addr)...)
		if diff := cmp.Diff(moving.ReplaceAllString(out, "#"), moving.ReplaceAllString(rout, "#")); code == 0 && diff != "" || code != 0 != (rcode != 0) {
			t.Errorf("%q: exit %d with a directory, %d with an address (-directory +address)\n%s%s\n%s", line, code, rcode, diff, errs, rerrs)
		}
	}
	_, rout, _ := run(t, "digest", "--json", "--addr", s.addr)
	_, out, _ := run(t, "digest", "--json", "--dir", here)
	var a, b struct{ Digest string }
	if err := json.Unmarshal([]byte(out), &a); err != nil || json.Unmarshal([]byte(rout), &b) != nil || a != b || a.Digest == "" {
		t.Errorf("digests differ: %v\n%s%s", err, out, rout)
	}
	if code, out, errs := run(t, "status", "--addr", s.addr); code != 0 || !strings.Contains(out, there) || !strings.Contains(out, "writable      yes") {
		t.Errorf("status: exit %d\n%s%s", code, out, errs)
	}
	code, _, errs := run(t, "get", "--dir", there, "hits")
	if want := "; use --addr " + s.addr; code != 1 || !strings.Contains(errs, "directory is held by pid ") || !strings.Contains(errs, want) {
		t.Errorf("get of a held directory: exit %d, %s, want %q", code, errs, want)
	}
	s.stop()
	if code, _, errs := run(t, "get", "--addr", s.addr, "hits"); code != 1 || !strings.Contains(errs, "is nodedb serve running there?") {
		t.Errorf("nobody listens: exit %d, %s", code, errs)
	}
	if code, out, errs := run(t, "get", "--dir", there, "hits"); code != 0 {
		t.Errorf("after serve: exit %d, %s%s", code, out, errs)
	}
}

// A scan over pages gives what one page would.
func TestRemote_ScanPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n")
	var lines strings.Builder
	value := strings.Repeat("v", 100_000) // a dozen fill a page
	for _, k := range "abcdefghijklmnopqrstuvwxyz" {
		lines.WriteString(`{"key":"` + string(k) + `","value":"` + value + "\"}\n")
	}
	if code, _, errs := runWith(t.Context(), lines.String(), "load", "--dir", dir); code != 0 {
		t.Fatal(errs)
	}
	_, want, _ := run(t, "scan", "--dir", dir, "--values", "--json")
	sock := filepath.Join(t.TempDir(), "s")
	s := startServe(t, nil, "--addr", "off", "--unix-socket", sock, "--dir", dir)
	for _, args := range [][]string{{"--limit", "0"}, {"--limit", "1000"}} {
		code, got, errs := run(t, append(args, "scan", "--values", "--json", "--addr", "unix:"+sock)...)
		if code != 0 || got != want {
			t.Errorf("%q: exit %d %s, %d bytes, want %d", args, code, errs, len(got), len(want))
		}
	}
	_, got, _ := run(t, "scan", "--limit", "25", "--json", "--addr", "unix:"+sock)
	var doc scanDoc
	if err := json.Unmarshal([]byte(got), &doc); err != nil || len(doc.Entries) != 25 || doc.Cursor == "" {
		t.Fatalf("%v, %d entries, cursor %q", err, len(doc.Entries), doc.Cursor)
	}
	if _, got, errs := run(t, "scan", "--cursor", doc.Cursor, "--addr", "unix:"+sock); got != "\"z\"\n" {
		t.Errorf("behind the cursor: %q %s", got, errs)
	}
	s.stop()
}

// What cannot be meant is refused, and what a password guards is told.
func TestRemote_Refuses(t *testing.T) {
	pass := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(pass, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", filepath.Join(t.TempDir(), "n"), "--password-file", pass)
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"get", "k", "--addr", s.addr, "--dir", "x"}, 2, "--dir and --addr cannot be given together"},
		{[]string{"put", "k", "v", "--addr", s.addr, "--archive", "mem://"}, 2, "--archive is for a directory"},
		{[]string{"get", "k", "--addr", ""}, 2, "--addr is empty"},
		{[]string{"get", "k", "--addr", s.addr}, 1, "NOAUTH"},
		{[]string{"get", "k", "--addr", s.addr, "--tls"}, 1, "ask the node at"},
		{[]string{"get", "k", "--addr", s.addr, "--user", "nobody", "--password-file", pass}, 1, "WRONGPASS"},
		{[]string{"put", "k", "v", "--addr", s.addr, "--password-file", pass}, 0, ""},
	} {
		if code, _, errs := run(t, tc.args...); code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%q: exit %d, %s, want %d, %q", tc.args, code, errs, tc.code, tc.want)
		}
	}
	t.Setenv("NODEDB_ADDR", s.addr)
	t.Setenv("NODEDB_PASSWORD_FILE", pass)
	if code, out, errs := run(t, "get", "k"); code != 0 || out != "v" {
		t.Errorf("address of the environment: exit %d, %q %s", code, out, errs)
	}
	s.stop()
}
