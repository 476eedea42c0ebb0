package main

import (
	"bufio"
	"bytes"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nodedb-go/nodedb/internal/trace/tracetest"
)

func TestServe_TraceUsage(t *testing.T) {
	for _, c := range []struct{ flag, value, want string }{
		{"--otlp-endpoint", "collector:4318", "want http:// or https://"},
		{"--otlp-endpoint", "http://eve:secret@collector", "OTEL_EXPORTER_OTLP_HEADERS"},
		{"--trace-ratio", "1.5", "want 0 to 1"},
	} {
		args := []string{"serve", "--dir", filepath.Join(t.TempDir(), "n"), "--addr", "off", "--admin", "off", c.flag, c.value}
		if c.flag == "--trace-ratio" {
			args = append(args, "--otlp-endpoint", "http://127.0.0.1:4318")
		}
		if code, _, errs := run(t, args...); code != 2 || !strings.Contains(errs, c.want) || strings.Contains(errs, "secret") {
			t.Errorf("%s %s: exit %d, %s", c.flag, c.value, code, errs)
		}
	}
}

// A node that serves sends its traces, at the latest when it stops; one whose
// collector is gone stops as well.
func TestServe_Trace(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	at := tracetest.New(t)
	for _, endpoint := range []string{at.URL, "http://" + gone.Addr().String()} {
		dir := filepath.Join(t.TempDir(), "n")
		cmd := child(t.Context(), "nodedb", "serve", "--addr", "127.0.0.1:0", "--admin", "off", "--dir", dir, "--archive", "file://"+filepath.Join(t.TempDir(), "a"), "--otlp-endpoint", endpoint, "--trace-ratio", "1")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		log := bufio.NewScanner(stderr)
		_, addr, _ := strings.Cut(waitFor(t, log, "Redis clients on "), "Redis clients on ")
		waitFor(t, log, "running")
		if code, _, errs := run(t, "put", "--addr", strings.TrimSpace(addr), "secret-key", "secret-value"); code != 0 {
			t.Errorf("put: exit %d, %s", code, errs)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		for log.Scan() { // Wait closes the pipe, so it is read to its end first
			said.WriteString(log.Text() + "\n")
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve: %v", err)
		}
		if lost := strings.Contains(said.String(), "traces are not delivered"); lost != (endpoint != at.URL) {
			t.Errorf("%s: the node said %s", endpoint, said.String())
		}
	}
	var names []string
	for _, s := range at.Spans() {
		names = append(names, s.Name)
		if s.Resource["service.instance.id"] == "" || s.Resource["service.name"] != "nodedb" {
			t.Errorf("resource %v", s.Resource)
		}
	}
	for _, want := range []string{"NODEDB.PUT", "checkpoint", "upload segment"} {
		if !slices.Contains(names, want) {
			t.Errorf("spans %q, want one of %s", names, want)
		}
	}
	if bytes.Contains(at.Bytes(), []byte("secret")) {
		t.Error("keys or values were sent to the collector")
	}
}
