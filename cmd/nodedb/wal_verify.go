package main

import (
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func walVerifyVerb() *cli.Verb {
	return &cli.Verb{
		Name: "verify", Usage: "read the whole log and check all that can be checked",
		Flags: []ucli.Flag{dirFlag()}, Run: runWALVerify,
	}
}

type walVerifyDoc struct {
	Segments int          `json:"segments"`
	First    wal.LSN      `json:"first_lsn"`
	Last     wal.LSN      `json:"last_lsn"`
	Records  uint64       `json:"records"`
	Bytes    int64        `json:"bytes"`
	Torn     *wal.Torn    `json:"torn,omitempty"`
	Gaps     [][2]wal.LSN `json:"gaps,omitempty"`
	Damage   []string     `json:"damage"`
}

func runWALVerify(c *cli.Call) error {
	dir, nodeDir, err := logDir(c)
	if err != nil {
		return err
	}
	lock, err := holdLog(nodeDir, false)
	if err != nil {
		return err
	}
	defer lock.Close()
	r, err := wal.Verify(dir, vfs.Default)
	if err != nil {
		return err
	}
	doc := walVerifyDoc{Segments: len(r.Segments), First: r.First, Last: r.Last, Records: r.Records, Bytes: r.Bytes,
		Torn: r.Torn, Gaps: r.Gaps, Damage: []string{}}
	for _, d := range r.Damage {
		doc.Damage = append(doc.Damage, d.Error())
	}
	if err := c.Answer(doc, doc.write); err != nil || len(r.Damage) == 0 {
		return err
	}
	return cli.Hint(fmt.Errorf("the log is damaged: %w", r.Damage[0]), "nodedb wal salvage shows what can be kept")
}

func (d *walVerifyDoc) write(w io.Writer) error {
	rows := [][]string{
		{"segments", fmt.Sprintf("%d, %s", d.Segments, cli.FormatSize(d.Bytes))},
		{"records", fmt.Sprintf("%s, LSN %d to %d", cli.FormatCount(d.Records), d.First, d.Last)},
	}
	if d.Torn != nil {
		rows = append(rows, []string{"torn tail", fmt.Sprintf("%s at byte %d, next is LSN %d; the next start cuts it, nothing acknowledged is in it", d.Torn.Path, d.Torn.Offset, d.Torn.LSN)})
	}
	for _, g := range d.Gaps {
		rows = append(rows, []string{"gap", fmt.Sprintf("LSN %d to %d were given up by a salvage", g[0], g[1])})
	}
	for _, t := range d.Damage {
		rows = append(rows, []string{"damage", t})
	}
	if len(d.Damage) == 0 {
		rows = append(rows, []string{"result", "all right"})
	}
	return cli.Table(w, rows)
}
