package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// writeTable prints the rows, one line each, ours beside theirs.
func writeTable(w io.Writer, rows []Row) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "what\tgoal\tratio\tmin–max\treached\tours\tp50\tp99\tflush/op\ttheirs\tp50\tp99\tflush/op\twho")
	var notes []string
	for _, r := range rows {
		if r.Error != "" {
			fmt.Fprintf(tw, "%s\t%s\t-\t\t%s\t\t\t\t\t\t\t\t\t\n", r.Name, r.Goal, r.Reached())
			notes = append(notes, r.Name+": "+r.Error)
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s–%s\t%s\t%s\t%s\t%s | %s\n", r.Name, r.Goal,
			short(r.Ratio), short(r.Low), short(r.High), r.Reached(),
			r.Ours.cells(r.Measure), r.Theirs.cells(r.Measure), r.Ours.Who, r.Theirs.Who)
		if r.Note != "" {
			notes = append(notes, r.Name+": "+r.Note)
		}
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, "  "+n); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return nil
}

// cells are the four columns of one side.
func (f Figure) cells(measure string) string {
	return strings.Join([]string{amount(f.Value, measure), micros(f.P50), micros(f.P99), flushCell(f.Flushes)}, "\t")
}

// amount prints a value with its unit, in three digits.
func amount(v float64, measure string) string {
	switch measure {
	case "ops/s":
		if v >= 1e6 {
			return short(v/1e6) + "M/s"
		}
		if v >= 1e3 {
			return short(v/1e3) + "k/s"
		}
		return short(v) + "/s"
	case "p50", "p99":
		return micros(time.Duration(v * 1e9))
	}
	return short(v) + " " + measure
}

func micros(d time.Duration) string {
	switch us := float64(d) / 1e3; {
	case d == 0:
		return ""
	case us >= 1e6:
		return short(us/1e6) + " s"
	case us >= 1e3:
		return short(us/1e3) + " ms"
	default:
		return short(us) + " µs"
	}
}

func flushCell(perOp float64) string {
	if perOp == 0 {
		return ""
	}
	return short(perOp)
}

// short prints three significant digits without an exponent.
func short(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.4f", v)
}
