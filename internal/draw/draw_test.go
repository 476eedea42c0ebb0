package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// story has everything that can be drawn: two timelines, a declared gap, a
// missing range, an unreachable one, bases and points.
func story() *History {
	day := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(l wal.LSN) time.Time { return day.Add(time.Duration(l) * time.Minute) }
	window := func(tl wal.Timeline, from, to wal.LSN) pitr.Window {
		return pitr.Window{Timeline: tl, From: from, To: to, FromTime: at(from), ToTime: at(to)}
	}
	return New(&pitr.Description{NodeID: "shop", Timelines: []pitr.Timeline{
		{Timeline: 1, FirstLSN: 1, LastLSN: 700,
			Windows: []pitr.Window{window(1, 1, 300), window(1, 450, 700)},
			Gaps:    []pitr.PlanGap{{Timeline: 1, From: 301, To: 360}},
			Missing: []pitr.PlanGap{{Timeline: 1, From: 401, To: 420}},
			Bases:   []pitr.PlanBase{{LSN: 100}, {LSN: 450}}},
		{Timeline: 2, Parent: 1, ForkLSN: 250, FirstLSN: 701, LastLSN: 1000,
			Windows: []pitr.Window{window(2, 701, 1000)}, Bases: []pitr.PlanBase{{LSN: 900}}},
		{Timeline: 3, Parent: 2, ForkLSN: 1000, FirstLSN: 1001, Gaps: nil},
	}}, []Mark{{1, "before-sale", 200}, {1, "b<a&se", 450}, {2, "a name that is much too long to be shown", 990}})
}

func TestText(t *testing.T) {
	want := strings.TrimPrefix(`
LSN  1             200            400            600            800         1001
     |             |              |              |              |              |
1    ======================xxxxx..???..==================
            B      P                  *
2                      \--------------------------------=======================
                                                                       B      P
3                                                                             \
UTC  09:01:00      12:20:00                      19:00:00       22:20:00
= can be restored   . archived, but nothing leads to it   x declared lost
? missing   B base   P restore point   * both
`, "\n")
	var got bytes.Buffer
	if err := story().Text(&got, 80, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("drawing (-want +got):\n%s\n%s", diff, got.String())
	}
}

// Whatever the width, no line is wider, and nothing that is there vanishes.
func TestText_AnyWidth(t *testing.T) {
	for width := range 250 {
		var out bytes.Buffer
		if err := story().Text(&out, width, width%2 == 0); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > max(min(width, widthMax), widthMin) {
				t.Errorf("width %d: a line of %d: %q", width, n, line)
			}
		}
		if drawn, _, _ := strings.Cut(out.String(), "restored"); width%2 == 1 && (!strings.Contains(drawn, "x") || !strings.Contains(drawn, "?")) {
			t.Errorf("width %d: the gap is not drawn:\n%s", width, out.String())
		}
	}
}

// The SVG is well-formed, names no outside thing, escapes names, and is the
// same each time.
func TestSVG(t *testing.T) {
	var out bytes.Buffer
	if err := story().SVG(&out); err != nil {
		t.Fatal(err)
	}
	rects := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(out.Bytes())); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
		if e, ok := tok.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					rects[a.Value]++
				}
				if a.Name.Local == "href" || a.Name.Local == "src" {
					t.Errorf("%s loads %s", e.Name.Local, a.Value)
				}
			}
		}
	}
	want := map[string]int{"kept": 4, "lost": 2, "missing": 2, "stale": 3, "base": 4, "point": 4, "fork": 3}
	for class, n := range want {
		if rects[class] != n { // one of each is the legend's
			t.Errorf("%d of class %q, want %d", rects[class], class, n)
		}
	}
	if !strings.Contains(out.String(), "b&lt;a&amp;se") || !strings.Contains(out.String(), "prefers-color-scheme: dark") {
		t.Error("a name is not escaped, or there is no dark scheme")
	}
	if file := os.Getenv("NODEDB_DRAW_SVG"); file != "" {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEmpty(t *testing.T) {
	h := New(&pitr.Description{NodeID: "empty"}, nil)
	var out bytes.Buffer
	if err := h.SVG(&out); err != nil || !strings.Contains(out.String(), "nothing is archived yet") {
		t.Errorf("%v: %s", err, out.String())
	}
	one := New(&pitr.Description{Timelines: []pitr.Timeline{{Timeline: 1, FirstLSN: 7, LastLSN: 7, Windows: []pitr.Window{{From: 7, To: 7}}}}}, nil)
	if err := one.Text(&out, 60, true); err != nil || !strings.Contains(out.String(), "█") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func Example() {
	h := New(&pitr.Description{NodeID: "shop", Timelines: []pitr.Timeline{
		{Timeline: 1, FirstLSN: 1, LastLSN: 50, Windows: []pitr.Window{{From: 1, To: 50}}, Bases: []pitr.PlanBase{{LSN: 20}}},
	}}, []Mark{{1, "before-sale", 40}})
	if err := h.Text(os.Stdout, 60, false); err != nil {
		fmt.Println(err)
	}
	// Output:
	// LSN  1                   20                    40         50
	//      |                   |                     |           |
	// 1    =======================================================
	//                          B                     P
	// = can be restored   . archived, but nothing leads to it
	// x declared lost   ? missing   B base   P restore point
	// * both
}

// What retention deleted is neither lost nor missing, and the legend has it only
// where it is drawn.
func TestPruned(t *testing.T) {
	h := New(&pitr.Description{NodeID: "shop", Timelines: []pitr.Timeline{{Timeline: 1, FirstLSN: 1, LastLSN: 100,
		Windows: []pitr.Window{{Timeline: 1, From: 1, To: 40}, {Timeline: 1, From: 61, To: 100}},
		Pruned:  []pitr.PlanGap{{Timeline: 1, From: 41, To: 60}}}}}, nil)
	var text, svg bytes.Buffer
	if err := h.Text(&text, 40, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "=___") || !strings.Contains(text.String(), "_ pruned") {
		t.Errorf("drawing:\n%s", text.String())
	}
	if err := h.SVG(&svg); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(svg.String(), "LSN 41 to 60: pruned") || !strings.Contains(svg.String(), ">pruned<") {
		t.Errorf("SVG:\n%s", svg.String())
	}
}
