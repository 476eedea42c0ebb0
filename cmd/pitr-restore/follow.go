package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

func runFollow(c *cli.Call, dir string, restore *pitr.Options) error {
	for _, name := range []string{"to-lsn", "to-time", "to-point", "exclusive", "before-record", "vshards", "only-tenant", "only-prefix", "new-node-id"} {
		if c.IsSet(name) {
			return cli.Usagef("--%s does not go with --follow: a standby is the whole node at its latest state", name)
		}
	}
	for _, name := range []string{"interval", "gap-timeout"} {
		if c.Duration(name) <= 0 {
			return cli.Usagef("--%s is %s, want more than 0", name, c.Duration(name))
		}
	}
	// A standby knows whose it is: no request is needed to find out.
	if st, err := engine.ReadStandby(vfs.Default, dir); err == nil {
		if err := c.Default("node-id", st.NodeID); err != nil {
			return err
		}
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	show := &followProgress{call: c, dir: dir, restore: newRestoreProgress(c)}
	o := &pitr.FollowOptions{
		Restore: *restore, Timeline: wal.Timeline(c.Uint("timeline")), Once: c.Bool("once"),
		Interval: c.Duration("interval"), GapTimeout: c.Duration("gap-timeout"),
		Planned: show.planned, Status: show.update,
	}
	o.Restore.Progress = show.progress
	st, err := pitr.Follow(c.Context(), archives, dir, o)
	c.EndProgress()
	if err != nil {
		return followHint(c, restoreHint(c, err), dir)
	}
	return c.Answer(st, func(w io.Writer) error { return writeFollow(w, st) })
}

// followHint says how to go on from where no time helps.
func followHint(c *cli.Call, err error, dir string) error {
	if _, ok := errors.AsType[*pitr.DivergedError](err); ok {
		return cli.Hint(err, "to follow the new history, remove %s and run the same command again;\nto keep this state as a node of its own: pitr-restore promote --as-is --dir %s", dir, dir)
	}
	if gap, ok := errors.AsType[*pitr.GapError](err); ok {
		again := "make a base with nodedb backup, then "
		if gap.Nearest.After != nil {
			again = ""
		}
		return cli.Hint(err, "a standby cannot cross a gap: %sremove %s and run the same command again, which begins with a base;\nto keep this state as a node of its own: pitr-restore promote --as-is --dir %s", again, dir, dir)
	}
	return err
}

// followProgress shows the bars of the first restore, then one line. It tells
// people of every change that lasts.
type followProgress struct {
	call    *cli.Call
	dir     string
	restore *restoreProgress
	bar     *cli.Bar
	said    pitr.FollowState
}

func (f *followProgress) planned(p *pitr.Plan) {
	for _, w := range p.Warnings {
		f.call.Notef("warning: %s", w)
	}
	f.restore.planned(p)
}

func (f *followProgress) progress(p pitr.Progress) {
	if f.bar == nil {
		f.restore.update(p)
		return
	}
	f.bar.Note(cli.Note{Text: replayedUpTo(p), ETA: p.ETA})
}

func (f *followProgress) update(s pitr.FollowStatus) {
	if f.bar == nil {
		f.restore.done()
		f.bar = f.restore.progress.Bar("follow", 0, cli.Items)
	}
	f.bar.Note(cli.Note{Text: strings.Join(followWords(&s), ", ")})
	f.bar.Set(int64(s.Records))
	if s.State == f.said || s.State == pitr.FollowReplaying || s.State == pitr.FollowStopped {
		return
	}
	f.said = s.State
	f.call.Notef("standby of node %s in %s: %s", s.NodeID, f.dir, strings.Join(followWords(&s), ", "))
}

// followWords says where a standby is.
func followWords(s *pitr.FollowStatus) []string {
	at := fmt.Sprintf("applied LSN %d", s.Applied)
	if !s.AppliedTime.IsZero() {
		at += " of " + s.AppliedTime.UTC().Format(time.RFC3339)
	}
	out := []string{string(s.State), at}
	if s.Archived > s.Applied {
		out = append(out, fmt.Sprintf("LSN %d is archived", s.Archived), fmt.Sprintf("%s behind", cli.FormatDuration(time.Duration(s.LagSeconds*float64(time.Second)))))
	}
	if s.MissingFrom != 0 {
		out = append(out, fmt.Sprintf("LSNs %d to %d are not there yet", s.MissingFrom, s.MissingTo))
	}
	if s.Error != "" {
		out = append(out, s.Error)
	}
	return out
}

func writeFollow(w io.Writer, s *pitr.FollowStatus) error {
	return cli.Table(w, [][]string{
		{"standby", s.Dir},
		{"node", s.NodeID},
		{"state", cli.FormatPosition(pitr.Position{Timeline: s.Timeline, LSN: s.Applied, Time: s.AppliedTime})},
		{"archived", fmt.Sprintf("LSN %d at the last look", s.Archived)},
		{"applied", fmt.Sprintf("%s, %s, %s fetched", cli.Plural(s.Segments, "segment"), cli.Plural(s.Records, "record"), cli.FormatSize(s.Bytes))},
		{"next", fmt.Sprintf("the same command goes on; pitr-restore promote --dir %s --archive URL makes a node of it", s.Dir)},
	})
}
