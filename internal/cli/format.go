package cli

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"PiB", 1 << 50}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
}

// FormatSize writes a number of bytes with three significant digits: "96.3 MiB".
func FormatSize(n int64) string {
	for _, u := range sizeUnits {
		if math.Abs(float64(n)) >= u.bytes*0.9995 {
			return significant(float64(n)/u.bytes) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

// FormatRate writes n per elapsed time: "31.2 MiB/s". An elapsed time of zero
// gives "-".
func FormatRate(n int64, elapsed time.Duration) string {
	if elapsed <= 0 {
		return "-"
	}
	return FormatSize(int64(float64(n)/elapsed.Seconds())) + "/s"
}

// FormatPerSecond writes a count per elapsed time: "48,120/s".
func FormatPerSecond(n int64, elapsed time.Duration) string {
	if elapsed <= 0 {
		return "-"
	}
	return FormatCount(int64(float64(n)/elapsed.Seconds())) + "/s"
}

// FormatCount writes a number with its thousands set apart: "1,234,567".
func FormatCount[T ~int | ~int64 | ~uint64](n T) string {
	s := fmt.Sprintf("%d", n)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	head := len(s) % 3
	parts := []string{}
	if head > 0 {
		parts = append(parts, s[:head])
	}
	for i := head; i < len(s); i += 3 {
		parts = append(parts, s[i:i+3])
	}
	return sign + strings.Join(parts, ",")
}

// FormatDuration writes a duration with three significant digits: "1.24 s".
func FormatDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + FormatDuration(-d)
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + " ns"
	case d < time.Millisecond:
		return significant(float64(d)/float64(time.Microsecond)) + " µs"
	case d < time.Second:
		return significant(float64(d)/float64(time.Millisecond)) + " ms"
	case d < 2*time.Minute:
		return significant(d.Seconds()) + " s"
	}
	return d.Round(time.Second).String()
}

// TimeLayout is RFC 3339 with microseconds, the resolution of the WAL.
const TimeLayout = "2006-01-02T15:04:05.000000Z07:00"

// FormatTime writes a moment in UTC with microseconds.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(TimeLayout)
}

func significant(f float64) string {
	switch a := math.Abs(f); {
	case a >= 99.95:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// ParseSize reads a number of bytes with an optional unit. K, KB and KiB are
// all 1024: a limit that is rounded up is never a surprise.
func ParseSize(text string) (int64, error) {
	t := strings.TrimSpace(text)
	i := strings.IndexFunc(t, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	unit := ""
	if i >= 0 {
		t, unit = t[:i], strings.TrimSpace(t[i:])
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size like 64MiB", text)
	}
	factor := 1.0
	if unit != "" && !strings.EqualFold(unit, "B") {
		factor = 0
		for _, u := range sizeUnits {
			if strings.EqualFold(unit, u.name) || strings.EqualFold(unit, u.name[:1]) || strings.EqualFold(unit, u.name[:1]+"B") {
				factor = u.bytes
			}
		}
	}
	if factor == 0 || n*factor >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size like 64MiB", text)
	}
	return int64(n * factor), nil
}

// Table writes rows in aligned columns, the first row being the heading.
func Table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		line := strings.TrimRight(strings.Join(r, "\t"), "\t ")
		if _, err := fmt.Fprintln(t, line); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
