package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/internal/cost"
)

// What is counted is what the documents and the cost table say, and a fleet is a
// sum of nodes.
func TestRun(t *testing.T) {
	var out, errs bytes.Buffer
	if err := run(t.Context(), []string{"-json", "-long", "40", "-records", "3", "-nodes", "1, 1000"}, &out, &errs); err != nil {
		t.Fatal(err, errs.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	m := r.Measured
	for name, c := range map[string]struct{ got, want float64 }{
		"puts of a segment":        {m.Segment.Puts, 1},
		"reads of a segment":       {m.Segment.Gets, 2}, // the proof, and the look for a later epoch
		"listings of a segment":    {m.Segment.Lists, 0},
		"puts of an index":         {m.Index.Puts, 1},
		"listings of an index":     {m.Index.Lists, 0},
		"puts of a sweep":          {m.Sweep.Puts, 1},
		"deletions of a merge":     {m.Merge.Deletes, 1},
		"puts of a merged segment": {m.Merge.Puts, 0},
		"a thousand nodes":         {r.Estimates[1].USD, 1000 * r.Estimates[0].USD},
	} {
		if math.Abs(c.got-c.want) > 1e-6*math.Max(1, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if m.Footer.Gets <= 0 || m.SegmentBytes <= 0 || m.IndexBytes <= 0 || m.BaseBytes <= 0 || r.Estimates[0].USD <= 0 {
		t.Errorf("something costs nothing: %+v", m)
	}
	for _, args := range [][]string{{"-nodes", "many"}, {"-segments", "0"}, {"-class", "SOFT"}} {
		if err := run(t.Context(), args, &out, &errs); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// The sums are those that a person makes by hand.
func TestOf(t *testing.T) {
	m := measured{Segment: unit{Puts: 1, Gets: 2}, Index: unit{Puts: 1, Gets: 3, Seconds: 0.01}, Sweep: unit{Puts: 1, Lists: 2}, SegmentBytes: 1 << 20}
	d := day{Segments: 1000, Sweep: time.Hour, KeepDays: 30}
	e := of(m, d, 2, cost.Class{Writes1000: 1, Reads1000: 0.1, GiBMonth: 1})
	want := map[string]float64{
		"nodes": 2 * (1000*1.0/1000 + 2000*0.1/1000),
		"index": 2 * (1000*1.0/1000 + 3000*0.1/1000),
		// Two listings and one put, and 59 more pages of 60,000 names.
		"sweep": 2 * 24 * (3 + 59) * 1.0 / 1000,
	}
	for _, p := range e.Parts {
		if math.Abs(p.RequestsUSD-want[p.Name]) > 1e-9 {
			t.Errorf("%s: %v USD of requests, want %v", p.Name, p.RequestsUSD, want[p.Name])
		}
	}
	if index := e.Parts[1]; math.Abs(index.Seconds-2*(10+4000*requestSeconds)) > 1e-6 || index.Invocations != 200 {
		t.Errorf("index: %+v", index)
	}
	if want := 2 * 30 * 1000.0 / 1024 / 30.4; math.Abs(e.StorageUSD-want) > 1e-9 {
		t.Errorf("storage %v, want %v", e.StorageUSD, want)
	}
	d.Merged = true
	var text bytes.Buffer
	r := report{Measured: m, Day: d, Prices: &cost.Prices{Currency: "USD"}, Estimates: []estimate{of(m, d, 7, cost.Class{})}}
	if err := writeText(&text, r); err != nil || !strings.Contains(text.String(), "OF 7 NODES") || !strings.Contains(text.String(), "compact") {
		t.Errorf("%v\n%s", err, text.String())
	}
}
