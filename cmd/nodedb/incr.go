package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
)

func incrVerb() *cli.Verb {
	return &cli.Verb{
		Name: "incr", Category: keysCategory, Usage: "add to an integer and print the sum",
		Args: "KEY [DELTA]", ArgsMin: 1, ArgsMax: 2,
		Description: "An absent key counts as 0. DELTA is 1 if it is not given, and may be negative.",
		Flags:       writeFlags(slices.Concat(expiryFlags(), remoteFlags(), []ucli.Flag{idemFlag(), base64Flag()})...), Run: runIncr,
	}
}

func runIncr(c *cli.Call) (err error) {
	key, err := keyArg(c, 0)
	if err != nil {
		return err
	}
	delta := int64(1)
	if c.NArg() == 2 {
		if delta, err = strconv.ParseInt(c.Arg(1), 10, 64); err != nil {
			return cli.Usagef("DELTA %q is not a 64-bit integer", c.Arg(1))
		}
	}
	o, err := writeOptions(c)
	if err != nil {
		return err
	}
	db, done, err := openWriting(c, opening{create: true, archive: true})
	if err != nil {
		return err
	}
	defer done(&err)
	sum, err := db.Increment(c.Context(), key, delta, o)
	if err != nil {
		return err
	}
	return c.Answer(struct {
		Value int64 `json:"value"`
	}{sum}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, sum)
		return err
	})
}
