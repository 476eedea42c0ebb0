package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/draw"
	"github.com/nodedb-go/nodedb/pitr"
)

func timelinesVerb() *cli.Verb {
	return &cli.Verb{
		Name: "timelines", Category: "Look", Usage: "show the histories of a node, where they fork, and what is kept of each",
		Description: "The tree of histories: a timeline stands below the one that it left, behind the\nlast LSN that both share.",
		Flags:       archiveFlags(), Run: runTimelines,
	}
}

func runTimelines(c *cli.Call) error {
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	d, err := describe(c, archives)
	if err != nil {
		return err
	}
	_, lines := c.Terminal()
	return c.Answer(d, func(w io.Writer) error { return writeTimelines(w, d, lines) })
}

func writeTimelines(w io.Writer, d *pitr.Description, lines bool) error {
	rows := [][]string{{"TIMELINE", "BEGINS", "FIRST LSN", "LAST LSN", "WRITERS", "SEGMENTS", "SIZE", "BASES", "SINCE", "LAST HOST"}}
	for _, b := range draw.Tree(d, lines) {
		t := b.Timeline
		begins := "from nothing"
		if t.Parent != 0 {
			begins = fmt.Sprintf("timeline %d, after LSN %d", t.Parent, t.ForkLSN)
		}
		last := "-"
		if t.LastLSN != 0 {
			last = t.LastLSN.String()
		}
		rows = append(rows, []string{b.Label, begins, t.FirstLSN.String(), last, strconv.Itoa(t.Epochs),
			strconv.Itoa(t.Segments), cli.FormatSize(t.Bytes), strconv.Itoa(len(t.Bases)), cli.FormatTime(t.ClaimedAt), t.Host})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	for _, t := range d.Warnings {
		if _, err := fmt.Fprintln(w, "warning:", t); err != nil {
			return err
		}
	}
	return nil
}
