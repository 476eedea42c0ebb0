package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test binary be a child, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childArg {
		if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestSides starts every peer in a process of its own, does what its rows do for
// a moment, and checks that the block device saw the syncs.
func TestSides(t *testing.T) {
	tests := []struct {
		side string
		op   string
	}{
		{"badger", "put"}, {"bbolt", "put"}, {"goleveldb", "put"}, {"pebble", "put"},
		{"pebble LogData", "append"}, {"raft-wal", "append"}, {"node", "put"}, {"wal", "append"}, {"core", "hop"}, {"parking core", "hop"},
	}
	b := newBench(t.TempDir(), true, io.Discard)
	watchDevice(b.dir)
	counts := deviceFlushes() > 0
	for _, tt := range tests {
		t.Run(tt.side, func(t *testing.T) {
			p, _, err := b.open(candidate{side: tt.side, procs: 2}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer p.kill()
			c := call{Op: tt.op, Clients: 4, Keys: 1000, Seconds: 0.05}
			if tt.op == "hop" {
				c.Clients = 1 // it has one task
			}
			sam, err := p.call(c)
			if err != nil {
				t.Fatal(err)
			}
			if sam.Ops == 0 || sam.P99 < sam.P50 || sam.Max < sam.P99 {
				t.Errorf("sample makes no sense: %+v", sam)
			}
			if counts && tt.op != "hop" && sam.Flushes*4 < sam.Ops/4 {
				t.Errorf("%d operations of 4 clients were acknowledged with %d flushes", sam.Ops, sam.Flushes)
			}
			if _, err := p.call(call{Op: "no such op"}); err == nil {
				t.Error("an unknown op was answered without an error")
			}
			if err := p.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSealSides compresses a small segment on both sides, and counts its bytes.
func TestSealSides(t *testing.T) {
	b := newBench(t.TempDir(), true, io.Discard)
	for _, side := range []string{"pipeline", "zstd"} {
		p, _, err := b.open(candidate{side: side, procs: 2, options: map[string]string{"mib": "8", "cores": "all"}}, "")
		if err != nil {
			t.Fatal(err)
		}
		sam, err := p.call(call{Op: "seal", Clients: 2, Seconds: 0.05})
		if err != nil || sam.Ops < 8 || sam.Content < sam.Ops<<20 || sam.Stored < sam.Content/5 || sam.Stored > sam.Content {
			t.Errorf("%s: %+v, %v", side, sam, err)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestABBA holds the order of slices: ours, theirs, theirs, ours, …
func TestABBA(t *testing.T) {
	var got strings.Builder
	side := func(name string) func(int) (sample, error) {
		return func(int) (sample, error) { got.WriteString(name); return sample{}, nil }
	}
	if _, err := abba(5, side("A"), side("B")); err != nil {
		t.Fatal(err)
	}
	if want := "ABBAABBAAB"; got.String() != want {
		t.Errorf("slices ran as %s, want %s", got.String(), want)
	}
	boom := errors.New("boom")
	_, err := abba(2, side("A"), func(int) (sample, error) { return sample{}, boom })
	if !errors.Is(err, boom) {
		t.Errorf("err = %v, want %v", err, boom)
	}
}

func sampleReport() report {
	r := compare("put <fast> & safe", opsPerSecond, atLeast(2), "node", "pebble", []pair{
		{sample{Ops: 200, Elapsed: 1e9, P50: 1000, P99: 5000, Flushes: 20}, sample{Ops: 100, Elapsed: 1e9}},
		{sample{Ops: 330, Elapsed: 1e9, P50: 1000, P99: 5000}, sample{Ops: 110, Elapsed: 1e9}},
		{sample{Ops: 250, Elapsed: 1e9, P50: 1000, P99: 5000}, sample{Ops: 100, Elapsed: 1e9}},
	})
	tail := compare("tail", p99, atMost(0.5), "node", "pebble", []pair{
		{sample{P99: 6000}, sample{P99: 10000}},
	})
	return report{CPUs: 2, Machine: "a machine", Go: "go", Rows: []Row{r, tail, failed("broken", atLeast(1), io.ErrUnexpectedEOF)}}
}

func TestCompare(t *testing.T) {
	rows := sampleReport().Rows
	if r := rows[0]; r.Ratio != 2.5 || r.Low != 2 || r.High != 3 || r.Reached() != "yes" {
		t.Errorf("row = %+v, want ratio 2.5 (2 to 3), reached", r)
	}
	if r := rows[1]; r.Ratio != 0.6 || r.Reached() != "no" {
		t.Errorf("row = %+v, want ratio 0.6, not reached", r)
	}
	if got := rows[2].Reached(); got != "failed" {
		t.Errorf("a row with an error is %q, want failed", got)
	}
}

// TestPublish writes the three outputs and reads back the two that are data.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	jsonName, svgName := filepath.Join(dir, "a.json"), filepath.Join(dir, "a.svg")
	var out bytes.Buffer
	if err := publish(sampleReport(), jsonName, svgName, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"put <fast> & safe", "2.50", "2.00–3.00", "yes", "no", "failed", "unexpected EOF"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("table lacks %q:\n%s", want, out.String())
		}
	}
	var back report
	if err := readJSON(jsonName, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Rows) != 3 || back.Rows[0].Ratio != 2.5 {
		t.Errorf("JSON read back: %+v", back.Rows)
	}
	svg, err := os.ReadFile(svgName)
	if err != nil {
		t.Fatal(err)
	}
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("SVG is no XML: %v", err)
		}
	}
	if !json.Valid(func() []byte { b, _ := os.ReadFile(jsonName); return b }()) {
		t.Error("JSON is not valid")
	}
}
