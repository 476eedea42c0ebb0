package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
)

func restoreVerb() *cli.Verb {
	return &cli.Verb{
		Name: "restore", Category: "Restore", Usage: "build a node directory as it was at the target",
		Description: `The directory is built beside the target as DIR.nodedb-restore-…, proven, and
renamed into place; until then DIR is not touched. A run that was stopped goes
on with --resume. At its first start the node claims a new timeline.

With --follow the directory becomes a standby: it is restored to the latest
state, then new segments are applied as they arrive, until the command is
stopped. The same command goes on with it. pitr-restore promote makes a node of
it; nodedb status, get, scan and digest read it.`,
		Flags: append(targetFlags(),
			&ucli.StringFlag{Name: "target-dir", Usage: "directory to create; it must be empty or not exist"},
			&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "objects fetched at a time"},
			cli.SizeFlag("limit-rate", 0, "fetch at most `SIZE` bytes a second, all downloads together; default no limit"),
			&ucli.IntFlag{Name: "vshards", Usage: "spread the state over `N` vshards; makes a new node"},
			&ucli.StringSliceFlag{Name: "only-tenant", Usage: "keep tenant `N` only; may be repeated; makes a new node"},
			&ucli.StringSliceFlag{Name: "only-prefix", Usage: "keep keys that begin with `P` only; may be repeated; makes a new node"},
			&ucli.StringFlag{Name: "new-node-id", Usage: "`ID` of that new node; default the old one and six random digits"},
			&ucli.BoolFlag{Name: "ignore-space", Usage: "start even if the file system seems too small"},
			&ucli.BoolFlag{Name: "resume", Usage: "go on with what an earlier run for the same target left"},
			&ucli.BoolFlag{Name: "follow", Usage: "keep the directory a standby of the latest state"},
			&ucli.DurationFlag{Name: "interval", Value: 10 * time.Second, Usage: "with --follow: `TIME` between two looks for new segments, give or take a tenth"},
			&ucli.DurationFlag{Name: "gap-timeout", Value: 5 * time.Minute, Usage: "with --follow: `TIME` after which LSNs that are missing before archived ones are a gap"},
			&ucli.BoolFlag{Name: "once", Usage: "with --follow: end when all that is archived was applied"},
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
	opts, err := restoreOptions(c)
	if err != nil {
		return err
	}
	if c.Bool("follow") {
		return runFollow(c, dir, opts)
	}
	// The times may stand in a configuration that both ways share.
	if c.Bool("once") {
		return cli.Usagef("--once goes with --follow")
	}
	plan, stores, err := makePlan(c)
	if err != nil {
		return err
	}
	defer stores.Close()
	for _, w := range plan.Warnings {
		c.Notef("warning: %s", w)
	}
	show := newRestoreProgress(c)
	show.planned(plan)
	opts.Progress = show.update
	result, err := pitr.Restore(c.Context(), plan, dir, opts)
	show.done()
	if err != nil {
		return restoreHint(c, err)
	}
	return c.Answer(result, func(w io.Writer) error { return writeResult(w, result) })
}

func restoreOptions(c *cli.Call) (*pitr.Options, error) {
	o := &pitr.Options{
		Parallel: c.Int("parallel"), Resume: c.Bool("resume"), Logger: c.Log, LimitBytes: c.Size("limit-rate"),
		IgnoreSpace: c.Bool("ignore-space"), VShards: c.Int("vshards"), NewNodeID: c.String("new-node-id"),
	}
	for _, text := range c.Strings("only-tenant") {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, cli.Usagef("--only-tenant is %q, want a number up to 4294967295", text)
		}
		o.OnlyTenants = append(o.OnlyTenants, uint32(n))
	}
	for _, text := range c.Strings("only-prefix") {
		o.OnlyPrefixes = append(o.OnlyPrefixes, []byte(text))
	}
	return o, nil
}

// restoreHint says how to go on after a run that did not end.
func restoreHint(c *cli.Call, err error) error {
	if c.Context().Err() != nil && !errors.Is(err, pitr.ErrTargetDirNotEmpty) {
		return cli.Hint(err, "%s is unchanged; the same command with --resume goes on where it stopped", c.String("target-dir"))
	}
	return err
}

func writeResult(w io.Writer, r *pitr.Result) error {
	proven := provenBy(r.ProvenBy)
	whole := ""
	if w := r.Whole; w != nil && w.Digest != r.Digest {
		proven = "of the part that was kept, read back and equal to what it was copied from"
		whole = fmt.Sprintf("%s over %s entries of node %s, %s", w.Digest, cli.FormatCount(w.Entries), w.NodeID, provenBy(w.ProvenBy))
	}
	base := "none"
	if r.BaseLSN != 0 {
		base = fmt.Sprintf("LSN %d", r.BaseLSN)
	}
	next := "on a new timeline"
	if r.Whole != nil {
		next = "as node " + r.NodeID + ", whose archive begins with a base"
	}
	rows := [][]string{
		{"restored", r.Dir},
		{"node", r.NodeID},
		{"state", cli.FormatPosition(r.Reached)},
		{"entries", cli.FormatCount(r.Entries)},
		{"digest", r.Digest},
		{"", proven},
		{"from", fmt.Sprintf("base %s, %s, %s", base, cli.Plural(r.Segments, "segment"), cli.Plural(r.Records, "record"))},
		{"took", fmt.Sprintf("%s, %s fetched (%s)", cli.FormatDuration(r.Duration), cli.FormatSize(r.Bytes), cli.FormatRate(r.Bytes, r.Duration))},
		{"next", fmt.Sprintf("nodedb serve --dir %s --archive URL: writes go on from LSN %d or higher, %s", r.Dir, r.NextLSN, next)},
	}
	if whole != "" {
		rows = slices.Insert(rows, 6, []string{"whole", whole})
	}
	return cli.Table(w, rows)
}

func provenBy(sources []string) string {
	if len(sources) == 0 {
		return "computed; nothing was published for exactly this LSN"
	}
	return "equal to what " + sources[0] + " says"
}

// restoreProgress shows one bar for each phase.
type restoreProgress struct {
	progress  *cli.Progress
	baseBytes int64
	phase     pitr.Phase
	bar       *cli.Bar
}

func newRestoreProgress(c *cli.Call) *restoreProgress {
	return &restoreProgress{progress: c.Progress()}
}

func (r *restoreProgress) planned(p *pitr.Plan) {
	if p.Base != nil {
		r.baseBytes = p.Base.Bytes
	}
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
		case pitr.PhaseShape:
			r.bar = r.progress.Bar("copy what is kept", 0, cli.Step)
		case pitr.PhaseActivate:
			r.bar = r.progress.Bar("put in place", 0, cli.Step)
		}
	}
	switch {
	case r.bar == nil:
	case p.Phase == pitr.PhaseBase:
		r.bar.Note(cli.Note{ETA: p.ETA})
		r.bar.Set(p.BytesFetched)
	case p.Phase == pitr.PhaseReplay:
		r.bar.Note(cli.Note{Text: replayedUpTo(p), ETA: p.ETA})
		r.bar.Set(int64(p.Records))
	}
}

// replayedUpTo says where the replay is, in seconds: a bar is no place for more.
func replayedUpTo(p pitr.Progress) string {
	switch {
	case p.LSN == 0:
		return ""
	case p.TimeReached.IsZero():
		return fmt.Sprintf("replayed up to LSN %d", p.LSN)
	}
	return fmt.Sprintf("replayed up to %s (LSN %d)", p.TimeReached.UTC().Format(time.RFC3339), p.LSN)
}

func (r *restoreProgress) done() {
	if r.bar != nil {
		r.bar.Done()
		r.bar = nil
	}
}
