package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

func drillVerb() *cli.Verb {
	return &cli.Verb{
		Name: "drill", Category: "Restore", Usage: "restore into a temporary directory and compare with the digest that the node published",
		Description: `Without a target a random LSN of all that can be restored is taken; its seed is
printed and brings the same one back. The state of the nearest LSN whose digest
the node published is rebuilt, compared, and removed again. What came out is
kept in the archive as a proof object; --no-write leaves the archive alone.

Exit codes: 0 equal, 3 different, 1 nothing was published to compare with.`,
		Flags: append(targetFlags(),
			&ucli.Uint64Flag{Name: "seed", Usage: "`N`: draw the same random LSN as the run that printed it"},
			&ucli.StringFlag{Name: "temp-dir", Usage: "`DIR` in which the node is rebuilt; default: the system's"},
			&ucli.BoolFlag{Name: "keep", Usage: "leave the rebuilt node there"},
			&ucli.BoolFlag{Name: "no-write", Usage: "write no proof object, for credentials that can only read"},
			&ucli.IntFlag{Name: "search", Value: 16, Usage: "segments read in search of a published digest"},
			&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "objects fetched at a time"},
		),
		Run: runDrill,
	}
}

func runDrill(c *cli.Call) error {
	o, err := drillOptions(c)
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	bar := c.Progress().Bar("drill", 0, cli.Items)
	o.Restore.Progress = func(p pitr.Progress) {
		bar.SetTotal(int64(p.RecordsTotal))
		bar.Set(int64(p.Records))
	}
	report, err := pitr.Drill(c.Context(), archives, o)
	bar.Done()
	if report == nil {
		return err
	}
	if errors.Is(err, archive.ErrDenied) {
		err = cli.Hint(err, "the proof was not written; --no-write does without one")
	}
	return errors.Join(c.Answer(report, func(w io.Writer) error { return writeDrill(w, report) }), err, drillVerdict(report))
}

func drillOptions(c *cli.Call) (*pitr.DrillOptions, error) {
	for _, name := range []string{"parallel", "search"} {
		if c.Int(name) < 1 {
			return nil, cli.Usagef("--%s is %d, want 1 or more", name, c.Int(name))
		}
	}
	o := &pitr.DrillOptions{
		Seed: c.Uint64("seed"), Timeline: wal.Timeline(c.Uint("timeline")), SearchSegments: c.Int("search"),
		Dir: c.String("temp-dir"), Keep: c.Bool("keep"), NoWrite: c.Bool("no-write"),
		Restore: pitr.Options{Parallel: c.Int("parallel"), Logger: c.Log},
	}
	v := cli.BuildVersion("pitr-restore")
	o.Tool = strings.TrimSpace(v.Name + " " + v.Version + " " + v.Commit)
	o.Host, _ = os.Hostname() // a courtesy
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	given := c.Bool("latest")
	for _, name := range []string{"to-lsn", "to-time", "to-point", "before-record"} {
		given = given || c.String(name) != ""
	}
	switch {
	case given && c.IsSet("seed"):
		return nil, cli.Usagef("--seed draws a random LSN, and a target is given")
	case given:
		t, err := target(c)
		o.Target = &t
		return o, err
	case !c.IsSet("seed"):
		o.Seed = uint64(rand.Uint32())
	}
	return o, nil
}

func writeDrill(w io.Writer, r *pitr.DrillReport) error {
	rows := [][]string{
		{"target", r.Target},
		{"asked", cli.FormatPosition(r.Asked)},
		{"rebuilt", cli.FormatPosition(pitr.Position{Timeline: r.Timeline, LSN: r.LSN, Time: r.Time})},
	}
	if r.Why != "" {
		rows = append(rows, []string{"", r.Why})
	}
	base := "from LSN 1"
	if r.BaseLSN != 0 {
		base = fmt.Sprintf("base at LSN %d", r.BaseLSN)
	}
	rows = append(rows, []string{"from", fmt.Sprintf("%s, %s, %s, %s", base, cli.Plural(r.Segments, "segment"), cli.Plural(r.Records, "record"), cli.FormatSize(r.Bytes))},
		[]string{"took", fmt.Sprintf("%.3g s", r.Seconds)},
		[]string{"digest", fmt.Sprintf("%s over %s entries", r.Digest, cli.FormatCount(r.Entries))})
	for _, s := range r.Sources {
		rows = append(rows, []string{"published", r.Published + " by " + s})
	}
	rows = append(rows, []string{"verdict", string(r.Verdict)})
	for _, s := range r.Written {
		rows = append(rows, []string{"proof", s + " " + archive.NodePrefix(r.NodeID) + r.Key})
	}
	if r.Dir != "" {
		rows = append(rows, []string{"kept", r.Dir})
	}
	return cli.Table(w, rows)
}

func drillVerdict(r *pitr.DrillReport) error {
	switch r.Verdict {
	case archive.VerdictEqual:
		return nil
	case archive.VerdictDifferent:
		return &cli.Error{Code: cli.CodeCorrupt, Err: fmt.Errorf("the state rebuilt at LSN %d is not the one that the node published", r.LSN),
			Hint: "pitr-restore verify reads every object; if all are right, an earlier target tells where the states part"}
	}
	return &cli.Error{Code: cli.CodeError, Err: errors.New("nothing was compared"),
		Hint: "nodedb digest and nodedb backup publish digests; --search reads more segments for one"}
}
