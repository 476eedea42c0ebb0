package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive/retain"
	"github.com/nodedb-go/nodedb/internal/cli"
)

func archivePruneVerb() *cli.Verb {
	count := func(name, usage string) ucli.Flag { return &ucli.IntFlag{Name: name, Usage: usage} }
	return &cli.Verb{
		Name: "prune", Usage: "show what no rule keeps any more; with --apply mark it, and delete what was marked a grace period ago",
		Flags: append(lookFlags(),
			count("keep-last", "keep every position from the `N`th newest base on"),
			&ucli.DurationFlag{Name: "keep-within", Usage: "keep every position of the last `DURATION`, such as 168h"},
			count("keep-daily", "keep the newest base of each of the last `N` days that have one"),
			count("keep-weekly", "the same for `N` weeks"),
			count("keep-monthly", "the same for `N` months"),
			count("keep-yearly", "the same for `N` years"),
			&ucli.DurationFlag{Name: "keep-abandoned", Value: retain.DefaultAbandoned, Usage: "`DURATION` for which the rules hold for a history that a restore left"},
			&ucli.DurationFlag{Name: "grace", Value: retain.DefaultGrace, Usage: "`DURATION` between mark and deletion"},
			&ucli.BoolFlag{Name: "apply", Usage: "do it; without it nothing is changed"},
			&ucli.BoolFlag{Name: "dry-run", Usage: "change nothing, which is the default"},
		),
		Run: runPrune,
	}
}

func runPrune(c *cli.Call) error {
	if c.Bool("apply") && c.Bool("dry-run") {
		return cli.Usagef("--apply and --dry-run exclude each other")
	}
	host, _ := os.Hostname() // for people who read the log
	o := retain.Options{Apply: c.Bool("apply"), Grace: c.Duration("grace"), Host: host, Policy: retain.Policy{
		Last: c.Int("keep-last"), Within: c.Duration("keep-within"), Daily: c.Int("keep-daily"), Weekly: c.Int("keep-weekly"),
		Monthly: c.Int("keep-monthly"), Yearly: c.Int("keep-yearly"), Abandoned: c.Duration("keep-abandoned"),
	}}
	if err := o.Policy.Valid(); err != nil {
		return cli.Hint(cli.Usagef("%v", err), "give at least one of --keep-last, --keep-within, --keep-daily, --keep-weekly, --keep-monthly, --keep-yearly")
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
	}
	r, err := retain.Run(c.Context(), archives, o)
	if errors.Is(err, retain.ErrBusy) {
		return cli.Hint(err, "nothing was lost; run it again when the other one is done")
	}
	if err != nil {
		return err
	}
	return c.Answer(r, func(w io.Writer) error { return writePrune(w, r) })
}

func writePrune(w io.Writer, r *retain.Report) error {
	rows := [][]string{{"KEPT", "TIMELINE", "FROM", "TO", "WHY"}}
	for _, k := range r.Kept {
		rows = append(rows, []string{"", k.Timeline.String(), k.From.String(), k.To.String(), k.Reason})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	for i := range r.Stores {
		if err := writePruned(w, &r.Stores[i]); err != nil {
			return err
		}
	}
	if r.Apply {
		return nil
	}
	_, err := fmt.Fprintln(w, "nothing was changed; --apply does it")
	return err
}

func writePruned(w io.Writer, s *retain.StoreReport) error {
	if _, err := fmt.Fprintf(w, "\n%s: %d objects are kept\n", s.Store, s.Objects); err != nil {
		return err
	}
	rows := [][]string{{"STAGE", "SIZE", "DUE", "KEY", "WHY"}}
	for _, it := range s.Items {
		why := it.Reason
		switch {
		case it.Hold:
			why += "; its store holds it without an end"
		case !it.Until.IsZero():
			why += "; its store retains it until " + cli.FormatTime(it.Until)
		}
		rows = append(rows, []string{string(it.Stage), cli.FormatSize(it.Bytes), cli.FormatTime(it.Due), it.Key, why})
	}
	if len(s.Items) == 0 {
		rows = nil
	}
	for _, u := range s.Unclear {
		if _, err := fmt.Fprintf(w, "cannot be read, so what it may need is kept: %s\n", u); err != nil {
			return err
		}
	}
	if rows == nil {
		_, err := fmt.Fprintln(w, "nothing to prune")
		return err
	}
	return cli.Table(w, rows)
}
