package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/draw"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

func windowsVerb() *cli.Verb {
	return &cli.Verb{
		Name: "windows", Category: "Look", Usage: "show the LSNs and times that can be restored, and the restore points",
		Description: `The ranges as a table, then all of it as a drawing as wide as the terminal, or 80
columns of plain characters in a pipe. --svg writes a picture for documents that
follows the reader's light or dark scheme.`,
		Flags: append(archiveFlags(), &ucli.StringFlag{Name: "svg", Usage: "draw into `FILE` too; it is replaced when it exists"}),
		Run:   runWindows,
	}
}

type pointView struct {
	Name     string       `json:"name"`
	Timeline wal.Timeline `json:"timeline"`
	LSN      wal.LSN      `json:"lsn"`
	Time     time.Time    `json:"time"`
}

type windowsDoc struct {
	NodeID   string         `json:"node_id"`
	Stores   []string       `json:"stores"`
	Windows  []pitr.Window  `json:"windows"`
	Points   []pointView    `json:"points"`
	Bases    []baseView     `json:"bases"`
	Gaps     []pitr.PlanGap `json:"gaps"`
	Missing  []pitr.PlanGap `json:"missing"` // holes that nothing explains
	Pruned   []pitr.PlanGap `json:"pruned"`  // holes that retention made
	Warnings []string       `json:"warnings"`
	SVG      string         `json:"svg,omitempty"` // file that was written

	history *draw.History
	columns int
	blocks  bool
}

type baseView struct {
	Timeline wal.Timeline `json:"timeline"`
	LSN      wal.LSN      `json:"lsn"`
	Key      string       `json:"key"`
}

func runWindows(c *cli.Call) error {
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	d, err := describe(c, archives)
	if err != nil {
		return err
	}
	doc := windowsDoc{NodeID: d.NodeID, Stores: d.Stores, Warnings: d.Warnings,
		Windows: []pitr.Window{}, Gaps: []pitr.PlanGap{}, Missing: []pitr.PlanGap{}, Pruned: []pitr.PlanGap{}, Bases: []baseView{}}
	for _, t := range d.Timelines {
		doc.Windows = append(doc.Windows, t.Windows...)
		doc.Gaps = append(doc.Gaps, t.Gaps...)
		doc.Missing = append(doc.Missing, t.Missing...)
		doc.Pruned = append(doc.Pruned, t.Pruned...)
		for _, b := range t.Bases {
			doc.Bases = append(doc.Bases, baseView{b.Timeline, b.LSN, b.Key})
		}
	}
	if doc.Points, err = restorePoints(c.Context(), archives); err != nil {
		return err
	}
	if err := doc.draw(c, d); err != nil {
		return err
	}
	return c.Answer(doc, doc.write)
}

// draw makes the picture, and writes it into the file of --svg.
func (d *windowsDoc) draw(c *cli.Call, of *pitr.Description) error {
	var marks []draw.Mark
	for _, p := range d.Points {
		marks = append(marks, draw.Mark{Timeline: p.Timeline, Name: p.Name, LSN: p.LSN})
	}
	d.history = draw.New(of, marks)
	d.columns, d.blocks = c.Terminal()
	if d.SVG = c.String("svg"); d.SVG == "" {
		return nil
	}
	var picture bytes.Buffer
	if err := d.history.SVG(&picture); err != nil {
		return err
	}
	return os.WriteFile(d.SVG, picture.Bytes(), 0o644)
}

// describe is pitr.Describe that does not take a mistyped node for an empty one.
func describe(c *cli.Call, archives []*archive.Archive) (*pitr.Description, error) {
	d, err := pitr.Describe(c.Context(), archives)
	if err != nil {
		return nil, err
	}
	if len(d.Timelines) == 0 {
		return d, c.CheckNode(archives[0])
	}
	return d, nil
}

// restorePoints reads them from every store that answers; one that does not is
// in the warnings already.
func restorePoints(ctx context.Context, archives []*archive.Archive) ([]pointView, error) {
	points, seen := []pointView{}, map[pointView]bool{}
	var failed error
	answered := false
	for _, a := range archives {
		catalog, err := a.Catalog(ctx)
		if err != nil {
			failed = err
			continue
		}
		answered = true
		found, err := a.Points(ctx, catalog.Windows(), "")
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			v := pointView{p.Name, p.Timeline, p.LSN, time.UnixMicro(p.Time).UTC()}
			if !seen[v] {
				seen[v] = true
				points = append(points, v)
			}
		}
	}
	if !answered {
		return nil, failed
	}
	return points, nil
}

func (d *windowsDoc) write(w io.Writer) error {
	rows := [][]string{{"TIMELINE", "FROM LSN", "TO LSN", "FROM TIME", "TO TIME"}}
	for _, v := range d.Windows {
		rows = append(rows, []string{v.Timeline.String(), v.From.String(), v.To.String(), cli.FormatTime(v.FromTime), cli.FormatTime(v.ToTime)})
	}
	if len(d.Windows) == 0 {
		if _, err := fmt.Fprintf(w, "node %s: nothing can be restored yet\n", d.NodeID); err != nil {
			return err
		}
	} else if err := cli.Table(w, rows); err != nil {
		return err
	}
	if len(d.Points) > 0 {
		rows = [][]string{{"\nPOINT", "TIMELINE", "LSN", "TIME"}}
		for _, p := range d.Points {
			rows = append(rows, []string{p.Name, p.Timeline.String(), p.LSN.String(), cli.FormatTime(p.Time)})
		}
		if err := cli.Table(w, rows); err != nil {
			return err
		}
	}
	if len(d.history.Rows) > 0 {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		if err := d.history.Text(w, d.columns, d.blocks); err != nil {
			return err
		}
	}
	return d.writeNotes(w)
}

func (d *windowsDoc) writeNotes(w io.Writer) error {
	lines := []string{}
	for _, g := range d.Gaps {
		lines = append(lines, fmt.Sprintf("gap: LSN %d to %d of timeline %d is declared lost", g.From, g.To, g.Timeline))
	}
	for _, g := range d.Pruned {
		lines = append(lines, fmt.Sprintf("pruned: LSN %d to %d of timeline %d were deleted by retention", g.From, g.To, g.Timeline))
	}
	for _, g := range d.Missing {
		lines = append(lines, fmt.Sprintf("missing: LSN %d to %d of timeline %d, and neither a gap object nor the prune log says why", g.From, g.To, g.Timeline))
	}
	for _, t := range d.Warnings {
		lines = append(lines, "warning: "+t)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}
