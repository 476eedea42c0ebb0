package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nodedb-go/nodedb/internal/cli"
)

const pushToken = "0123456789abcdef"

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A node that runs pushes what it has written, and what is refused says what to do.
func TestPush_RunningNode(t *testing.T) {
	if testing.Short() {
		t.Skip("verbs one after the other: the race detector has nothing to see")
	}
	dir, store, token := filepath.Join(t.TempDir(), "n"), "file://"+t.TempDir(), tokenFile(t, pushToken)
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-token-file", token,
		"--dir", dir, "--vshards", "4", "--archive", store, "--archive-timeout", "1h")
	if code, _, errs := run(t, "put", "--addr", s.addr, "k", "v"); code != 0 {
		t.Fatal(errs)
	}
	code, out, errs := run(t, "archive", "push", "--admin", s.admin, "--admin-token-file", token, "--json")
	var doc pushDoc
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 || doc.Archived == 0 {
		t.Fatalf("push: exit %d, %v, %+v %s", code, err, doc, errs)
	}
	if code, out, errs := run(t, "archive", "status", "--archive", store, "--json"); code != 0 || !strings.Contains(out, `"archived_lsn": `+doc.Archived.String()) {
		t.Errorf("what the store holds after the push up to %d: exit %d, %s%s", doc.Archived, code, out, errs)
	}
	if code, out, errs := run(t, "archive", "push", "--admin", s.admin, "--admin-token-file", token); code != 0 || !strings.HasPrefix(out, "archived up to LSN ") {
		t.Errorf("push again: exit %d, %s%s", code, out, errs)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--admin", s.admin}, 1, "name its file here with --admin-token-file FILE"},
		{[]string{"--admin", s.admin, "--admin-token-file", tokenFile(t, pushToken+"x")}, 1, "name its file here with --admin-token-file FILE"},
		{[]string{"--dir", dir, "--archive", store}, 1, "--admin HOST:PORT --admin-token-file FILE, without --dir"},
		{[]string{"--admin", s.admin, "--dir", dir}, 2, "cannot be given together"},
		{[]string{"--admin", s.admin, "--archive", store}, 2, "--archive is for a directory"},
		{[]string{"--admin", s.admin, "--tenant", "1"}, 2, "--tenant is for a directory"},
		{[]string{"--admin", "here"}, 2, `--admin is "here", want HOST:PORT`},
		{[]string{"--admin", "unix:/s"}, 2, "want HOST:PORT"},
	} {
		if code, _, errs := run(t, append(tc.args, "archive", "push")...); code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%q: exit %d, %s, want %d, %q", tc.args, code, errs, tc.code, tc.want)
		}
	}
	s.stop()
	if code, _, errs := run(t, "archive", "push", "--admin", s.admin, "--admin-token-file", token); code == 0 || !strings.Contains(errs, `is --admin where nodedb serve says "admin on"`) {
		t.Errorf("nobody listens: exit %d, %s", code, errs)
	}
}

// The answers of a node decide the exit code; Ctrl-C ends the wait.
func TestPush_Answers(t *testing.T) {
	var answer func(w http.ResponseWriter, r *http.Request)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer srv.Close()
	push := func(ctx context.Context) (int, string) {
		code, _, errs := runWith(ctx, "", "archive", "push", "--admin", strings.TrimPrefix(srv.URL, "http://"))
		return code, errs
	}
	for _, tc := range []struct {
		status int
		body   string
		code   cli.Code
		want   string
	}{
		{409, `{"error": "node: no archive"}`, cli.CodeUsage, "nodedb serve --archive URL"},
		{503, `{"error": "another node", "kind": "fenced"}`, cli.CodeFenced, "another node"},
		{503, `{"error": "the node is not open yet"}`, cli.CodeError, "the node is not open yet"},
		{404, `nothing`, cli.CodeError, "is that the admin server"},
		{200, `nothing`, cli.CodeError, "not what an admin server says"},
	} {
		answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = w.Write([]byte(tc.body))
		}
		if code, errs := push(t.Context()); code != int(tc.code) || !strings.Contains(errs, tc.want) {
			t.Errorf("%d %s: exit %d, %s, want %d, %q", tc.status, tc.body, code, errs, tc.code, tc.want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		cancel(&cli.Interrupt{Signal: syscall.SIGINT})
		<-r.Context().Done()
	}
	if code, errs := push(ctx); code != 130 || !strings.Contains(errs, "stopped by interrupt") {
		t.Errorf("Ctrl-C: exit %d, %s", code, errs)
	}
}
