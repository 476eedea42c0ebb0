package main

import (
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// archiveFlags say which node's archive is meant.
func archiveFlags() []ucli.Flag {
	return append([]ucli.Flag{
		cli.ArchiveFlag(),
		cli.NodeIDFlag("`ID` of the node in the archive; not needed when there is only one"),
	}, cli.IdentityFlags()...)
}

// targetFlags name the state to come back to.
func targetFlags() []ucli.Flag {
	return append(archiveFlags(),
		&ucli.StringFlag{Name: "to-lsn", Usage: "the state right after the record `LSN`"},
		&ucli.StringFlag{Name: "to-time", Usage: "the state at `TIME`, RFC 3339 with an offset"},
		&ucli.StringFlag{Name: "to-point", Usage: "the state at the restore point `NAME`"},
		&ucli.BoolFlag{Name: "latest", Usage: "the last archived state"},
		&ucli.BoolFlag{Name: "exclusive", Usage: "stop just before the target"},
		&ucli.StringFlag{Name: "before-record", Usage: "the state right before the record `LSN`: --to-lsn LSN --exclusive"},
		timelineFlag("history to follow, when more than one leads to the target"),
	)
}

func timelineFlag(usage string) ucli.Flag {
	return &ucli.UintFlag{Name: "timeline", Usage: "`N`: " + usage}
}

// target reads the target flags; exactly one must be given.
func target(c *cli.Call) (pitr.Target, error) {
	t := pitr.Target{Exclusive: c.Bool("exclusive"), Timeline: wal.Timeline(c.Uint("timeline"))}
	var err error
	given := 0
	if s := c.String("to-lsn"); s != "" {
		given++
		t.LSN, err = pitr.ParseLSN(s)
	}
	if s := c.String("before-record"); s != "" && err == nil {
		given++
		t.Exclusive = true
		t.LSN, err = pitr.ParseLSN(s)
	}
	if s := c.String("to-time"); s != "" && err == nil {
		given++
		t.Time, err = pitr.ParseTime(s)
	}
	if s := c.String("to-point"); s != "" {
		given++
		t.Point = s
	}
	if c.Bool("latest") {
		given++
		t.Latest = true
	}
	switch {
	case err != nil:
		return t, err
	case given == 0:
		return t, cli.Hint(cli.Usagef("no target"), "give one of --to-lsn N, --to-time T, --to-point NAME, --before-record N, --latest;\npitr-restore windows shows what can be reached")
	case given > 1:
		return t, cli.Usagef("%d targets, want one of --to-lsn, --to-time, --to-point, --before-record, --latest", given)
	}
	return t, nil
}

// makePlan opens the archives and plans; the stores stay open for the restore.
func makePlan(c *cli.Call) (*pitr.Plan, cli.Stores, error) { return makePlanWith(c, nil) }

func makePlanWith(c *cli.Call, opts *pitr.PlanOptions) (*pitr.Plan, cli.Stores, error) {
	t, err := target(c)
	if err != nil {
		return nil, nil, err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return nil, nil, err
	}
	plan, err := pitr.NewPlanWith(c.Context(), archives, t, opts)
	if err != nil {
		_ = stores.Close() // the plan's error says more
		return nil, nil, err
	}
	return plan, stores, nil
}
