package main

import (
	"fmt"
	"io"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
)

func archiveCopyVerb() *cli.Verb {
	return &cli.Verb{
		Name: "copy", Usage: "bring a node's whole history into another store; run it again to go on",
		Flags: []ucli.Flag{
			&ucli.StringSliceFlag{Name: "from", Usage: "`URL` of a store to copy from; of several, one gives what another has lost"},
			&ucli.StringFlag{Name: "to", Usage: "`URL` of the store to copy into"},
			cli.NodeIDFlag("`ID` of the node in the archive; not needed when there is only one"),
			&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "objects copied at a time"},
			cli.SizeFlag("rate", 0, "bytes read in a second, 0 for as fast as it goes"),
			&ucli.BoolFlag{Name: "recheck", Usage: "read again what the target has already"},
		},
		Run: runArchiveCopy,
	}
}

func runArchiveCopy(c *cli.Call) error {
	if c.String("to") == "" {
		return cli.Usagef("no --to URL")
	}
	from, stores, err := c.OpenArchivesOf("from")
	if err != nil {
		return err
	}
	defer stores.Close()
	to, _, err := archive.OpenStore(c.Context(), c.String("to"))
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	bar := c.Progress().Bar("copy", 0, cli.Bytes)
	defer bar.Done()
	report, err := archive.Copy(c.Context(), from, to, &archive.CopyOptions{
		Parallel: c.Int("parallel"), RateBytes: c.Size("rate"), Recheck: c.Bool("recheck"), Logger: c.Log,
		Progress: func(p archive.CopyProgress) {
			bar.SetTotal(p.BytesTotal)
			bar.Set(p.Bytes)
		},
	})
	if err != nil {
		return cli.Hint(err, "what is copied stays: run the same command again to go on")
	}
	if report.Copied+report.Present == 0 && report.OK() {
		if err := c.CheckNode(from[0]); err != nil {
			return err
		}
	}
	if err := c.Answer(report, func(w io.Writer) error { return writeCopyReport(w, report) }); err != nil {
		return err
	}
	return copyVerdict(report)
}

// copyVerdict is the error of a copy that is not complete: unknown when a store
// did not answer, damage otherwise.
func copyVerdict(r *archive.CopyReport) error {
	if r.OK() {
		return nil
	}
	code := cli.CodeCorrupt
	for _, p := range r.Problems {
		if archive.Retryable(p.Err) {
			code = cli.CodeUnreachable
		}
	}
	return &cli.Error{Code: code, Err: fmt.Errorf("the copy is not complete: %s", cli.Plural(len(r.Problems), "problem")),
		Hint: "name another store that has the objects with a second --from"}
}

func writeCopyReport(w io.Writer, r *archive.CopyReport) error {
	verdict := "complete"
	if !r.OK() {
		verdict = cli.Plural(len(r.Problems), "problem")
	}
	rows := [][]string{
		{"node", r.NodeID},
		{"to", r.To},
		{"copied", fmt.Sprintf("%s, %s in %s", cli.Plural(r.Copied, "object"), cli.FormatSize(r.CopiedBytes), cli.FormatDuration(r.Duration))},
		{"there before", fmt.Sprintf("%s, %s", cli.Plural(r.Present, "object"), cli.FormatSize(r.PresentBytes))},
	}
	if r.Unproven > 0 {
		rows = append(rows, []string{"not compared", cli.Plural(r.Unproven, "object") + ", encrypted each in its own way"})
	}
	if r.Foreign > 0 {
		rows = append(rows, []string{"passed over", cli.Plural(r.Foreign, "object") + " with names that are not nodedb's"})
	}
	rows = append(rows, []string{"result", verdict})
	for _, p := range r.Problems {
		rows = append(rows, []string{"problem", p.Reason})
	}
	return cli.Table(w, rows)
}
