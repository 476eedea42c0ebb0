package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
)

// VerifyFlags are those of RunArchiveVerify, besides the flags of OpenArchives.
func VerifyFlags(ledger string) []ucli.Flag {
	return []ucli.Flag{
		&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "objects read at a time"},
		&ucli.BoolFlag{Name: "fast", Usage: "read nothing: compare the sizes and sums that the store reports with the recorded ones"},
		&ucli.StringFlag{Name: "ledger", Value: ledger, Usage: "where it is kept what was verified when: `archive`, none, or a local file"},
		SizeFlag("max-bytes", 0, "stop before more than `SIZE` is read; the next run goes on with what was verified longest ago"),
		&ucli.DurationFlag{Name: "max-time", Usage: "start no object after this `DURATION`"},
		&ucli.DurationFlag{Name: "older-than", Usage: "leave out what was verified within this `DURATION`"},
		SizeFlag("rate", 0, "read at most `SIZE` in a second"),
	}
}

// RunArchiveVerify is the verb of both commands that reads an archive again. It
// needs the flags of OpenArchives, and VerifyFlags.
func RunArchiveVerify(c *Call) error {
	if c.Int("parallel") < 1 {
		return Usagef("--parallel is %d, want 1 or more", c.Int("parallel"))
	}
	budget := c.Size("max-bytes") > 0 || c.Duration("max-time") > 0 || c.Duration("older-than") > 0
	if c.String("ledger") == "none" && budget {
		return Hint(Usagef("--max-bytes, --max-time and --older-than need a ledger"), "--ledger FILE keeps it in a local file")
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	if len(archives) > 1 && c.String("ledger") != "none" && c.String("ledger") != "archive" {
		return Usagef("--ledger FILE is for one archive, and %d are given", len(archives))
	}
	reports, bad := []*pitr.VerifyReport{}, 0
	for _, a := range archives {
		r, err := verifyOne(c, a)
		if ledger, ok := errors.AsType[*pitr.LedgerError](err); ok && r != nil {
			if budget {
				return Hint(err, "a later run could not go on where this one stopped: --ledger FILE keeps the ledger in a local file")
			}
			c.Notef("warning: %v", ledger)
			err = nil
		}
		if err != nil {
			return err
		}
		if r.Segments+r.Bases+r.Objects == 0 && r.OK() {
			if err := c.CheckNode(a); err != nil {
				return err
			}
		}
		reports = append(reports, r)
		bad += len(r.Problems)
	}
	err = c.Answer(struct {
		Reports []*pitr.VerifyReport `json:"reports"`
	}{reports}, func(w io.Writer) error { return writeReports(w, reports) })
	if err == nil && bad > 0 {
		err = verdict(reports, bad)
	}
	return err
}

// verdict tells damage from objects that only could not be opened.
func verdict(reports []*pitr.VerifyReport, bad int) error {
	for _, r := range reports {
		for _, p := range r.Problems {
			if !errors.Is(p.Err, archive.ErrKeyMissing) {
				return &Error{Code: CodeCorrupt, Err: fmt.Errorf("the archive has %s", Plural(bad, "problem"))}
			}
		}
	}
	return &Error{Code: CodeError, Err: fmt.Errorf("%s could not be verified without a key: %w", Plural(bad, "object"), archive.ErrKeyMissing),
		Hint: "give the file of one of these identities: --age-identity FILE"}
}

func verifyOne(c *Call, a *archive.Archive) (*pitr.VerifyReport, error) {
	bar := c.Progress().Bar("verify "+a.Store().URL(), 0, Bytes)
	defer bar.Done()
	v := BuildVersion("nodedb")
	o := &pitr.VerifyOptions{
		Parallel: c.Int("parallel"), Fast: c.Bool("fast"), MaxBytes: c.Size("max-bytes"), MaxTime: c.Duration("max-time"),
		OlderThan: c.Duration("older-than"), RateBytes: c.Size("rate"), Tool: strings.TrimSpace(v.Name + " " + v.Version + " " + v.Commit),
		Progress: func(p pitr.VerifyProgress) {
			bar.SetTotal(p.BytesTotal)
			bar.Set(p.Bytes)
		},
	}
	switch where := c.String("ledger"); where {
	case "none":
	case "archive":
		o.Ledger = a
	default:
		o.Ledger = &archive.LedgerFile{FS: vfs.Default, Path: where, NodeID: a.NodeID()}
	}
	return pitr.Verify(c.Context(), a, o)
}

func writeReports(w io.Writer, all []*pitr.VerifyReport) error {
	for _, r := range all {
		verdict := "all right"
		if !r.OK() {
			verdict = Plural(len(r.Problems), "problem")
		}
		rows := [][]string{
			{"store", r.Store},
			{"node", r.NodeID},
			{"segments", fmt.Sprintf("%d, %s, %s", r.Segments, Plural(r.Records, "record"), Plural(r.Packs, "pack"))},
			{"bases", fmt.Sprintf("%d, %s, %d of them unused", r.Bases, Plural(r.Objects, "object"), r.Unused)},
			{"read", fmt.Sprintf("%s in %s (%s)", FormatSize(r.Bytes), FormatDuration(r.Duration), FormatRate(r.Bytes, r.Duration))},
		}
		rows = append(rows, writeBudget(r)...)
		rows = append(rows, []string{"result", verdict})
		for _, p := range r.Problems {
			rows = append(rows, []string{"problem", p.Reason})
			if p.Where != "" {
				rows = append(rows, []string{"", p.Where})
			}
		}
		if err := Table(w, rows); err != nil {
			return err
		}
	}
	return nil
}

// writeBudget says what was not looked at, and how closely the rest was.
func writeBudget(r *pitr.VerifyReport) [][]string {
	var rows [][]string
	if r.Fast {
		rows = append(rows,
			[]string{"fast", fmt.Sprintf("%d with the recorded sum, %d by size only, %d seen for the first time", r.Compared, r.SizeOnly, r.FirstSeen)},
			[]string{"", "nothing was read: this trusts the store, and proves neither that the bytes come back nor what is in them"})
	}
	if r.Unopened > 0 {
		rows = append(rows, []string{"unopened", Plural(r.Unopened, "object") + ": encrypted, and no identity opens them; their bytes are those of their names"},
			[]string{"", "what is in them was not checked: --age-identity FILE does"})
	}
	if r.Recent > 0 {
		rows = append(rows, []string{"recent", Plural(r.Recent, "object") + " left out by --older-than"})
	}
	if r.Left > 0 {
		rows = append(rows, []string{"left", Plural(r.Left, "object") + " for the next run: the budget is spent"})
	}
	if r.Pruned > 0 {
		rows = append(rows, []string{"pruned", Plural(r.Pruned, "object") + " since the last time"})
	}
	if r.Gone > 0 {
		rows = append(rows, []string{"gone", Plural(r.Gone, "object") + " of the ledger no longer listed, and no prune record names it"})
	}
	return rows
}
