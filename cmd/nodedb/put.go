package main

import (
	"fmt"
	"io"
	"slices"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func putVerb() *cli.Verb {
	return &cli.Verb{
		Name: "put", Category: keysCategory, Usage: "set a key; durable when it returns",
		Args: "KEY [VALUE]", ArgsMin: 1, ArgsMax: 2,
		Description: "Without VALUE, or with -, the value is read from standard input. The directory\nbecomes a node if it is empty or absent.",
		Flags: writeFlags(slices.Concat(expiryFlags(), remoteFlags(), []ucli.Flag{
			&ucli.StringFlag{Name: "file", Usage: "read the value from `FILE`"},
			&ucli.BoolFlag{Name: "if-absent", Usage: "only if the key has no value; exit code 1 if it has"},
			idemFlag(), base64Flag(),
		})...),
		Run: runPut,
	}
}

func runPut(c *cli.Call) (err error) {
	key, err := keyArg(c, 0)
	if err != nil {
		return err
	}
	value, err := readValue(c)
	if err != nil {
		return err
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
	if c.Bool("if-absent") {
		put, err := db.PutIfAbsent(c.Context(), key, value, o)
		if err != nil {
			return err
		}
		if !put {
			return fmt.Errorf("key %q has a value", key)
		}
		return c.Answer(struct {
			Put bool `json:"put"`
		}{true}, nothing)
	}
	lsn, err := db.Put(c.Context(), key, value, o)
	if err != nil {
		return err
	}
	return c.Answer(struct {
		LSN wal.LSN `json:"lsn"`
	}{lsn}, nothing)
}

// nothing is the text of verbs whose success says it all.
func nothing(io.Writer) error { return nil }
