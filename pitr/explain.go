package pitr

import (
	"context"

	"github.com/nodedb-go/nodedb/archive"
)

// Verdict is what an Explanation comes to, in one word.
type Verdict string

// Verdicts.
const (
	Reachable Verdict = "reachable"
	Cold      Verdict = "cold"      // reachable once its objects are thawed
	Future    Verdict = "future"    // nothing that late is archived
	Pruned    Verdict = "pruned"    // it was written, but what leads to it is not there any more
	TooEarly  Verdict = "too-early" // history begins later
	Between   Verdict = "between"   // no timeline that is archived spans it
	InGap     Verdict = "gap"       // needs LSNs that are declared lost
	Hole      Verdict = "missing"   // needs LSNs that are absent, and nothing says why
	Ambiguous Verdict = "ambiguous" // several histories have an answer
	Unknown   Verdict = "unknown"   // a store did not answer
	NoSuch    Verdict = "no-such"   // nobody wrote that restore point, or there is no such node
	Damaged   Verdict = "damaged"
)

// Explanation says whether a target can be reached, and what could be instead.
type Explanation struct {
	Target    Target     `json:"target"`
	Reachable bool       `json:"reachable"`
	Verdict   Verdict    `json:"verdict"`
	Reason    string     `json:"reason,omitempty"` // why not
	ExitCode  int        `json:"exit_code"`        // of a restore to it
	Nearest   *Nearest   `json:"nearest,omitempty"`
	Choices   []Position `json:"choices,omitempty"` // of an ambiguous target
	// Otherwise is what the stores that answer would say alone, when one does not.
	Otherwise string `json:"otherwise,omitempty"`
	Plan      *Plan  `json:"plan,omitempty"`
	// Prune says who took it away; nil when no prune record does.
	Prune *PruneNote `json:"prune,omitempty"`
}

// Explain makes the plan and turns a refusal into an answer. Errors are only
// those that are not about the target.
func Explain(ctx context.Context, archives []*archive.Archive, t Target) (*Explanation, error) {
	plan, err := NewPlanWith(ctx, archives, t, &PlanOptions{Contents: true})
	if err == nil {
		e := &Explanation{Target: t, Reachable: true, Verdict: Reachable, Plan: plan}
		for _, c := range plan.Cold {
			if c.Thaw {
				e.Verdict, e.ExitCode = Cold, ExitCold
			}
		}
		return e, nil
	}
	out := &Explanation{Target: t, Reason: err.Error(), ExitCode: ExitCode(err), Nearest: nearestOf(err)}
	switch out.ExitCode {
	case ExitError, ExitUsage:
		return nil, err
	}
	if down := as[*UnreachableError](err); down != nil && down.Reachable != nil {
		out.Otherwise, out.Nearest = down.Reachable.Error(), nearestOf(down.Reachable)
	}
	if e := as[*AmbiguousError](err); e != nil {
		out.Choices = e.Choices
	}
	out.Verdict = verdict(err, out.ExitCode)
	return out, out.pruned(ctx, archives)
}

// pruned asks the prune log why a target is not there any more.
func (e *Explanation) pruned(ctx context.Context, archives []*archive.Archive) error {
	lsn, tl := e.Target.LSN, e.Target.Timeline
	switch e.Verdict {
	case Pruned, Hole, Between, TooEarly:
	default:
		return nil
	}
	if lsn == 0 && e.Nearest != nil && e.Nearest.After != nil {
		lsn, tl = e.Nearest.After.LSN-1, e.Nearest.After.Timeline // a time: the last LSN before what is left
	}
	if lsn == 0 {
		return nil
	}
	note, err := prunedFor(ctx, archives, tl, lsn)
	if err == nil && note != nil {
		e.Verdict, e.Prune = Pruned, note
	}
	return err
}

func verdict(err error, exit int) Verdict {
	switch exit {
	case ExitUnreachable:
		return Unknown
	case ExitAmbiguous:
		return Ambiguous
	case ExitCold:
		return Cold
	case ExitCorrupt:
		return Damaged
	case ExitGap:
		if as[*GapError](err).Declared != "" {
			return InGap
		}
		return Hole
	}
	n := nearestOf(err)
	switch {
	case n == nil || n.Before == nil && n.After == nil:
		return NoSuch
	case n.After == nil:
		return Future
	case n.Before != nil:
		return Between
	case n.After.LSN > 1:
		return Pruned
	}
	return TooEarly
}
