package sweep

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
)

// sweeper is one sweep of one node in one store.
type sweeper struct {
	a      *archive.Archive
	opts   Options
	in     *pitr.Inspection
	ledger *archive.Ledger // nil: there is none, or it was not read
	report *Report
}

// Run sweeps one node's archive. Whatever goes wrong is a finding of the report,
// of which there always is one.
func Run(ctx context.Context, a *archive.Archive, o *Options) *Report {
	s := &sweeper{a: a, opts: o.withDefaults()}
	begun := s.opts.Clock()
	s.report = &Report{Store: a.Store().URL(), NodeID: a.NodeID(), At: begun.UTC(), Findings: []Finding{}, Skipped: []Skip{}}
	s.run(ctx)
	s.report.Took = s.opts.Clock().Sub(begun)
	s.report.finish()
	return s.report
}

func (s *sweeper) run(ctx context.Context) {
	var err error
	if s.in, err = pitr.Inspect(ctx, s.a); err != nil {
		s.undone(ctx, "list the archive", err)
		return
	}
	r, c := s.report, s.in.Catalog
	r.Listed, r.claims = true, c.Epochs
	if len(c.Claims) == 0 {
		s.undone(ctx, "list the archive", fmt.Errorf("node %s has no archive in %s: %w", r.NodeID, r.Store, archive.ErrNotFound))
		return
	}
	s.look(ctx)
	s.index(ctx)
	s.snapshot(ctx)
	s.verify(ctx)
	s.drill(ctx)
}

// late tells whether the time for new work is over, and notes the step if so.
func (s *sweeper) late(ctx context.Context, step string) bool {
	if ctx.Err() == nil && (s.opts.Until.IsZero() || s.opts.Clock().Before(s.opts.Until)) {
		return false
	}
	s.report.skip(step, "the time is over")
	return true
}

// left is the time until Until, at most limit; 0 is no limit.
func (s *sweeper) left(limit time.Duration) time.Duration {
	if s.opts.Until.IsZero() {
		return limit
	}
	d := max(s.opts.Until.Sub(s.opts.Clock()), time.Nanosecond)
	if limit > 0 {
		d = min(d, limit)
	}
	return d
}

// undone notes a step that failed. That the time was over is no failure.
func (s *sweeper) undone(ctx context.Context, step string, err error) {
	if ctx.Err() != nil {
		s.report.skip(step, "the time is over")
		return
	}
	s.report.add(Finding{Kind: Undone, Severity: Problem, Key: keyOf(err), Text: "could not " + step + ": " + err.Error(), Err: err})
}
