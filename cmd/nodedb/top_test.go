package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nodedb-go/nodedb/internal/cli"
)

// top sees what happens between two looks, and Ctrl-C ends it without complaint.
func TestTop(t *testing.T) {
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", filepath.Join(t.TempDir(), "n"))
	ctx, cancel := context.WithCancelCause(t.Context())
	out, in := io.Pipe()
	code := make(chan int)
	var errs bytes.Buffer
	go func() {
		code <- newApp().Run(ctx, []string{"top", "--addr", s.addr, "--interval", "20ms"}, strings.NewReader(""), in, &errs)
	}()
	buf := make([]byte, 1<<10)
	lines := 0
	put := false
	for seen := ""; !strings.Contains(seen, " 1           "); lines++ { // LSN 1 is durable
		n, err := out.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if seen = string(buf[:n]); !put && lines > 1 {
			if code, _, errs := run(t, "put", "k", "v", "--addr", s.addr); code != 0 {
				t.Fatal(errs)
			}
			put = true
		}
	}
	cancel(&cli.Interrupt{Signal: syscall.SIGINT})
	go func() { _, _ = io.Copy(io.Discard, out) }() // what is under way
	if got := <-code; got != 0 {
		t.Errorf("exit %d after Ctrl-C: %s", got, &errs)
	}
	_ = in.Close()
	got, doc, stderr := run(t, "top", "--addr", s.addr, "--interval", "10ms", "--json")
	var l look
	if err := json.Unmarshal([]byte(doc), &l); err != nil || got != 0 || l.Durable != 1 || l.Clients != 1 || l.Commands <= 0 || l.P99 != 0 {
		t.Errorf("exit %d, %v, %+v %s", got, err, l, stderr)
	}
	// The p99 is of the updates between two looks.
	for l.P99 == 0 && t.Context().Err() == nil {
		over := make(chan string)
		go func() {
			var out, errs bytes.Buffer
			newApp().Run(t.Context(), []string{"top", "--addr", s.addr, "--interval", "50ms", "--json"}, strings.NewReader(""), &out, &errs)
			over <- out.String()
		}()
		for running := true; running; {
			if code, _, errs := run(t, "put", "k", "v", "--addr", s.addr); code != 0 {
				t.Fatal(errs)
			}
			select {
			case doc = <-over:
				running = false
			default:
			}
		}
		if err := json.Unmarshal([]byte(doc), &l); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := run(t, "top"); code != 2 || !strings.Contains(errs, "--addr HOST:PORT") {
		t.Errorf("top of nothing: exit %d %s", code, errs)
	}
	s.stop()
}
