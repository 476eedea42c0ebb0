package main

import "testing"

// More is better for rates and ratios of compression, less for times and sizes.
func TestAdvantage(t *testing.T) {
	for measure, want := range map[string]float64{"ops/s": 0.5, "MiB/s": 0.5, "ratio": 0.5, "rate kept": 0.5, "p99": 2, "bytes": 2, "time": 2} {
		if got := (Row{Measure: measure}).advantage(0.5); got != want {
			t.Errorf("%s: half of the peer's is %g times better, want %g", measure, got, want)
		}
	}
}
