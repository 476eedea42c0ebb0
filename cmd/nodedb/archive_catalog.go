package main

import (
	"io"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
)

func archiveCatalogVerb() *cli.Verb {
	return &cli.Verb{
		Name: "catalog", Usage: "write a snapshot of the archive's names, so that plans list less",
		Description: `A snapshot holds the listing, and what footers and manifests say. A plan that
finds one lists only what came later, and confirms what it will fetch; without
one, or with a wrong one, it lists everything. What an earlier snapshot knows of
the same names is not read again.`,
		Flags: append(lookFlags(), &ucli.BoolFlag{Name: "names-only", Usage: "do not read the footers of segments, except the last"}),
		Run:   runArchiveCatalog,
	}
}

type snapshotView struct {
	Store string `json:"store"`
	Key   string `json:"key"`
	archive.SnapshotInfo
	Seconds float64 `json:"seconds"`
}

func runArchiveCatalog(c *cli.Call) error {
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	written := []snapshotView{}
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
		begun := time.Now()
		bar := c.Progress().Bar("read footers", 0, cli.Items)
		k, info, err := archive.WriteSnapshot(c.Context(), a, &archive.SnapshotOptions{
			NamesOnly: c.Bool("names-only"),
			Progress: func(done, total int) {
				bar.SetTotal(int64(total))
				bar.Set(int64(done))
			},
		})
		bar.Done()
		if err != nil {
			return err
		}
		written = append(written, snapshotView{a.Store().URL(), k.String(), info, time.Since(begun).Seconds()})
	}
	return c.Answer(struct {
		Snapshots []snapshotView `json:"snapshots"`
	}{written}, func(w io.Writer) error {
		rows := [][]string{{"STORE", "SNAPSHOT", "NAMES", "EPOCHS", "BASES"}}
		for _, s := range written {
			rows = append(rows, []string{s.Store, s.Key, cli.FormatCount(s.Objects), cli.FormatCount(s.Epochs), cli.FormatCount(s.Bases)})
		}
		return cli.Table(w, rows)
	})
}
