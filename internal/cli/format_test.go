package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFormats(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{FormatSize(0), "0 B"}, {FormatSize(1023), "1023 B"}, {FormatSize(1000), "1000 B"},
		{FormatSize(100 << 20), "100 MiB"}, {FormatSize(1<<30 - 1), "1.00 GiB"}, {FormatSize(-5 << 20), "-5.00 MiB"},
		{FormatCount(0), "0"}, {FormatCount(999), "999"}, {FormatCount(1000), "1,000"},
		{FormatCount(-1234567), "-1,234,567"}, {FormatCount(uint64(1 << 63)), "9,223,372,036,854,775,808"},
		{FormatDuration(0), "0 ns"}, {FormatDuration(1500), "1.50 µs"}, {FormatDuration(12345 * time.Microsecond), "12.3 ms"},
		{FormatDuration(90 * time.Second), "90.0 s"}, {FormatDuration(-time.Second), "-1.00 s"}, {FormatDuration(3 * time.Minute), "3m0s"},
		{FormatRate(1<<20, 0), "-"}, {FormatRate(1<<20, 2*time.Second), "512 KiB/s"}, {FormatPerSecond(10000, time.Second), "10,000/s"},
		{FormatTime(time.Time{}), "-"}, {FormatTime(time.UnixMicro(1)), "1970-01-01T00:00:00.000001Z"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "4k": 4096, "4KB": 4096, "4 KiB": 4096, "1.5M": 3 << 19, "2GiB": 2 << 30, "1t": 1 << 40, "8B": 8,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "x", "1Q", "1..2", "M", "9000000P", "1 M B"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestParseSizeReadsWhatFormatSizeWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<50).Draw(t, "n")
		got, err := ParseSize(FormatSize(n))
		if err != nil || float64(got) < 0.994*float64(n) || float64(got) > 1.006*float64(n) {
			t.Fatalf("%d → %q → %d, %v", n, FormatSize(n), got, err)
		}
	})
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"dir", "dri", 1}, {"archive", "archvie", 1}, {"load", "export", 5}} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

// Progress as JSON: the last line of a bar says where it ended.
func TestProgressJSON(t *testing.T) {
	var buf bytes.Buffer
	p := newProgress(&muxWriter{w: &buf}, "json")
	b := p.Bar("load", 10, Items)
	for range 7 {
		b.Add(1)
	}
	p.Close()
	p.Close()
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "seconds")
	if d := cmp.Diff(map[string]any{"progress": "load", "current": 7.0, "total": 10.0, "done": true}, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// Bars and log lines share standard error: a line must come out whole.
func TestProgressBarKeepsLogLines(t *testing.T) {
	var buf bytes.Buffer
	mux := &muxWriter{w: &buf}
	p := newProgress(mux, "bar")
	b := p.Bar("load", 100, Bytes)
	b.Add(50)
	if _, err := mux.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	b.Set(80)
	b.SetTotal(200)
	p.Close()
	if _, err := mux.Write([]byte("after\n")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a log line\n", "80 B of 200 B", "after\n"} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("no %q in %q", want, buf.String())
		}
	}
}
