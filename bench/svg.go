package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// Geometry of the plot, in px.
const (
	plotWidth  = 1000
	labelWidth = 480
	rightWidth = 150
	rowHeight  = 26
	headHeight = 64
	barHeight  = 12
)

// svgStyle keeps text and lines readable on light and on dark pages: the browser
// says which one it has. The plot brings its background along, so a viewer that
// knows nothing of colour schemes shows a light plot.
const svgStyle = `
  .page { fill: #ffffff }
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 11px; fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .even { stroke: #57606a; stroke-width: 1.5 }
  .yes { fill: #2da44e } .no { fill: #d1702c } .none { fill: #6e8bb3 }
  .spread { stroke: #24292f; stroke-width: 1.5 }
  .goal { stroke: #8250df; stroke-width: 3 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9198a1 }
    .grid { stroke: #3d444d } .even { stroke: #9198a1 }
    .yes { fill: #3fb950 } .no { fill: #e3883e } .none { fill: #7d9bc4 }
    .spread { stroke: #e6edf3 } .goal { stroke: #b98cff }
  }
`

// advantage turns a ratio into "how many times better": above 1 means that ours
// is better, whether more or less is wanted.
func (r Row) advantage(ratio float64) float64 {
	if r.lessIsBetter() && ratio > 0 {
		return 1 / ratio
	}
	return ratio
}

// lessIsBetter holds for times and sizes, and not for rates and ratios of
// compression.
func (r Row) lessIsBetter() bool {
	return !strings.HasSuffix(r.Measure, "/s") && !strings.HasSuffix(r.Measure, "rate kept") && r.Measure != "ratio"
}

// drawSVG plots the rows: a bar from 1 to the advantage on a logarithmic axis,
// with the spread as a whisker and the goal as a mark.
func drawSVG(rep report) []byte {
	var rows []Row
	low, high := 0.5, 2.0
	for _, r := range rep.Rows {
		if r.Error != "" {
			continue
		}
		rows = append(rows, r)
		for _, v := range []float64{r.Ratio, r.Low, r.High, r.Goal.Bound} {
			if a := r.advantage(v); a > 0 {
				low, high = min(low, a), max(high, a)
			}
		}
	}
	left, right := math.Floor(math.Log2(low)), math.Ceil(math.Log2(high))
	x := func(v float64) float64 {
		return labelWidth + (math.Log2(v)-left)/(right-left)*(plotWidth-labelWidth-rightWidth)
	}
	height := headHeight + rowHeight*len(rows) + 40
	var b bytes.Buffer
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n", plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, "<title>nodedb beside its peers</title>\n<style>%s</style>\n", svgStyle)
	fmt.Fprintf(&b, "<rect class=\"page\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", plotWidth, height)
	fmt.Fprintf(&b, "<text x=\"8\" y=\"20\" font-weight=\"600\">How many times better than the peer in the same run</text>\n")
	fmt.Fprintf(&b, "<text x=\"8\" y=\"38\" class=\"small\">%d × %s, %s; whisker: smallest to largest of the pairs; upright mark: goal</text>\n", rep.CPUs, escape(rep.Machine), escape(rep.Go))
	for e := left; e <= right; e++ {
		class := "grid"
		if e == 0 {
			class = "even"
		}
		at := x(math.Exp2(e))
		fmt.Fprintf(&b, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", class, at, at, headHeight-6, height-34)
		if int(e)%2 == 0 {
			fmt.Fprintf(&b, "<text class=\"small\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", at, height-16, times(e))
		}
	}
	for i, r := range rows {
		drawRow(&b, r, headHeight+i*rowHeight, x)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func drawRow(b *bytes.Buffer, r Row, top int, x func(float64) float64) {
	middle := top + rowHeight/2
	class := r.Reached()
	if class == "" {
		class = "none"
	}
	value := r.advantage(r.Ratio)
	from, to := x(min(1, value)), x(max(1, value))
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labelWidth-10, middle+4, escape(r.Name))
	fmt.Fprintf(b, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", class, from, middle-barHeight/2, max(to-from, 1), barHeight)
	a, z := x(r.advantage(r.Low)), x(r.advantage(r.High))
	fmt.Fprintf(b, "<line class=\"spread\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", min(a, z), max(a, z), middle, middle)
	text := short(value) + "×"
	if r.Goal.Bound > 0 {
		at := x(r.advantage(r.Goal.Bound))
		fmt.Fprintf(b, "<line class=\"goal\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", at, at, middle-barHeight/2-3, middle+barHeight/2+3)
		text += fmt.Sprintf(" (goal %.3g×)", r.advantage(r.Goal.Bound))
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\">%s</text>\n", plotWidth-rightWidth+12, middle+4, text)
}

// times is 2^e as people say it: 1/64×, 1×, 64×.
func times(e float64) string {
	if e < 0 {
		return fmt.Sprintf("1/%g×", math.Exp2(-e))
	}
	return fmt.Sprintf("%g×", math.Exp2(e))
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
