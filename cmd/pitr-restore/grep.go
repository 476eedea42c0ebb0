package main

import (
	"regexp"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
)

func grepVerb() *cli.Verb {
	return &cli.Verb{
		Name: "grep", Category: "Look", Usage: "print the archived changes of keys that match a pattern",
		Args: "PATTERN", ArgsMin: 1, ArgsMax: 1,
		Description: "PATTERN is a regular expression as Go's regexp reads it, looked for anywhere in\nthe key; of all tenants. It reads the segments of the range.",
		Flags:       queryFlags(append(boundFlags(), &ucli.BoolFlag{Name: "value", Usage: "look into values instead of keys"})...),
		Run:         runGrep,
	}
}

func runGrep(c *cli.Call) error {
	r, err := queryRange(c)
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile(c.Arg(0))
	if err != nil {
		return cli.Hint(cli.Usagef("%w", err), "what is meant literally is written with a backslash, like user\\[1\\]")
	}
	q, stores, err := openQuery(c)
	if err != nil {
		return err
	}
	defer stores.Close()
	return printVersions(c, func(emit func(*pitr.Version) error) error {
		return q.Grep(c.Context(), r, pattern, c.Bool("value"), emit)
	})
}
