package main

import (
	"errors"
	"fmt"
	"io"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
)

func restoreVerb() *cli.Verb {
	return &cli.Verb{
		Name: "restore", Category: "Restore", Usage: "build a node directory as it was at the target",
		Description: `The directory is built beside the target as DIR.nodedb-restore-…, proven, and
renamed into place; until then DIR is not touched. A run that was stopped goes
on with --resume. At its first start the node claims a new timeline.`,
		Flags: append(targetFlags(),
			&ucli.StringFlag{Name: "target-dir", Usage: "directory to create; it must be empty or not exist"},
			&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "objects fetched at a time"},
			&ucli.BoolFlag{Name: "resume", Usage: "go on with what an earlier run for the same target left"},
		),
		Run: runRestore,
	}
}

func runRestore(c *cli.Call) error {
	dir := c.String("target-dir")
	if dir == "" {
		return cli.Usagef("no --target-dir DIR")
	}
	if c.Int("parallel") < 1 {
		return cli.Usagef("--parallel is %d, want 1 or more", c.Int("parallel"))
	}
	plan, stores, err := makePlan(c)
	if err != nil {
		return err
	}
	defer stores.Close()
	for _, w := range plan.Warnings {
		c.Notef("warning: %s", w)
	}
	show := newRestoreProgress(c, plan)
	result, err := pitr.Restore(c.Context(), plan, dir, &pitr.Options{
		Parallel: c.Int("parallel"), Resume: c.Bool("resume"), Logger: c.Log, Progress: show.update,
	})
	show.done()
	if err != nil {
		return restoreHint(c, err)
	}
	return c.Answer(result, func(w io.Writer) error { return writeResult(w, result) })
}

// restoreHint says how to go on after a run that did not end.
func restoreHint(c *cli.Call, err error) error {
	if c.Context().Err() != nil && !errors.Is(err, pitr.ErrTargetDirNotEmpty) {
		return cli.Hint(err, "%s is unchanged; the same command with --resume goes on where it stopped", c.String("target-dir"))
	}
	return err
}

func writeResult(w io.Writer, r *pitr.Result) error {
	proven := "computed; nothing was published for exactly this LSN"
	if len(r.ProvenBy) > 0 {
		proven = "equal to what " + r.ProvenBy[0] + " says"
	}
	base := "none"
	if r.BaseLSN != 0 {
		base = fmt.Sprintf("LSN %d", r.BaseLSN)
	}
	return cli.Table(w, [][]string{
		{"restored", r.Dir},
		{"node", r.NodeID},
		{"state", cli.FormatPosition(r.Reached)},
		{"entries", cli.FormatCount(r.Entries)},
		{"digest", r.Digest},
		{"", proven},
		{"from", fmt.Sprintf("base %s, %s, %s", base, cli.Plural(r.Segments, "segment"), cli.Plural(r.Records, "record"))},
		{"took", fmt.Sprintf("%s, %s fetched (%s)", cli.FormatDuration(r.Duration), cli.FormatSize(r.Bytes), cli.FormatRate(r.Bytes, r.Duration))},
		{"next", fmt.Sprintf("nodedb serve --dir %s --archive URL: writes go on from LSN %d or higher, on a new timeline", r.Dir, r.NextLSN)},
	})
}

// restoreProgress shows one bar for each phase.
type restoreProgress struct {
	progress  *cli.Progress
	baseBytes int64
	phase     pitr.Phase
	bar       *cli.Bar
}

func newRestoreProgress(c *cli.Call, p *pitr.Plan) *restoreProgress {
	r := &restoreProgress{progress: c.Progress()}
	if p.Base != nil {
		r.baseBytes = p.Base.Bytes
	}
	return r
}

func (r *restoreProgress) update(p pitr.Progress) {
	if p.Phase != r.phase {
		r.done()
		r.phase = p.Phase
		switch p.Phase {
		case pitr.PhaseBase:
			if r.baseBytes > 0 {
				r.bar = r.progress.Bar("fetch base", r.baseBytes, cli.Bytes)
			}
		case pitr.PhaseReplay:
			r.bar = r.progress.Bar("replay", int64(p.RecordsTotal), cli.Items)
		case pitr.PhaseDigest:
			r.bar = r.progress.Bar("digest", 0, cli.Step)
		case pitr.PhaseActivate:
			r.bar = r.progress.Bar("put in place", 0, cli.Step)
		}
	}
	switch {
	case r.bar == nil:
	case p.Phase == pitr.PhaseBase:
		r.bar.Set(p.BytesFetched)
	case p.Phase == pitr.PhaseReplay:
		r.bar.Set(int64(p.Records))
	}
}

func (r *restoreProgress) done() {
	if r.bar != nil {
		r.bar.Done()
		r.bar = nil
	}
}
