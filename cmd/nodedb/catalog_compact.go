package main

import (
	"fmt"
	"io"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/internal/cli"
)

func catalogCompactVerb() *cli.Verb {
	return &cli.Verb{
		Name: "compact", Usage: "merge small segments into packs, and the indexes of a day into one",
		Description: `First what archive compact does, then the indexes: those of each day that is over
become one object, and those of today when they are enough, so that a question about
one key asks few objects. The indexes of segments stay as long as their segments. Run
it by a timer, once a day or more often.`,
		Flags: append(compactFlags(),
			&ucli.IntFlag{Name: "min-indexes", Value: 8, Usage: "fewer indexes of a day are not merged"},
			&ucli.StringFlag{Name: "temp-dir", Usage: "`DIR` for temporary files, a few times what is merged at a time; default: the system's"},
		),
		Run: runCatalogCompact,
	}
}

// compacted is what was done in one store.
type compacted struct {
	Store    string                 `json:"store"`
	Segments *archive.CompactReport `json:"segments"`
	Indexes  *index.MergeReport     `json:"indexes"`
}

func runCatalogCompact(c *cli.Call) error {
	to, _, err := c.Recipients()
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	done, problems := []compacted{}, 0
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
		r, err := compactCatalog(c, a, to)
		if err != nil {
			return cli.Hint(err, "what is merged stays: run the same command again to go on")
		}
		done = append(done, r)
		problems += len(r.Segments.Problems) + len(r.Indexes.Problems)
	}
	err = c.Answer(struct {
		Stores []compacted `json:"stores"`
	}{done}, func(w io.Writer) error { return writeCompacted(w, done) })
	if err == nil && problems > 0 {
		err = &cli.Error{Code: cli.CodeCorrupt, Err: fmt.Errorf("some objects could not be merged: %s", cli.Plural(problems, "problem")),
			Hint: "look with: nodedb archive verify; an index that is damaged can be deleted and made again"}
	}
	return err
}

func compactCatalog(c *cli.Call, a *archive.Archive, to *archive.Recipients) (r compacted, err error) {
	r.Store = a.Store().URL()
	if r.Segments, err = compactOne(c, a, to); err != nil {
		return r, err
	}
	bar := c.Progress().Bar("merge indexes in "+r.Store, 0, cli.Items)
	defer bar.Done()
	r.Indexes, err = index.Merge(c.Context(), a, &index.MergeOptions{
		MinIndexes: c.Int("min-indexes"), Dir: c.String("temp-dir"), DryRun: c.Bool("dry-run"), Logger: c.Log,
		Progress: func(done, total int) {
			bar.SetTotal(int64(total))
			bar.Set(int64(done))
		},
	})
	return r, err
}

func writeCompacted(w io.Writer, done []compacted) error {
	for _, d := range done {
		if err := writeCompactReports(w, []*archive.CompactReport{d.Segments}); err != nil {
			return err
		}
		m, merged := d.Indexes, "merged indexes"
		if m.DryRun {
			merged = "would merge indexes"
		}
		rows := [][]string{{merged, fmt.Sprintf("%s, %s, into %s", cli.Plural(m.Indexes, "file"), cli.FormatSize(m.Bytes), cli.Plural(m.New, "file"))}}
		if !m.DryRun {
			rows = append(rows, []string{"new indexes", fmt.Sprintf("%s, %s", cli.Plural(m.Rows, "change"), cli.FormatSize(m.NewBytes))})
		}
		if m.Existed > 0 {
			rows = append(rows, []string{"existed", cli.Plural(m.Existed, "file") + " that somebody else made meanwhile"})
		}
		for _, p := range m.Problems {
			rows = append(rows, []string{"problem", p.Reason})
		}
		if err := cli.Table(w, rows); err != nil {
			return err
		}
	}
	return nil
}
