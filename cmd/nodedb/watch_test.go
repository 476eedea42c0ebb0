package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/lambda/index"
)

// watching is a `catalog watch` that runs in this process.
type watching struct {
	out  *bufio.Reader
	errs *bufio.Reader
	stop func() int
}

func watchArchive(t *testing.T, args ...string) *watching {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	done := make(chan int, 1)
	go func() {
		code := newApp().Run(ctx, append([]string{"catalog", "watch"}, args...), strings.NewReader(""), outW, errW)
		_ = outW.Close()
		_ = errW.Close()
		done <- code
	}()
	w := &watching{out: bufio.NewReader(outR), errs: bufio.NewReader(errR)}
	w.stop = func() int {
		cancel(&cli.Interrupt{Signal: os.Interrupt})
		go func() { _, _ = io.Copy(io.Discard, w.out) }()
		return <-done
	}
	return w
}

func (w *watching) line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// One line for each segment as it is indexed, and a clean end at a signal.
func TestCatalogWatch(t *testing.T) {
	dir, url := t.TempDir(), "file://"+t.TempDir()
	put := func(key string) {
		t.Helper()
		if code, _, errs := run(t, "put", "--dir", dir, "--archive", url, "--node-id", "web-1", key, "1"); code != 0 {
			t.Fatal(errs)
		}
	}
	put("a")
	w := watchArchive(t, "--archive", url, "--interval", "1ms", "--json")
	if note := w.line(t, w.errs); !strings.Contains(note, "a listing every 1.00 ms") {
		t.Errorf("said %q", note)
	}
	for i, key := range []string{"b", "c"} {
		var r index.Result
		if err := json.Unmarshal([]byte(w.line(t, w.out)), &r); err != nil || r.Outcome != index.Indexed || r.Rows != 1 || !strings.Contains(r.Segment, "/web-1/wal/") {
			t.Errorf("line %d: %+v, %v", i, r, err)
		}
		put(key)
	}
	_ = w.line(t, w.out)
	var rest bytes.Buffer
	read := make(chan struct{})
	go func() { defer close(read); _, _ = rest.ReadFrom(w.errs) }()
	code := w.stop()
	<-read
	if code != 0 || !strings.Contains(rest.String(), "3 segments indexed") {
		t.Errorf("exit code %d, said %q", code, rest.String())
	}
}

// Posted events are taken with the token, and the address is said.
func TestCatalogWatch_Listen(t *testing.T) {
	t.Setenv("NODEDB_LISTEN_TOKEN", "secret")
	w := watchArchive(t, "--archive", "file://"+t.TempDir(), "--listen", "127.0.0.1:0")
	note := w.line(t, w.errs)
	go func() { _, _ = io.Copy(io.Discard, w.errs) }() // refusals are logged there
	i := strings.Index(note, "http://")
	if i < 0 {
		t.Fatalf("said %q", note)
	}
	address, _, _ := strings.Cut(note[i:], ";")
	for token, want := range map[string]int{"": 401, "secret": 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(`{"Event":"s3:TestEvent"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("token %q: %d, want %d", token, resp.StatusCode, want)
		}
	}
	if code := w.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestCatalogWatch_Usage(t *testing.T) {
	url := "file://" + t.TempDir()
	for _, args := range [][]string{
		{}, {"--archive", url, "--source", "queue"}, {"--archive", url, "--source", "webhook"}, {"--archive", url, "--source", "poll", "--listen", ":0"},
		{"--archive", url, "--archive", url}, {"--archive", url, "--interval", "0s"}, {"--archive", url, "--listen", "nowhere"},
		{"--archive", url, "--node-id", "N/1"},
	} {
		if code, _, errs := run(t, append([]string{"catalog", "watch"}, args...)...); code != int(cli.CodeUsage) {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
}
