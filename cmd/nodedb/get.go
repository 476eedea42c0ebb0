package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
)

func getVerb() *cli.Verb {
	return &cli.Verb{
		Name: "get", Category: keysCategory, Usage: "print the value of a key, byte for byte",
		Args: "KEY", ArgsMin: 1, ArgsMax: 1, Flags: slices.Concat(readFlags(base64Flag()), remoteFlags()), Run: runGet,
	}
}

func runGet(c *cli.Call) (err error) {
	key, err := keyArg(c, 0)
	if err != nil {
		return err
	}
	s, done, err := openLooking(c)
	if err != nil {
		return err
	}
	defer done(&err)
	e, err := s.Lookup(c.Context(), key)
	if errors.Is(err, node.ErrNotFound) {
		return fmt.Errorf("key %q has no value", key)
	}
	if err != nil {
		return err
	}
	return c.Answer(viewEntry(key, e.Value, e.ExpireAt, e.LSN, true), func(w io.Writer) error {
		value := e.Value
		if cli.IsTerminal(w) {
			value = append(value, '\n')
		}
		_, err := w.Write(value)
		return err
	})
}
