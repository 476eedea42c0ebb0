package draw

import (
	"slices"

	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// Branch is a timeline in a tree: Label is its number behind the lines that
// lead to it from its parent.
type Branch struct {
	Label    string
	Timeline *pitr.Timeline
}

// Tree puts the timelines in the order of their ancestry, depth first. A
// timeline whose parent is not archived is a root. Without lines the labels are
// plain ASCII.
func Tree(d *pitr.Description, lines bool) []Branch {
	t := tree{children: make(map[wal.Timeline][]*pitr.Timeline), known: make(map[wal.Timeline]bool),
		mid: "|- ", end: "`- ", pass: "|  "}
	if lines {
		t.mid, t.end, t.pass = "├─ ", "└─ ", "│  "
	}
	for i := range d.Timelines {
		t.known[d.Timelines[i].Timeline] = true
	}
	var roots []*pitr.Timeline
	for i := range d.Timelines {
		b := &d.Timelines[i]
		// A parent is always older; anything else would be a circle.
		if b.Parent == 0 || !t.known[b.Parent] || b.Parent >= b.Timeline {
			roots = append(roots, b)
			continue
		}
		t.children[b.Parent] = append(t.children[b.Parent], b)
	}
	for _, r := range roots {
		t.add(r, "", "")
	}
	return t.out
}

type tree struct {
	children       map[wal.Timeline][]*pitr.Timeline
	known          map[wal.Timeline]bool
	mid, end, pass string
	out            []Branch
}

// add appends b behind head; the lines of its children begin with rest.
func (t *tree) add(b *pitr.Timeline, head, rest string) {
	t.out = append(t.out, Branch{Label: head + b.Timeline.String(), Timeline: b})
	all := t.children[b.Timeline]
	slices.SortStableFunc(all, func(x, y *pitr.Timeline) int { return int(int64(x.Timeline) - int64(y.Timeline)) })
	for i, c := range all {
		if i == len(all)-1 {
			t.add(c, rest+t.end, rest+"   ")
		} else {
			t.add(c, rest+t.mid, rest+t.pass)
		}
	}
}
