package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
)

// damageShown bounds how many objects of a ledger are asked for again, and said.
const damageShown = 100

// verify spends the budget, or says again what earlier runs found.
func (s *sweeper) verify(ctx context.Context) {
	if why := s.verifyNotDue(ctx); why != "" {
		s.report.skip("verify", why)
		s.remember(ctx)
		return
	}
	if s.late(ctx, "verify") {
		s.remember(ctx)
		return
	}
	o := &pitr.VerifyOptions{Ledger: s.a, MaxBytes: s.opts.VerifyBytes, MaxTime: s.left(s.opts.VerifyTime),
		OlderThan: s.opts.VerifyOlderThan, Tool: s.opts.Tool, Clock: s.opts.Clock,
		Progress: func(p pitr.VerifyProgress) { s.opts.Progress("verify", p.Bytes, p.BytesTotal) }}
	rep, err := pitr.Verify(ctx, s.a, o)
	if err != nil {
		s.undone(ctx, "verify", err)
	}
	if rep == nil {
		s.remember(ctx)
		return
	}
	s.report.Verify = rep
	for _, p := range rep.Problems {
		switch {
		case p.Listed: // said already
		case errors.Is(p.Err, archive.ErrKeyMissing):
			s.report.add(Finding{Kind: Unopened, Severity: Warning, Key: p.Key, Text: p.Reason, Err: p.Err})
		default:
			s.damaged(p.Key, p.Reason, p.Where)
		}
	}
	if rep.Gone > 0 {
		s.report.add(Finding{Kind: Gone, Severity: Notice,
			Text: fmt.Sprintf("%d objects that were verified once are not listed any more, and no prune record names them: were they merged?", rep.Gone)})
	}
}

func (s *sweeper) damaged(key, reason, where string) {
	if where != "" {
		reason += "; " + where
	}
	s.report.add(Finding{Kind: Damaged, Severity: Problem, Key: key, Text: reason})
}

// verifyNotDue says why nothing is verified now, "" if something is. The ledger is
// read when it decides, or may know of damage.
func (s *sweeper) verifyNotDue(ctx context.Context) string {
	if len(s.in.Catalog.Ledgers) > 0 {
		l, err := s.a.LoadLedger(ctx)
		if err != nil {
			s.undone(ctx, "read the ledger of verifications", err)
			return "its ledger cannot be read"
		}
		s.ledger = l
	}
	if s.opts.VerifyBytes <= 0 && s.opts.VerifyTime <= 0 {
		return "it has no budget"
	}
	if s.ledger == nil || s.opts.VerifyEvery <= 0 {
		return ""
	}
	if age := s.opts.Clock().Sub(s.ledger.WrittenAt); age < s.opts.VerifyEvery {
		return fmt.Sprintf("the last was %v ago", age.Round(time.Second))
	}
	return ""
}

// remember says what earlier verifications found of objects that are still there.
func (s *sweeper) remember(ctx context.Context) {
	if s.ledger == nil {
		return
	}
	more := 0
	for i := range s.ledger.Lines {
		line := &s.ledger.Lines[i]
		if line.Problem == "" {
			continue
		}
		if more > 0 || s.report.Count(Damaged) >= damageShown {
			more++
			continue
		}
		key := archive.NodePrefix(s.a.NodeID()) + line.Key
		switch _, err := s.a.Store().Stat(ctx, key); {
		case errors.Is(err, archive.ErrNotFound):
		case err != nil:
			s.undone(ctx, "look again at "+key, err)
			return
		default:
			s.damaged(key, fmt.Sprintf("found on %s: %s", line.Last().UTC().Format(time.RFC3339), line.Problem), "")
		}
	}
	if more > 0 {
		s.damaged("", fmt.Sprintf("and %d more objects that were found damaged", more), "")
	}
}
