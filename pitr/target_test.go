package pitr

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/wal"
)

func TestParseLSN(t *testing.T) {
	tests := []struct {
		in   string
		want wal.LSN
		hint string // part of the refusal
	}{
		{in: "1", want: 1},
		{in: "18446744073709551615", want: 1<<64 - 1},
		{in: "0x1F", want: 31},
		{in: "0X10", want: 16},
		{in: "000000000000001f", want: 31},
		{in: "0000000000000010", want: 16},
		{in: "1000000000000000", want: 1000000000000000},
		{in: "100000000000000a", want: 0x100000000000000a},
		{in: "0", hint: "first LSN is 1"},
		{in: "0x0", hint: "first LSN is 1"},
		{in: "000000000000000", hint: "begins with 0"}, // a name that lost a digit
		{in: "00000000000001f", hint: "begins with 0"},
		{in: "", hint: "neither"},
		{in: "-5", hint: "neither"},
		{in: "+5", hint: "neither"},
		{in: "5 ", hint: "neither"},
		{in: "1f", hint: "neither"},
		{in: "18446744073709551616", hint: "neither"},
		{in: "0x", hint: "neither"},
		{in: "1_000", hint: "neither"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParseLSN(tt.in)
			checkParse(t, got, tt.want, err, tt.hint)
		})
	}
}

func TestParseTime(t *testing.T) {
	utc := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	tests := []struct {
		in   string
		want time.Time
		hint string
	}{
		{in: "2026-03-01T09:41:07Z", want: utc("2026-03-01T09:41:07Z")},
		{in: "2026-03-01t09:41:07z", want: utc("2026-03-01T09:41:07Z")},
		{in: "2026-03-01 09:41:07.5+02:00", want: utc("2026-03-01T07:41:07.5Z")},
		// The hour that a change of clocks repeats: the offset tells which one.
		{in: "2026-10-25T02:30:00+02:00", want: utc("2026-10-25T00:30:00Z")},
		{in: "2026-10-25T02:30:00+01:00", want: utc("2026-10-25T01:30:00Z")},
		{in: "2026-03-01T09:41:07", hint: "write 2026-03-01T09:41:07Z for UTC"},
		{in: "2026-03-01 09:41", hint: "write 2026-03-01T09:41:00Z for UTC"},
		{in: "2026-03-01", hint: "no offset"},
		{in: "2026-03-01T09:41:07 CET", hint: "not RFC 3339"},
		{in: "2026-02-30T09:41:07Z", hint: "not RFC 3339"},
		{in: "yesterday", hint: "not RFC 3339"},
		{in: "1960-01-01T00:00:00Z", hint: "before 1970"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParseTime(tt.in)
			checkParse(t, got.UTC(), tt.want.UTC(), err, tt.hint)
		})
	}
}

func checkParse[T any](t *testing.T, got, want T, err error, hint string) {
	t.Helper()
	if hint == "" {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return
	}
	if !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), hint) {
		t.Errorf("got error %v, want one that says %q", err, hint)
	}
}

func TestParseTarget(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 41, 7, 0, time.UTC)
	for in, want := range map[string]Target{
		"latest":               {Latest: true},
		"point:before-upgrade": {Point: "before-upgrade"},
		"42":                   {LSN: 42},
		"000000000000002a":     {LSN: 42},
		"2026-03-01T09:41:07Z": {Time: at},
	} {
		got, err := ParseTarget(in)
		if err != nil {
			t.Errorf("ParseTarget(%q): %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseTarget(%q) (-want +got):\n%s", in, diff)
		}
	}
	for _, in := range []string{"point:", "", "newest", "2026-03-01T09:41:07"} {
		if _, err := ParseTarget(in); !errors.Is(err, ErrTarget) {
			t.Errorf("ParseTarget(%q): got error %v, want ErrTarget", in, err)
		}
	}
}

func TestTargetValid(t *testing.T) {
	for name, bad := range map[string]Target{
		"none":             {},
		"only a timeline":  {Timeline: 2},
		"two":              {LSN: 1, Latest: true},
		"latest exclusive": {Latest: true, Exclusive: true},
	} {
		if err := bad.valid(); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: got %v, want ErrTarget", name, err)
		}
	}
	if err := (Target{Point: "x", Exclusive: true, Timeline: 3}).valid(); err != nil {
		t.Errorf("good target refused: %v", err)
	}
}

func TestTargetMicrosMax(t *testing.T) {
	base := time.UnixMicro(1_000_000)
	for _, tt := range []struct {
		at        time.Time
		exclusive bool
		want      int64
	}{
		{at: base, want: 1_000_000},
		{at: base.Add(999), want: 1_000_000},
		{at: base, exclusive: true, want: 999_999},
		// A record of that microsecond is before the time, so it stays in.
		{at: base.Add(1), exclusive: true, want: 1_000_000},
	} {
		if got := (Target{Time: tt.at, Exclusive: tt.exclusive}).microsMax(); got != tt.want {
			t.Errorf("%v exclusive=%v: got %d, want %d", tt.at, tt.exclusive, got, tt.want)
		}
	}
}
