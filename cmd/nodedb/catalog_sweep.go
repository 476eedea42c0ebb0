package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/pitr/sweep"
)

func catalogSweepVerb() *cli.Verb {
	return &cli.Verb{
		Name: "sweep", Usage: "find what is wrong with the archives of nodes, and index, note and verify what is due",
		Description: `Without --node-id all nodes in the archive are swept. Holes, overlaps, foreign
objects and epochs that collide are found by listing; segments without an index
get one; a snapshot of the catalog is written when enough came since the last.
With a budget objects are verified, those first that were never or not for
longest. Nothing of the history is changed or deleted.

Exit codes: 0 nothing needs attention, 3 damage, 7 two writers, 5 LSNs that cannot
be restored, 6 a store did not answer, 1 anything else to look at.`,
		Flags: append(lookFlags(),
			&ucli.BoolFlag{Name: "reveal-encrypted", Usage: "index encrypted segments too, in plain"},
			&ucli.BoolFlag{Name: "no-index", Usage: "leave segments without an index"},
			&ucli.BoolFlag{Name: "no-snapshot", Usage: "write no snapshot of the catalog"},
			&ucli.DurationFlag{Name: "stale-after", Usage: "say so when nothing new came for `DURATION`"},
			cli.SizeFlag("verify-bytes", 0, "read and verify no more than `SIZE` of each node"),
			&ucli.DurationFlag{Name: "verify-time", Usage: "verify each node for no longer than `DURATION`"},
			&ucli.DurationFlag{Name: "verify-every", Usage: "verify only when the last time is `DURATION` ago"},
			&ucli.DurationFlag{Name: "verify-older-than", Usage: "leave out what was verified within `DURATION`"},
			cli.SizeFlag("drill-bytes", 0, "restore nodes into a temporary directory for which that fetches at most `SIZE`, and compare with what they published"),
			&ucli.DurationFlag{Name: "drill-every", Usage: "drill only when the last time is `DURATION` ago"},
			&ucli.StringFlag{Name: "temp-dir", Usage: "`DIR` in which nodes are rebuilt; default: the system's"},
			&ucli.DurationFlag{Name: "max-time", Usage: "begin nothing more after `DURATION`, which the nodes share"},
		),
		Run: runCatalogSweep,
	}
}

func runCatalogSweep(c *cli.Call) error {
	stores, err := c.OpenStores()
	if err != nil {
		return err
	}
	defer stores.Close()
	if len(stores) == 0 {
		return cli.Hint(cli.Usagef("no archive given"), "name it with --archive URL or %s", cli.EnvName("archive"))
	}
	f := sweep.Fleet{Options: sweepOptions(c)}
	for _, s := range stores {
		f.Stores = append(f.Stores, s.Store)
	}
	if f.Identities, err = c.Identities(); err != nil {
		return err
	}
	if c.String("node-id") != "" {
		archives, named, err := c.OpenArchives()
		if err != nil {
			return err
		}
		defer named.Close()
		if err := c.CheckNode(archives[0]); err != nil {
			return err
		}
		f.Nodes = []string{archives[0].NodeID()}
	}
	reports, left, err := f.Run(c.Context())
	if err != nil {
		return err
	}
	err = c.Answer(struct {
		Reports []*sweep.Report `json:"reports"`
		Left    []string        `json:"left"`
	}{reports, append([]string{}, left...)}, func(w io.Writer) error { return writeSwept(w, reports, left) })
	if err != nil {
		return err
	}
	return sweptVerdict(reports)
}

func sweepOptions(c *cli.Call) sweep.Options {
	v := cli.BuildVersion("nodedb")
	o := sweep.Options{
		StaleAfter: c.Duration("stale-after"),
		NoIndex:    c.Bool("no-index"), NoSnapshot: c.Bool("no-snapshot"),
		Index:       &index.Options{Decode: kv.Changes, RevealEncrypted: c.Bool("reveal-encrypted")},
		VerifyBytes: c.Size("verify-bytes"), VerifyTime: c.Duration("verify-time"),
		VerifyEvery: c.Duration("verify-every"), VerifyOlderThan: c.Duration("verify-older-than"),
		DrillBytes: c.Size("drill-bytes"), DrillEvery: c.Duration("drill-every"), DrillDir: c.String("temp-dir"),
		Seed: uint64(rand.Uint32()),
		Tool: strings.TrimSpace(v.Name + " " + v.Version + " " + v.Commit),
	}
	o.Host, _ = os.Hostname() // a courtesy
	if o.DrillDir == "" {
		o.DrillDir = os.TempDir()
	}
	if d := c.Duration("max-time"); d > 0 {
		o.Until = time.Now().Add(d)
	}
	return o
}

// sweptVerdict is the error of findings that somebody should look at.
func sweptVerdict(reports []*sweep.Report) error {
	n := 0
	for _, r := range reports {
		n += r.Attention()
	}
	if n == 0 {
		return nil
	}
	return &cli.Error{Code: cli.Code(sweep.ExitCode(reports)), Err: fmt.Errorf("%s to look at", cli.Plural(n, "finding")),
		Hint: "pitr-restore explain says what can still be restored"}
}

func writeSwept(w io.Writer, reports []*sweep.Report, left []string) error {
	for _, r := range reports {
		if err := cli.Table(w, sweptRows(r)); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return cli.Table(w, [][]string{{"left", strings.Join(left, ", ") + ": there was no time for them"}})
	}
	return nil
}

func sweptRows(r *sweep.Report) [][]string {
	rows := [][]string{{"node", r.NodeID}, {"store", r.Store}}
	if r.Listed {
		rows = append(rows, []string{"holds", fmt.Sprintf("%s, %s, %s, %s", cli.Plural(r.Segments, "segment"), cli.Plural(r.Bases, "base"),
			cli.Plural(r.Epochs, "epoch"), cli.Plural(r.Timelines, "timeline"))})
	}
	if r.End.LSN != 0 {
		rows = append(rows, []string{"ends", fmt.Sprintf("%s, %s ago", cli.FormatPosition(r.End), cli.FormatDuration(r.EndAge))})
	}
	if x := r.Index; x != nil && x.Indexed > 0 {
		rows = append(rows, []string{"indexed", fmt.Sprintf("%s, %s, %s", cli.Plural(x.Indexed, "segment"), cli.Plural(x.Rows, "change"), cli.FormatSize(x.Bytes))})
	}
	if s := r.Snapshot; s != nil {
		rows = append(rows, []string{"snapshot", fmt.Sprintf("%s, %s", s.Key, cli.Plural(s.Objects, "name"))})
	}
	if v := r.Verify; v != nil {
		rows = append(rows, []string{"verified", fmt.Sprintf("%s, %s; %d left, %d verified lately", cli.Plural(v.Segments+v.Packs+v.Objects+v.Unopened, "object"),
			cli.FormatSize(v.Bytes), v.Left, v.Recent)})
	}
	if d := r.Drill; d != nil {
		rows = append(rows, []string{"drill", fmt.Sprintf("LSN %d restored: %s", uint64(d.LSN), d.Verdict)})
	}
	for _, s := range r.Skipped {
		rows = append(rows, []string{"left out", s.Step + ": " + s.Why})
	}
	verdict := "all right"
	if n := r.Attention(); n > 0 {
		verdict = cli.Plural(n, "finding") + " to look at"
	}
	rows = append(rows, []string{"result", verdict})
	for i := range r.Findings {
		f := &r.Findings[i]
		rows = append(rows, []string{string(f.Severity), string(f.Kind) + ": " + f.Text})
	}
	return rows
}
