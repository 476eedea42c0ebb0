package sweep

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
)

// drill restores a small node and compares it with what it published.
func (s *sweeper) drill(ctx context.Context) {
	why, err := s.drillNotDue(ctx)
	switch {
	case err != nil:
		s.undone(ctx, "see whether a drill is due", err)
		return
	case why != "":
		s.report.skip("drill", why)
		return
	case s.late(ctx, "drill"):
		return
	}
	if d := s.left(0); d > 0 {
		tctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		ctx = tctx
	}
	o := &pitr.DrillOptions{Seed: s.opts.Seed, Timeline: s.in.End.Timeline, Dir: s.opts.DrillDir, Tool: s.opts.Tool, Host: s.opts.Host, Restore: s.opts.Restore}
	rep, err := pitr.Drill(ctx, []*archive.Archive{s.a}, o)
	if err != nil {
		s.undone(ctx, "drill", err)
	}
	if rep == nil {
		return
	}
	s.report.Drill = rep
	s.judge(rep.ProofInfo)
}

// judge says what a drill came to, if it is not what it should be.
func (s *sweeper) judge(p archive.ProofInfo) {
	f := Finding{Kind: Drill, Key: archive.Join(s.a.NodeID(), p.Key()), Timeline: p.Timeline, From: p.LSN, To: p.LSN}
	switch p.Verdict {
	case archive.VerdictEqual:
		return
	case archive.VerdictDifferent:
		f.Severity, f.Text = Problem, fmt.Sprintf("the state restored at LSN %d has digest %s over %d entries, and the node published %s",
			uint64(p.LSN), p.Digest, p.Entries, p.Published)
	default:
		f.Severity, f.Text = Notice, fmt.Sprintf("LSN %d was restored, and the node published no digest to compare with", uint64(p.LSN))
	}
	s.report.add(f)
}

// drillNotDue says why there is no drill now, "" if there is. A difference that the
// last one found is said again until a drill finds none.
func (s *sweeper) drillNotDue(ctx context.Context) (string, error) {
	if s.opts.DrillBytes <= 0 {
		return "it is not asked for", nil
	}
	var last archive.ProofEntry
	for _, p := range s.in.Catalog.Proofs {
		if p.ModTime.After(last.ModTime) {
			last = p
		}
	}
	if age := s.opts.Clock().Sub(last.ModTime); !last.ModTime.IsZero() && s.opts.DrillEvery > 0 && age < s.opts.DrillEvery {
		p, err := archive.ReadProof(ctx, s.a.Store(), s.a.NodeID(), last.ProofKey)
		if err != nil {
			return "", err
		}
		s.judge(p)
		return fmt.Sprintf("the last was %v ago", age.Round(time.Second)), nil
	}
	if s.in.End.LSN == 0 {
		return "nothing can be restored", nil
	}
	plan, err := pitr.NewPlan(ctx, []*archive.Archive{s.a}, pitr.Target{Latest: true, Timeline: s.in.End.Timeline})
	if err != nil {
		return "", err
	}
	if plan.Bytes > s.opts.DrillBytes {
		return fmt.Sprintf("a restore fetches %d bytes, and at most %d are allowed", plan.Bytes, s.opts.DrillBytes), nil
	}
	return "", nil
}
