package draw

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	widthMin = 40
	widthMax = 200
)

// style is a set of characters for text.
type style struct {
	kinds             [5]rune // by Kind
	base, point, both rune
	corner, line      rune
	tick              rune
}

var (
	plain  = style{kinds: [5]rune{'=', '.', '_', 'x', '?'}, base: 'B', point: 'P', both: '*', corner: '\\', line: '-', tick: '|'}
	blocks = style{kinds: [5]rune{'█', '░', '▁', '×', '?'}, base: '▲', point: '●', both: '◆', corner: '└', line: '─', tick: '╷'}
)

// Text writes the picture width columns wide. Without blocks it is plain ASCII.
func (h *History) Text(w io.Writer, width int, withBlocks bool) error {
	st := plain
	if withBlocks {
		st = blocks
	}
	gutter := len("LSN") + 2
	for _, r := range h.Rows {
		gutter = max(gutter, len(r.Timeline.String())+2)
	}
	width = min(max(width, widthMin), widthMax)
	t := &text{h: h, st: st, cols: width - gutter, gutter: gutter}
	t.axis()
	for i := range h.Rows {
		t.row(&h.Rows[i])
	}
	t.times()
	t.legend(width)
	for _, l := range t.lines {
		if _, err := fmt.Fprintln(w, strings.TrimRight(l, " ")); err != nil {
			return fmt.Errorf("draw windows: %w", err)
		}
	}
	return nil
}

type text struct {
	h            *History
	st           style
	cols, gutter int
	lines        []string
}

func (t *text) add(head string, cells []rune) {
	t.lines = append(t.lines, head+strings.Repeat(" ", max(0, t.gutter-len(head)))+string(cells))
}

func (t *text) blank() []rune { return []rune(strings.Repeat(" ", t.cols)) }

// col is the column of an LSN.
func (t *text) col(lsn wal.LSN) int {
	if t.h.To <= t.h.From {
		return 0
	}
	lsn = min(max(lsn, t.h.From), t.h.To)
	return int(float64(lsn-t.h.From) / float64(t.h.To-t.h.From) * float64(t.cols-1))
}

// labels writes a text at the column of each tick, as far as there is room; the
// first and the last have precedence.
func (t *text) labels(ticks []wal.LSN, label func(wal.LSN) string) []rune {
	cells := t.blank()
	put := func(lsn wal.LSN) {
		s := label(lsn)
		n := utf8.RuneCountInString(s)
		at := min(t.col(lsn), max(0, t.cols-n))
		for i := max(0, at-1); i < min(t.cols, at+n+1); i++ {
			if cells[i] != ' ' {
				return
			}
		}
		copy(cells[at:], []rune(s))
	}
	put(ticks[0])
	put(ticks[len(ticks)-1])
	for _, lsn := range ticks {
		put(lsn)
	}
	return cells
}

func (t *text) axis() {
	ticks := t.h.ticks(1 + t.cols/12)
	t.add("LSN", t.labels(ticks, func(l wal.LSN) string { return strconv.FormatUint(uint64(l), 10) }))
	marks := t.blank()
	for _, l := range ticks {
		marks[t.col(l)] = t.st.tick
	}
	t.add("", marks)
}

func (t *text) row(r *Row) {
	bar := t.blank()
	if r.Parent != 0 {
		from, to := t.col(r.Fork), t.col(r.First)
		for i := from; i < to; i++ {
			bar[i] = t.st.line
		}
		if from < to {
			bar[from] = t.st.corner
		}
	}
	// Worse kinds are drawn later, so that a small gap is not covered.
	for kind := Kept; kind <= Missing; kind++ {
		for _, s := range r.Spans {
			if s.Kind != kind {
				continue
			}
			for i := t.col(s.From); i <= t.col(s.To); i++ {
				bar[i] = t.st.kinds[kind]
			}
		}
	}
	t.add(r.Timeline.String(), bar)
	marks := t.blank()
	for _, b := range r.Bases {
		marks[t.col(b)] = t.st.base
	}
	for _, p := range r.Points {
		i := t.col(p.LSN)
		switch marks[i] {
		case t.st.base, t.st.both:
			marks[i] = t.st.both
		default:
			marks[i] = t.st.point
		}
	}
	if len(r.Bases)+len(r.Points) > 0 {
		t.add("", marks)
	}
}

func (t *text) times() {
	layout := t.h.clock()
	cells := t.labels(t.h.ticks(1+t.cols/12), func(l wal.LSN) string {
		at := t.h.timeAt(l)
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format(layout)
	})
	if strings.TrimSpace(string(cells)) != "" {
		t.add("UTC", cells)
	}
}

// legend explains the characters, as many to a line as fit.
func (t *text) legend(width int) {
	parts := []string{
		string(t.st.kinds[Kept]) + " can be restored", string(t.st.kinds[Stale]) + " archived, but nothing leads to it",
		string(t.st.kinds[Lost]) + " declared lost", string(t.st.kinds[Missing]) + " missing",
		string(t.st.base) + " base", string(t.st.point) + " restore point", string(t.st.both) + " both",
	}
	if t.h.has(Pruned) {
		parts = slices.Insert(parts, 2, string(t.st.kinds[Pruned])+" pruned")
	}
	line := ""
	for _, p := range parts {
		if line != "" && utf8.RuneCountInString(line)+3+utf8.RuneCountInString(p) > width {
			t.lines = append(t.lines, line)
			line = ""
		}
		if line != "" {
			line += "   "
		}
		line += p
	}
	t.lines = append(t.lines, line)
}
