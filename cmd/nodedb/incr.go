package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/nodedb-go/nodedb/internal/cli"
)

func incrVerb() *cli.Verb {
	return &cli.Verb{
		Name: "incr", Category: keysCategory, Usage: "add to an integer and print the sum",
		Args: "KEY [DELTA]", ArgsMin: 1, ArgsMax: 2,
		Description: "An absent key counts as 0. DELTA is 1 if it is not given, and may be negative.",
		Flags:       writeFlags(append(expiryFlags(), idemFlag(), base64Flag())...), Run: runIncr,
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
	s, err := openNode(c, opening{create: true, archive: true})
	if err != nil {
		return err
	}
	defer s.closeInto(&err)
	sum, err := s.db().Increment(c.Context(), key, delta, o)
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
