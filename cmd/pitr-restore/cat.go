package main

import (
	"bufio"
	"encoding/json"
	"fmt"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
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

// printRecords streams: with --json the document is one array, written record
// by record, so a long range needs no memory.
func printRecords(c *cli.Call, want func(*wal.Record) bool) error {
	from, to, err := lsnRange(c)
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
	out := bufio.NewWriterSize(c.Stdout, 1<<16)
	n := 0
	err = s.each(c.Context(), func(r *wal.Record) error {
		if !want(r) {
			return nil
		}
		n++
		return printRecord(out, c.JSON, n, cli.ViewRecord(r))
	})
	if err == nil && c.JSON {
		err = endArray(out, n)
	}
	if err == nil {
		return out.Flush()
	}
	if n > 0 {
		_ = out.Flush() // what was read is worth having; the error says what is missing
		if c.JSON {
			c.Answered()
		}
	}
	return err
}

func printRecord(out *bufio.Writer, asJSON bool, n int, v cli.RecordView) error {
	if !asJSON {
		_, err := fmt.Fprintln(out, v.Line())
		return err
	}
	sep := ",\n"
	if n == 1 {
		sep = "[\n"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = out.WriteString(sep + string(b))
	return err
}

func endArray(out *bufio.Writer, n int) error {
	end := "\n]\n"
	if n == 0 {
		end = "[]\n"
	}
	_, err := out.WriteString(end)
	return err
}

func lsnRange(c *cli.Call) (from, to wal.LSN, err error) {
	to = ^wal.LSN(0)
	if s := c.String("from-lsn"); s != "" {
		if from, err = pitr.ParseLSN(s); err != nil {
			return 0, 0, err
		}
	}
	if s := c.String("to-lsn"); s != "" {
		if to, err = pitr.ParseLSN(s); err != nil {
			return 0, 0, err
		}
	}
	if from > to {
		return 0, 0, cli.Usagef("--from-lsn %d is above --to-lsn %d", from, to)
	}
	return from, to, nil
}
