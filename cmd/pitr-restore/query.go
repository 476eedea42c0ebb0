package main

import (
	"encoding/base64"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// queryFlags say which history is asked, and how fast.
func queryFlags(more ...ucli.Flag) []ucli.Flag {
	return append(append(archiveFlags(),
		timelineFlag("history to follow (default: the newest)"),
		&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "segments read at a time"}), more...)
}

// keyFlags say how the key of the argument is meant.
func keyFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.UintFlag{Name: "tenant", Usage: "`N`: tenant of the key"},
		&ucli.BoolFlag{Name: "base64", Usage: "KEY is base64"},
		&ucli.BoolFlag{Name: "no-index", Usage: "read segments whole, also where there is an index"},
	}
}

// boundFlags are both ends of a range.
func boundFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "from", Aliases: []string{"from-lsn"}, Usage: "first `LSN`, or time in RFC 3339 (default: the oldest)"},
		&ucli.StringFlag{Name: "to", Aliases: []string{"to-lsn"}, Usage: "last `LSN`, or time in RFC 3339 (default: the newest)"},
	}
}

func queryKey(c *cli.Call) ([]byte, error) {
	if !c.Bool("base64") {
		return []byte(c.Arg(0)), nil
	}
	b, err := base64.StdEncoding.DecodeString(c.Arg(0))
	if err != nil {
		return nil, cli.Usagef("%q is not base64: %w", c.Arg(0), err)
	}
	return b, nil
}

func queryRange(c *cli.Call) (r pitr.Range, err error) {
	r.Timeline = wal.Timeline(c.Uint("timeline"))
	for name, b := range map[string]*pitr.Bound{"from": &r.From, "to": &r.To} {
		if s := c.String(name); s != "" {
			if *b, err = pitr.ParseBound(s); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// openQuery lists the archives. The stores are the caller's to close.
func openQuery(c *cli.Call) (*pitr.Query, cli.Stores, error) {
	if n := c.Int("parallel"); n < 1 {
		return nil, nil, cli.Usagef("--parallel is %d, want 1 or more", n)
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return nil, nil, err
	}
	q, err := pitr.NewQuery(c.Context(), archives, &pitr.QueryOptions{Parallel: c.Int("parallel"), NoIndex: c.Bool("no-index"), Restore: pitr.Options{Logger: c.Log}})
	if err != nil {
		_ = stores.Close() // the query's error says more
		return nil, nil, err
	}
	for _, w := range q.Warnings() {
		c.Log.Warn(w)
	}
	return q, stores, nil
}
