package main

import (
	"fmt"
	"io"

	"github.com/nodedb-go/nodedb/internal/cli"
)

func delVerb() *cli.Verb {
	return &cli.Verb{
		Name: "del", Category: keysCategory, Usage: "remove keys",
		Args: "KEY...", ArgsMin: 1, ArgsMax: -1,
		Description: "Each key is removed by itself. Keys that do not exist are no error.",
		Flags:       writeFlags(append(remoteFlags(), base64Flag())...), Run: runDel,
	}
}

func runDel(c *cli.Call) (err error) {
	keys := make([][]byte, c.NArg())
	for i := range keys {
		if keys[i], err = keyArg(c, i); err != nil {
			return err
		}
	}
	db, done, err := openWriting(c, opening{archive: true})
	if err != nil {
		return err
	}
	defer done(&err)
	removed := 0
	for _, k := range keys {
		existed, err := db.Delete(c.Context(), k, nil)
		if err != nil {
			return fmt.Errorf("remove %q, %d removed before: %w", k, removed, err)
		}
		if existed {
			removed++
		}
	}
	return c.Answer(struct {
		Removed int `json:"removed"`
	}{removed}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, removed)
		return err
	})
}
