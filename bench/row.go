package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Row is one line of the table.
type Row struct {
	Name    string  `json:"name"`
	Measure string  `json:"measure"` // what Ours and Theirs are: "ops/s", "p99", "s", …
	Goal    goal    `json:"goal"`
	Ratio   float64 `json:"ratio"` // median over the pairs of ours / theirs
	Low     float64 `json:"ratio_min"`
	High    float64 `json:"ratio_max"`
	Pairs   int     `json:"pairs"`
	Ours    Figure  `json:"ours"`
	Theirs  Figure  `json:"theirs"`
	Note    string  `json:"note,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// Figure is what one side did: medians over its slices.
type Figure struct {
	Who     string        `json:"who"`
	Value   float64       `json:"value"`
	P50     time.Duration `json:"p50_ns,omitempty"`
	P99     time.Duration `json:"p99_ns,omitempty"`
	Flushes float64       `json:"flushes_per_op,omitempty"`
}

// goal is a bound of a ratio. The zero goal is always reached.
type goal struct {
	Bound float64 `json:"bound,omitempty"`
	Most  bool    `json:"at_most,omitempty"` // the ratio must not be above Bound; else not below
}

func atLeast(bound float64) goal { return goal{Bound: bound} }
func atMost(bound float64) goal  { return goal{Bound: bound, Most: true} }

func (g goal) String() string {
	switch {
	case g.Bound == 0:
		return ""
	case g.Most:
		return fmt.Sprintf("<= %.4g", g.Bound)
	}
	return fmt.Sprintf(">= %.4g", g.Bound)
}

// Reached is "yes", "no", or empty without a goal.
func (r Row) Reached() string {
	switch {
	case r.Error != "":
		return "failed"
	case r.Goal.Bound == 0:
		return ""
	case r.Goal.Most && r.Ratio <= r.Goal.Bound, !r.Goal.Most && r.Ratio >= r.Goal.Bound:
		return "yes"
	}
	return "no"
}

// measure is how a sample becomes the number that is compared.
type measure struct {
	name string
	of   func(sample) float64
}

var (
	opsPerSecond = measure{"ops/s", sample.rate}
	seconds      = measure{"s", func(s sample) float64 { return s.Elapsed.Seconds() }}
	p50          = measure{"p50", func(s sample) float64 { return float64(s.P50) / 1e9 }}
	p99          = measure{"p99", func(s sample) float64 { return float64(s.P99) / 1e9 }}
	peakMemory   = measure{"MiB", func(s sample) float64 { return float64(s.RSSMax) / (1 << 20) }}
)

// compare makes a row of pairs.
func compare(name string, m measure, g goal, ours, theirs string, pairs []pair) Row {
	r := Row{Name: name, Measure: m.name, Goal: g, Pairs: len(pairs)}
	var ratios []float64
	var our, their []sample
	for _, p := range pairs {
		if t := m.of(p.Theirs); t > 0 {
			ratios = append(ratios, m.of(p.Ours)/t)
		}
		our, their = append(our, p.Ours), append(their, p.Theirs)
	}
	if len(ratios) == 0 {
		r.Error = "nothing was measured"
		return r
	}
	r.Ratio, r.Low, r.High = median(ratios), slices.Min(ratios), slices.Max(ratios)
	r.Ours, r.Theirs = figure(ours, m, our), figure(theirs, m, their)
	return r
}

func figure(who string, m measure, all []sample) Figure {
	pick := func(of func(sample) float64) float64 {
		values := make([]float64, len(all))
		for i, s := range all {
			values[i] = of(s)
		}
		return median(values)
	}
	return Figure{
		Who:   who,
		Value: pick(m.of),
		P50:   time.Duration(pick(func(s sample) float64 { return float64(s.P50) })),
		P99:   time.Duration(pick(func(s sample) float64 { return float64(s.P99) })),
		Flushes: pick(func(s sample) float64 {
			return float64(s.Flushes) / float64(max(s.Ops, 1))
		}),
	}
}

func median(values []float64) float64 {
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// failed is a row that could not be measured.
func failed(name string, g goal, err error) Row {
	return Row{Name: name, Goal: g, Error: strings.ReplaceAll(err.Error(), "\n", "; ")}
}
