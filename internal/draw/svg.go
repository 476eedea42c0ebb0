package draw

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strconv"

	"github.com/nodedb-go/nodedb/wal"
)

// Measures of the picture, in its own units.
const (
	svgWidth   = 960
	svgLeft    = 96 // of the first LSN
	svgRight   = 32
	svgTop     = 84
	svgRow     = 74 // from row to row
	svgBar     = 18 // height of a bar
	svgBottom  = 58
	svgMarkMin = 2.0 // least width of a span
	charWidth  = 6.2 // of a label
)

// svgStyle follows the reader's light or dark scheme; nothing is loaded.
const svgStyle = `
  svg { color-scheme: light dark; }
  .page { fill: #ffffff; } text { fill: #24292f; font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; }
  .title { font-size: 16px; font-weight: 600; } .dim { fill: #57606a; font-size: 11px; }
  .grid { stroke: #d0d7de; } .fork { stroke: #8c959f; stroke-width: 1.5; fill: none; }
  .kept { fill: #2da44e; } .stale { fill: #d0d7de; } .pruned { fill: none; stroke: #8c959f; stroke-dasharray: 3 3; } .lost { fill: #cf222e; } .missing { fill: url(#hatch); stroke: #bf8700; }
  .hatch { stroke: #bf8700; stroke-width: 3; } .base { fill: #0969da; } .point { fill: #8250df; } .lead { stroke: #8250df; stroke-opacity: .45; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #e6edf3; } .dim { fill: #8d96a0; } .grid { stroke: #30363d; } .fork { stroke: #6e7681; }
    .kept { fill: #3fb950; } .stale { fill: #30363d; } .lost { fill: #f85149; } .missing { stroke: #d29922; } .hatch { stroke: #d29922; }
    .base { fill: #58a6ff; } .point { fill: #bc8cff; } .lead { stroke: #bc8cff; }
  }
`

// SVG writes the picture as one self-contained document.
func (h *History) SVG(w io.Writer) error {
	s := &svg{h: h}
	height := svgTop + len(h.Rows)*svgRow + svgBottom
	s.put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`, svgWidth, height, svgWidth, height)
	s.put(`<title>History of node %s</title>`, html.EscapeString(h.Node))
	s.put(`<style>%s</style>`, svgStyle)
	s.put(`<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern></defs>`)
	s.put(`<rect class="page" width="100%%" height="100%%"/>`)
	s.put(`<text class="title" x="24" y="32">Node %s</text>`, html.EscapeString(h.Node))
	if len(h.Rows) == 0 {
		s.put(`<text x="24" y="64">nothing is archived yet</text>`)
	} else {
		s.axis(height - svgBottom)
		for i := range h.Rows {
			s.fork(i)
		}
		for i := range h.Rows {
			s.row(i)
		}
	}
	s.legend(height - 18)
	s.put(`</svg>`)
	if _, err := w.Write(s.out.Bytes()); err != nil {
		return fmt.Errorf("write SVG: %w", err)
	}
	return nil
}

type svg struct {
	h   *History
	out bytes.Buffer
}

func (s *svg) put(format string, args ...any) {
	fmt.Fprintf(&s.out, format+"\n", args...)
}

func (s *svg) x(lsn wal.LSN) float64 {
	const wide = svgWidth - svgLeft - svgRight
	if s.h.To <= s.h.From {
		return svgLeft
	}
	lsn = min(max(lsn, s.h.From), s.h.To)
	return svgLeft + float64(lsn-s.h.From)/float64(s.h.To-s.h.From)*wide
}

// y is the upper edge of the bar of row i.
func (s *svg) y(i int) int { return svgTop + i*svgRow + 24 }

func (s *svg) axis(bottom int) {
	layout := s.h.clock()
	s.put(`<text class="dim" x="24" y="%d">LSN</text>`, svgTop-18)
	s.put(`<text class="dim" x="24" y="%d">UTC</text>`, svgTop-4)
	for i, l := range s.h.ticks(6) {
		x, anchor := s.x(l), "middle"
		if i > 0 && l == s.h.To {
			anchor = "end"
		} else if i == 0 {
			anchor = "start"
		}
		s.put(`<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, x, svgTop+2, x, bottom)
		s.put(`<text class="dim" x="%.1f" y="%d" text-anchor="%s">%s</text>`, x, svgTop-18, anchor, grouped(l))
		if at := s.h.timeAt(l); !at.IsZero() {
			s.put(`<text class="dim" x="%.1f" y="%d" text-anchor="%s">%s</text>`, x, svgTop-4, anchor, at.UTC().Format(layout))
		}
	}
}

// fork draws the line from the parent's bar to where row i begins.
func (s *svg) fork(i int) {
	r := &s.h.Rows[i]
	for j := range s.h.Rows {
		if s.h.Rows[j].Timeline != r.Parent {
			continue
		}
		x1, y1, x2, y2 := s.x(r.Fork), s.y(j)+svgBar/2, s.x(r.First), s.y(i)+svgBar/2
		s.put(`<path class="fork" d="M%.1f %d V%d Q%.1f %d %.1f %d H%.1f"><title>timeline %d leaves timeline %d after LSN %d</title></path>`,
			x1, y1, y2-10, x1, y2, min(x1+10, max(x1, x2)), y2, max(x1, x2), uint32(r.Timeline), uint32(r.Parent), uint64(r.Fork))
	}
}

var classes = [5]string{"kept", "stale", "pruned", "lost", "missing"}

var words = [5]string{"can be restored", "archived, but nothing leads to it", "pruned", "declared lost", "missing, and nothing says why"}

func (s *svg) row(i int) {
	r, y := &s.h.Rows[i], s.y(i)
	s.put(`<text x="24" y="%d">timeline %d</text>`, y+svgBar-5, uint32(r.Timeline))
	for kind := Kept; kind <= Missing; kind++ {
		for _, sp := range r.Spans {
			if sp.Kind != kind {
				continue
			}
			x, wide := s.x(sp.From), max(s.x(sp.To)-s.x(sp.From), svgMarkMin)
			s.put(`<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d" rx="2"><title>LSN %d to %d: %s%s</title></rect>`,
				classes[kind], x, y, wide, svgBar, uint64(sp.From), uint64(sp.To), words[kind], spanTimes(sp))
		}
	}
	if len(r.Spans) == 0 {
		s.put(`<circle class="fork" cx="%.1f" cy="%d" r="4"><title>nothing of timeline %d is archived yet</title></circle>`, s.x(r.First), y+svgBar/2, uint32(r.Timeline))
	}
	for _, b := range r.Bases {
		x := s.x(b)
		s.put(`<path class="base" d="M%.1f %d l5 9 h-10 z"><title>base at LSN %d</title></path>`, x, y+svgBar+3, uint64(b))
	}
	s.points(r, y)
}

// points are marked above the bar; a name is written where it has room.
func (s *svg) points(r *Row, y int) {
	end := 0.0 // of the last label
	for _, p := range r.Points {
		x := s.x(p.LSN)
		s.put(`<line class="lead" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, x, y-4, x, y+svgBar)
		s.put(`<circle class="point" cx="%.1f" cy="%d" r="4"><title>restore point %s: LSN %d</title></circle>`, x, y-7, html.EscapeString(p.Name), uint64(p.LSN))
		name := shorten(p.Name)
		wide := float64(len([]rune(name))) * charWidth
		at := x + 8
		if at+wide > svgWidth-4 {
			at = x - 8 - wide
		}
		if at < end {
			continue
		}
		s.put(`<text class="dim" x="%.1f" y="%d">%s</text>`, at, y-4, html.EscapeString(name))
		end = max(at+wide, x) + 12
	}
}

func (s *svg) legend(y int) {
	x := 24.0
	item := func(shape, label string) {
		s.put(shape, x, y)
		s.put(`<text class="dim" x="%.1f" y="%d">%s</text>`, x+20, y, label)
		x += 20 + charWidth*float64(len(label)) + 20
	}
	for k, label := range []string{"can be restored", "archived, nothing leads to it", "pruned", "declared lost", "missing"} {
		if Kind(k) == Pruned && !s.h.has(Pruned) {
			continue
		}
		item(`<rect class="`+classes[k]+`" x="%.1f" y="%d" width="14" height="10" rx="2" transform="translate(0 -9)"/>`, label)
	}
	item(`<path class="base" d="M%.1f %d m7 -9 l5 9 h-10 z"/>`, "base")
	item(`<circle class="point" cx="%.1f" cy="%d" r="4" transform="translate(7 -4)"/>`, "restore point")
}

func spanTimes(s Span) string {
	if s.FromTime.IsZero() || s.ToTime.IsZero() {
		return ""
	}
	const layout = "2006-01-02T15:04:05Z"
	return fmt.Sprintf(" (%s to %s)", s.FromTime.UTC().Format(layout), s.ToTime.UTC().Format(layout))
}

const labelMax = 24

func shorten(s string) string {
	if r := []rune(s); len(r) > labelMax {
		return string(r[:labelMax-1]) + "…"
	}
	return s
}

// grouped writes a number with thousands set apart.
func grouped(l wal.LSN) string {
	s := strconv.FormatUint(uint64(l), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
