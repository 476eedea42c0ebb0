package main

import (
	"fmt"
	"io"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
)

func diffVerb() *cli.Verb {
	return &cli.Verb{
		Name: "diff", Category: "Look", Usage: "print the keys whose value differs between two positions of a history",
		Description: `It reads the segments between the two, and looks up what the keys that were
touched held at --from. A key whose time has come counts as there until the
record that removes it.`,
		Flags: queryFlags(
			&ucli.StringFlag{Name: "from", Usage: "`TARGET`: LSN, time in RFC 3339 or point:NAME"},
			&ucli.StringFlag{Name: "to", Usage: "`TARGET`: as --from, or latest", Value: "latest"},
			&ucli.StringFlag{Name: "prefix", Usage: "`PREFIX` of keys to compare (default: all)"},
		),
		Run: runDiff,
	}
}

func runDiff(c *cli.Call) error {
	if c.String("from") == "" {
		return cli.Hint(cli.Usagef("diff needs --from TARGET"), "pitr-restore windows shows what can be compared")
	}
	from, err := parseAt(c, "from")
	if err != nil {
		return err
	}
	to, err := parseAt(c, "to")
	if err != nil {
		return err
	}
	q, stores, err := openQuery(c)
	if err != nil {
		return err
	}
	defer stores.Close()
	d, err := q.Diff(c.Context(), from, to, []byte(c.String("prefix")))
	if err != nil {
		return err
	}
	view := cli.ViewDiff(d)
	return c.Answer(view, func(w io.Writer) error {
		for i := range view.Keys {
			if _, err := fmt.Fprintln(w, view.Keys[i].Line()); err != nil {
				return err
			}
		}
		return nil
	})
}
