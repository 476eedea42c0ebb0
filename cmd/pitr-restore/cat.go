package main

import (
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func catVerb() *cli.Verb {
	return &cli.Verb{
		Name: "cat", Category: "Look", Usage: "print the records of a range of LSNs, decoded, straight from the archive",
		Flags: rangeFlags(), Run: runCat,
	}
}

func historyVerb() *cli.Verb {
	return &cli.Verb{
		Name: "history", Category: "Look", Usage: "print every archived change of one key",
		Args: "KEY", ArgsMin: 1, ArgsMax: 1,
		Description: "It reads all segments of the range, so a narrow --from-lsn and --to-lsn saves time.",
		Flags:       append(rangeFlags(), &ucli.UintFlag{Name: "tenant", Usage: "`N`: tenant of the key"}),
		Run:         runHistory,
	}
}

func rangeFlags() []ucli.Flag {
	return append(archiveFlags(),
		&ucli.StringFlag{Name: "from-lsn", Usage: "first `LSN` (default: the oldest)"},
		&ucli.StringFlag{Name: "to-lsn", Usage: "last `LSN` (default: the newest)"},
		timelineFlag("history to follow (default: the newest)"),
	)
}

func runCat(c *cli.Call) error {
	return printRecords(c, func(*wal.Record) bool { return true })
}

func runHistory(c *cli.Call) error {
	tenant, key := uint32(c.Uint("tenant")), c.Arg(0)
	return printRecords(c, func(r *wal.Record) bool { return cli.Touches(r, tenant, key) })
}

func printRecords(c *cli.Call, want func(*wal.Record) bool) error {
	from, to, err := c.LSNRange()
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	s := &recordStream{archives: archives, timeline: wal.Timeline(c.Uint("timeline")), from: from, to: to}
	if err := s.open(c); err != nil {
		return err
	}
	out := c.NewRecordWriter()
	err = s.each(c.Context(), func(r *wal.Record) error {
		if !want(r) {
			return nil
		}
		return out.Write(r)
	})
	if err != nil {
		return out.Fail(err)
	}
	return out.Close()
}
