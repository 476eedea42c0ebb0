package cli

import (
	"fmt"
	"io"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
)

// RunArchiveVerify is the verb of both commands that reads a whole archive
// again. It needs the flags of OpenArchives, and --parallel.
func RunArchiveVerify(c *Call) error {
	if c.Int("parallel") < 1 {
		return Usagef("--parallel is %d, want 1 or more", c.Int("parallel"))
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	reports, bad := []*pitr.VerifyReport{}, 0
	for _, a := range archives {
		r, err := verifyOne(c, a)
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
		err = &Error{Code: CodeCorrupt, Err: fmt.Errorf("the archive has %s", Plural(bad, "problem"))}
	}
	return err
}

func verifyOne(c *Call, a *archive.Archive) (*pitr.VerifyReport, error) {
	bar := c.Progress().Bar("verify "+a.Store().URL(), 0, Bytes)
	defer bar.Done()
	return pitr.Verify(c.Context(), a, &pitr.VerifyOptions{
		Parallel: c.Int("parallel"),
		Progress: func(p pitr.VerifyProgress) {
			bar.SetTotal(p.BytesTotal)
			bar.Set(p.Bytes)
		},
	})
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
			{"segments", fmt.Sprintf("%d, %s", r.Segments, Plural(r.Records, "record"))},
			{"bases", fmt.Sprintf("%d, %s, %d of them unused", r.Bases, Plural(r.Objects, "object"), r.Unused)},
			{"read", fmt.Sprintf("%s in %s (%s)", FormatSize(r.Bytes), FormatDuration(r.Duration), FormatRate(r.Bytes, r.Duration))},
			{"result", verdict},
		}
		for _, p := range r.Problems {
			rows = append(rows, []string{"problem", p.Reason})
		}
		if err := Table(w, rows); err != nil {
			return err
		}
	}
	return nil
}
