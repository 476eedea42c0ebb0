package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/pitr"
)

func promoteVerb() *cli.Verb {
	return &cli.Verb{
		Name: "promote", Category: "Restore", Usage: "make a node of a standby that restore --follow built",
		Description: `What has arrived in the archive is applied first. Then the directory is a node,
as after a restore: its first start claims a new timeline, which fences the old
node if that still writes into the archive. Stop the follower before. A
promotion that was cut off is finished by the same command.`,
		Flags: append(archiveFlags(),
			&ucli.StringFlag{Name: "dir", Usage: "directory `DIR` of the standby"},
			&ucli.BoolFlag{Name: "as-is", Usage: "do not ask the archive; what was not applied yet stays out of the node's history"},
			&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "objects fetched at a time"},
			cli.SizeFlag("limit-rate", 0, "fetch at most `SIZE` bytes a second, all downloads together; default no limit"),
		),
		Run: runPromote,
	}
}

func runPromote(c *cli.Call) error {
	dir := c.String("dir")
	if dir == "" {
		return cli.Hint(cli.Usagef("no directory given"), "name the standby with --dir DIR or NODEDB_DIR")
	}
	if c.Int("parallel") < 1 {
		return cli.Usagef("--parallel is %d, want 1 or more", c.Int("parallel"))
	}
	o := &pitr.PromoteOptions{AsIs: c.Bool("as-is"),
		Restore: pitr.Options{Parallel: c.Int("parallel"), LimitBytes: c.Size("limit-rate"), Logger: c.Log}}
	var archives []*archive.Archive
	if !o.AsIs {
		if st, err := engine.ReadStandby(vfs.Default, dir); err == nil {
			if err := c.Default("node-id", st.NodeID); err != nil {
				return err
			}
		}
		var stores cli.Stores
		var err error
		if archives, stores, err = c.OpenArchives(); err != nil {
			return err
		}
		defer stores.Close()
	}
	show := newRestoreProgress(c)
	o.Restore.Progress = show.update
	p, err := pitr.Promote(c.Context(), archives, dir, o)
	show.done()
	if err != nil {
		return promoteHint(err, dir)
	}
	return c.Answer(p, func(w io.Writer) error { return writePromotion(w, p) })
}

func promoteHint(err error, dir string) error {
	_, diverged := errors.AsType[*pitr.DivergedError](err)
	if _, gap := errors.AsType[*pitr.GapError](err); gap || diverged {
		return cli.Hint(err, "to make a node of what was applied all the same: pitr-restore promote --as-is --dir %s", dir)
	}
	return err
}

func writePromotion(w io.Writer, p *pitr.Promotion) error {
	next := []string{"next", fmt.Sprintf("nodedb serve --dir %s --archive URL: writes go on from LSN %d or higher, on timeline %d or higher", p.Dir, p.NextLSN, p.Timeline)}
	if p.Finished {
		return cli.Table(w, [][]string{
			{"promoted", p.Dir},
			{"node", p.NodeID},
			{"state", cli.FormatPosition(p.Reached) + ", by an earlier promotion that was cut off"},
			next,
		})
	}
	return cli.Table(w, [][]string{
		{"promoted", p.Dir},
		{"node", p.NodeID},
		{"state", cli.FormatPosition(p.Reached)},
		{"entries", cli.FormatCount(p.Entries)},
		{"digest", p.Digest},
		{"", provenBy(p.ProvenBy)},
		{"applied", fmt.Sprintf("%s, %s that had arrived since", cli.Plural(p.Segments, "segment"), cli.Plural(p.Records, "record"))},
		{"took", cli.FormatDuration(p.Duration)},
		next,
	})
}
