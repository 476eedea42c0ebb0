package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

func archivePinVerb() *cli.Verb {
	return &cli.Verb{
		Name: "pin", Usage: "keep an LSN and all behind it from being pruned", Args: "NAME", ArgsMin: 1, ArgsMax: 1,
		Flags: append(lookFlags(),
			&ucli.StringFlag{Name: "lsn", Usage: "oldest `LSN` that must stay restorable"},
			&ucli.UintFlag{Name: "timeline", Value: 1, Usage: "`N`: history that the LSN is on"},
			&ucli.StringFlag{Name: "reason", Usage: "`TEXT` for people"},
			&ucli.BoolFlag{Name: "only", Usage: "keep this LSN alone, not what was written after it"},
			&ucli.DurationFlag{Name: "expires-in", Usage: "`DURATION` after which the pin no longer counts, such as 720h"},
			&ucli.BoolFlag{Name: "hold", Usage: "legal hold: no expiry, and removed only with unpin --release-hold"},
		),
		Run: runPin,
	}
}

func runPin(c *cli.Call) error {
	if !archive.ValidPinName(c.Arg(0)) {
		return cli.Usagef("%q is no name for a pin: want 1 to 63 of a-z 0-9 . _ -", c.Arg(0))
	}
	if c.String("lsn") == "" {
		return cli.Usagef("no --lsn N")
	}
	lsn, err := pitr.ParseLSN(c.String("lsn"))
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	pin := archive.PinInfo{Name: c.Arg(0), Timeline: wal.Timeline(c.Uint("timeline")), LSN: lsn,
		Reason: c.String("reason"), CreatedAt: time.Now().UTC(), Only: c.Bool("only"), Hold: c.Bool("hold")}
	if d := c.Duration("expires-in"); d > 0 {
		pin.ExpiresAt = pin.CreatedAt.Add(d)
	}
	switch {
	case pin.Hold && !pin.ExpiresAt.IsZero():
		return cli.Usagef("--hold has no end, so it goes without --expires-in")
	case pin.Hold && pin.Reason == "":
		return cli.Usagef("a legal hold needs a --reason")
	}
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
		pin.NodeID = a.NodeID()
		if err := archive.WritePin(c.Context(), a.Store(), pin); err != nil {
			if errors.Is(err, archive.ErrExists) {
				return cli.Hint(err, "a pin is never changed: unpin it first, or take another name")
			}
			return err
		}
	}
	return c.Answer(pin, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "pinned LSN %d of timeline %d as %s\n", pin.LSN, pin.Timeline, pin.Name)
		return err
	})
}

func archiveUnpinVerb() *cli.Verb {
	return &cli.Verb{
		Name: "unpin", Usage: "remove a pin", Args: "NAME", ArgsMin: 1, ArgsMax: 1, Run: runUnpin,
		Flags: append(lookFlags(), &ucli.BoolFlag{Name: "release-hold", Usage: "remove it although it is a legal hold"}),
	}
}

func runUnpin(c *cli.Call) error {
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	removed := 0
	for _, a := range archives {
		err := archive.RemovePin(c.Context(), a.Store(), a.NodeID(), c.Arg(0), c.Bool("release-hold"))
		if errors.Is(err, archive.ErrNotFound) {
			continue
		}
		if errors.Is(err, archive.ErrHeld) {
			return cli.Hint(err, "give --release-hold if the hold is over")
		}
		if err != nil {
			return err
		}
		removed++
	}
	if removed == 0 {
		return fmt.Errorf("node %s has no pin %q", archives[0].NodeID(), c.Arg(0))
	}
	return c.Answer(struct {
		Unpinned string `json:"unpinned"`
		Stores   int    `json:"stores"`
	}{c.Arg(0), removed}, nothing)
}
