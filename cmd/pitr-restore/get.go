package main

import (
	"fmt"
	"io"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

func getVerb() *cli.Verb {
	return &cli.Verb{
		Name: "get", Category: "Look", Usage: "print what a key held at an LSN or a time, byte for byte, without a restore",
		Args: "KEY", ArgsMin: 1, ArgsMax: 1,
		Description: `It looks for the newest version before the target in the segments behind the
newest base, else in that base, of which it reads the blocks that may hold the
key. Whether the key had expired is judged by the time of the target.

A key without a value is exit code 1; a target that a restore could not reach
has the restore's exit code.`,
		Flags: queryFlags(append(keyFlags(),
			&ucli.StringFlag{Name: "at", Usage: "`TARGET`: LSN, time in RFC 3339, point:NAME or latest", Value: "latest"},
			&ucli.BoolFlag{Name: "exclusive", Usage: "stop just before the target"})...),
		Run: runGet,
	}
}

func runGet(c *cli.Call) error {
	key, err := queryKey(c)
	if err != nil {
		return err
	}
	t, err := parseAt(c, "at")
	if err != nil {
		return err
	}
	t.Exclusive = c.Bool("exclusive")
	q, stores, err := openQuery(c)
	if err != nil {
		return err
	}
	defer stores.Close()
	v, err := q.Get(c.Context(), t, uint32(c.Uint("tenant")), key)
	if err != nil {
		return err
	}
	if !v.Found && !c.JSON {
		return noValue(v)
	}
	return c.Answer(cli.ViewValue(v), func(w io.Writer) error {
		value := v.Value
		if cli.IsTerminal(w) {
			value = append(value, '\n')
		}
		_, err := w.Write(value)
		return err
	})
}

// parseAt reads a flag that names a target.
func parseAt(c *cli.Call, name string) (pitr.Target, error) {
	t, err := pitr.ParseTarget(c.String(name))
	t.Timeline = wal.Timeline(c.Uint("timeline"))
	return t, err
}

// noValue says why there is nothing to print.
func noValue(v *pitr.Value) error {
	err := fmt.Errorf("key %q had no value at %s", v.Key, cli.FormatPosition(v.At))
	switch {
	case v.Expired:
		return cli.Hint(err, "it had expired at %s; --json shows what is stored still", cli.FormatTime(time.UnixMilli(v.ExpireAt)))
	case v.Op == pitr.OpDelete || v.Op == pitr.OpExpire:
		return cli.Hint(err, "it was removed by the record with LSN %d; the value before: --at %d --exclusive", v.Written, v.Written)
	}
	return cli.Hint(err, "pitr-restore history shows all that is known of it")
}
