package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
)

func thawVerb() *cli.Verb {
	return &cli.Verb{
		Name: "thaw", Category: "Restore", Usage: "bring back from cold storage what a restore needs",
		Description: `Without --apply it says what is frozen, what each tier would cost, and how long
it would take. With --apply S3 is asked for exactly these objects, those that are
readable or under way left out, so the same command can be run again at any time.
What it costs is estimated from list prices, or from your own with --prices.

Exit codes: 0 all can be read, or nothing was asked for; 8 not yet.`,
		Flags: append(targetFlags(),
			&ucli.StringFlag{Name: "tier", Value: string(archive.ThawStandard), Usage: "`Expedited`, Standard or Bulk; Deep Archive has no Expedited"},
			&ucli.IntFlag{Name: "days", Value: 7, Usage: "`N`: days for which the objects stay readable"},
			&ucli.BoolFlag{Name: "apply", Usage: "ask for the objects; without it nothing is asked for"},
			&ucli.BoolFlag{Name: "wait", Usage: "return when all can be read"},
			&ucli.DurationFlag{Name: "poll", Value: 5 * time.Minute, Usage: "`DURATION` between two looks of --wait"},
			&ucli.IntFlag{Name: "parallel", Value: 16, Usage: "requests at a time"},
			cli.PricesFlag(),
		),
		Run: runThaw,
	}
}

func runThaw(c *cli.Call) error {
	o, err := thawOptions(c)
	if err != nil {
		return err
	}
	prices, err := c.Prices()
	if err != nil {
		return err
	}
	t, err := target(c)
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	bar := c.Progress().Bar("thaw", 0, cli.Items)
	o.Progress = func(readable, all int) {
		bar.SetTotal(int64(all))
		bar.Set(int64(readable))
	}
	r, err := pitr.Thaw(c.Context(), archives, t, o)
	bar.Done()
	if err != nil {
		return thawTrouble(r, err)
	}
	doc := newThawDoc(r, prices)
	return errors.Join(c.Answer(doc, func(w io.Writer) error { return writeThaw(w, doc) }), thawVerdict(r, doc))
}

func thawOptions(c *cli.Call) (*pitr.ThawOptions, error) {
	o := &pitr.ThawOptions{Days: c.Int("days"), Apply: c.Bool("apply"), Wait: c.Bool("wait"), Poll: c.Duration("poll"),
		Parallel: c.Int("parallel"), Logger: c.Log}
	for _, t := range []archive.ThawTier{archive.ThawExpedited, archive.ThawStandard, archive.ThawBulk} {
		if strings.EqualFold(string(t), c.String("tier")) {
			o.Tier = t
		}
	}
	switch {
	case o.Tier == "":
		return nil, cli.Usagef("--tier is %q, want Expedited, Standard or Bulk", c.String("tier"))
	case o.Days < 1 || o.Days > 365:
		return nil, cli.Usagef("--days is %d, want 1 to 365", o.Days)
	case o.Parallel < 1:
		return nil, cli.Usagef("--parallel is %d, want 1 or more", o.Parallel)
	case o.Poll <= 0:
		return nil, cli.Usagef("--poll is %s, want more than 0", o.Poll)
	case o.Wait && !o.Apply:
		return nil, cli.Usagef("--wait waits for what --apply asks for: give both; what is under way is not asked for again")
	}
	return o, nil
}

// thawTrouble says what an error leaves behind.
func thawTrouble(r *pitr.ThawReport, err error) error {
	if tier, ok := errors.AsType[*pitr.TierError](err); ok {
		return cli.Usagef("%w", tier)
	}
	if errors.Is(err, archive.ErrDenied) {
		err = cli.Hint(err, "the credentials need s3:RestoreObject besides reading; what was asked for before stays asked for")
	}
	if r != nil && r.Asked > 0 {
		err = cli.Hint(err, "%s asked for, which stays so: run the same command again to go on", was(r.Asked))
	}
	return err
}

func was(n int) string {
	if n == 1 {
		return "1 object was"
	}
	return fmt.Sprintf("%s were", cli.Plural(n, "object"))
}

// thawVerdict is exit code 8 as long as a restore would end with it, after
// something was asked for.
func thawVerdict(r *pitr.ThawReport, doc *thawDoc) error {
	if !r.Applied || r.Ready() {
		return nil
	}
	e := &cli.Error{Code: cli.CodeCold, Hint: "run the same command again, or with --wait"}
	if !r.Complete {
		e.Err = errors.New("what else is needed can be told when these are readable")
		return e
	}
	n, _ := r.Count(archive.Thawing)
	e.Err = fmt.Errorf("%s under way, readable within about %s of being asked for", is(n), within(doc.slowest(r.Tier)))
	return e
}

func is(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return fmt.Sprintf("%s are", cli.Plural(n, "object"))
}
