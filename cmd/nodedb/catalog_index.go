package main

import (
	"fmt"
	"io"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node/engine/kv"
)

func catalogIndexVerb() *cli.Verb {
	return &cli.Verb{
		Name: "index", Usage: "index every segment that has no index yet: one Parquet object each, which says who changed a key",
		Description: `An index depends on its segment only, so it does not matter who makes it, or how
often. Encrypted segments are left out, because an index is not encrypted: with
--reveal-encrypted, and an identity that opens them, their keys, times, sizes and
the hashes of their values can be seen by whoever can read the archive.`,
		Flags: append(lookFlags(), &ucli.BoolFlag{Name: "reveal-encrypted", Usage: "index encrypted segments too, in plain"}),
		Run:   runCatalogIndex,
	}
}

func runCatalogIndex(c *cli.Call) error {
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	done, problems := []index.Summary{}, 0
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
		sum, err := indexOne(c, a)
		if err != nil {
			return cli.Hint(err, "what is indexed stays: run the same command again to go on")
		}
		done = append(done, sum)
		problems += len(sum.Problems)
	}
	err = c.Answer(struct {
		Stores []index.Summary `json:"stores"`
	}{done}, func(w io.Writer) error { return writeIndexed(w, done) })
	if err == nil && problems > 0 {
		err = &cli.Error{Code: cli.CodeCorrupt, Err: fmt.Errorf("some segments could not be indexed: %s", cli.Plural(problems, "problem")),
			Hint: "look with: nodedb archive verify"}
	}
	return err
}

func indexOne(c *cli.Call, a *archive.Archive) (index.Summary, error) {
	bar := c.Progress().Bar("index "+a.Store().URL(), 0, cli.Items)
	defer bar.Done()
	return index.CatchUp(c.Context(), a, &index.Options{Decode: kv.Changes, RevealEncrypted: c.Bool("reveal-encrypted")},
		func(done, total int) {
			bar.SetTotal(int64(total))
			bar.Set(int64(done))
		})
}

func writeIndexed(w io.Writer, done []index.Summary) error {
	for _, s := range done {
		rows := [][]string{
			{"store", s.Store},
			{"indexed", fmt.Sprintf("%s of %d without an index: %s, %s", cli.Plural(s.Indexed, "segment"), s.Segments,
				cli.Plural(s.Rows, "change"), cli.FormatSize(s.Bytes))},
		}
		if s.Existed > 0 {
			rows = append(rows, []string{"existed", cli.Plural(s.Existed, "segment") + " that somebody else indexed meanwhile"})
		}
		if s.Gone > 0 {
			rows = append(rows, []string{"gone", cli.Plural(s.Gone, "segment") + " since they were listed"})
		}
		if s.Encrypted > 0 {
			rows = append(rows, []string{"encrypted", cli.Plural(s.Encrypted, "segment") + " left out: --reveal-encrypted says more"})
		}
		for _, p := range s.Problems {
			rows = append(rows, []string{"problem", p.Reason})
		}
		if err := cli.Table(w, rows); err != nil {
			return err
		}
	}
	return nil
}
