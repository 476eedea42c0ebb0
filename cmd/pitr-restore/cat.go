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

func rangeFlags() []ucli.Flag {
	return append(archiveFlags(),
		&ucli.StringFlag{Name: "from-lsn", Usage: "first `LSN` (default: the oldest)"},
		&ucli.StringFlag{Name: "to-lsn", Usage: "last `LSN` (default: the newest)"},
		timelineFlag("history to follow (default: the newest)"),
	)
}

func runCat(c *cli.Call) error {
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
	err = s.each(c.Context(), out.Write)
	if err != nil {
		return out.Fail(err)
	}
	return out.Close()
}
