package main

import (
	"fmt"
	"io"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
)

func archiveCompactVerb() *cli.Verb {
	return &cli.Verb{
		Name: "compact", Usage: "merge small segments into packs, which are proven before anything relies on them",
		Description: `Segments that are encrypted are merged when --age-identity opens them and
--age-recipient names those for whom they are encrypted, into packs for the same.
What is for others, or for nobody, never gets into one pack with them.`,
		Flags: compactFlags(),
		Run:   runArchiveCompact,
	}
}

// compactFlags are those of compactOne.
func compactFlags() []ucli.Flag {
	return append(append(lookFlags(), cli.RecipientFlags()...),
		cli.SizeFlag("target-bytes", 64<<20, "segments merged into one pack"),
		cli.SizeFlag("max-bytes", 0, "a larger segment stays by itself; default an eighth of --target-bytes"),
		&ucli.IntFlag{Name: "min-objects", Value: 8, Usage: "fewer segments are not merged"},
		&ucli.BoolFlag{Name: "delete-small", Usage: "delete the objects of segments that a proven pack holds"},
		&ucli.DurationFlag{Name: "grace", Value: 24 * time.Hour, Usage: "age of a pack before --delete-small relies on it; restores that are under way may still read the small objects"},
		&ucli.BoolFlag{Name: "dry-run", Usage: "only say what would be merged"},
	)
}

func runArchiveCompact(c *cli.Call) error {
	to, _, err := c.Recipients()
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	reports, problems := []*archive.CompactReport{}, 0
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
		r, err := compactOne(c, a, to)
		if err != nil {
			return cli.Hint(err, "what is merged stays: run the same command again to go on")
		}
		reports = append(reports, r)
		problems += len(r.Problems)
	}
	err = c.Answer(struct {
		Reports []*archive.CompactReport `json:"reports"`
	}{reports}, func(w io.Writer) error { return writeCompactReports(w, reports) })
	if err == nil && problems > 0 {
		err = &cli.Error{Code: cli.CodeCorrupt, Err: fmt.Errorf("some segments could not be merged: %s", cli.Plural(problems, "problem")),
			Hint: "look with: nodedb archive verify"}
	}
	return err
}

func compactOne(c *cli.Call, a *archive.Archive, to *archive.Recipients) (*archive.CompactReport, error) {
	bar := c.Progress().Bar("compact "+a.Store().URL(), 0, cli.Bytes)
	defer bar.Done()
	grace := c.Duration("grace")
	if grace == 0 {
		grace = -1
	}
	return archive.Compact(c.Context(), a, &archive.CompactOptions{
		TargetBytes: c.Size("target-bytes"), MaxBytes: c.Size("max-bytes"), MinObjects: c.Int("min-objects"),
		DeleteSmall: c.Bool("delete-small"), Grace: grace, DryRun: c.Bool("dry-run"), Logger: c.Log, Recipients: to,
		Progress: func(p archive.CompactProgress) {
			bar.SetTotal(p.BytesTotal)
			bar.Set(p.Bytes)
		},
	})
}

func writeCompactReports(w io.Writer, reports []*archive.CompactReport) error {
	for _, r := range reports {
		merged := "merged"
		if r.DryRun {
			merged = "would merge"
		}
		rows := [][]string{
			{"store", r.Store},
			{merged, fmt.Sprintf("%s, %s, into %s", cli.Plural(r.Segments, "segment"), cli.FormatSize(r.Bytes), cli.Plural(r.PackN, "pack"))},
		}
		if !r.DryRun {
			rows = append(rows, []string{"packs", cli.FormatSize(r.PackSize)},
				[]string{"deleted", cli.Plural(r.Deleted, "small object")})
		}
		if r.Left > 0 {
			rows = append(rows, []string{"left", cli.Plural(r.Left, "encrypted segment") + ": --age-identity and --age-recipient merge those for one set of recipients"})
		}
		if r.Retained > 0 {
			rows = append(rows, []string{"retained", cli.Plural(r.Retained, "object") + " that the store does not let go of"})
		}
		for _, p := range r.Problems {
			rows = append(rows, []string{"problem", p.Reason})
		}
		if err := cli.Table(w, rows); err != nil {
			return err
		}
	}
	return nil
}
