package main

import (
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
)

func historyVerb() *cli.Verb {
	return &cli.Verb{
		Name: "history", Category: "Look", Usage: "print every archived version of one key",
		Args: "KEY", ArgsMin: 1, ArgsMax: 1,
		Description: `It reads the segments of the range, so a narrow --from and --to saves time.
LSNs that no segment holds are printed as unknown, with what a base tells of
the key behind them.`,
		Flags: queryFlags(append(boundFlags(), keyFlags()...)...), Run: runHistory,
	}
}

func runHistory(c *cli.Call) error {
	r, err := queryRange(c)
	if err != nil {
		return err
	}
	key, err := queryKey(c)
	if err != nil {
		return err
	}
	q, stores, err := openQuery(c)
	if err != nil {
		return err
	}
	defer stores.Close()
	return printVersions(c, func(emit func(*pitr.Version) error) error {
		return q.History(c.Context(), r, uint32(c.Uint("tenant")), key, emit)
	})
}

// printVersions prints what ask emits, as it comes.
func printVersions(c *cli.Call, ask func(emit func(*pitr.Version) error) error) error {
	out := c.NewRecordWriter()
	err := ask(func(v *pitr.Version) error {
		view := cli.ViewVersion(v)
		return out.WriteRow(view, view.Line())
	})
	if err != nil {
		return out.Fail(err)
	}
	return out.Close()
}
