package main

import (
	"fmt"
	"io"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
)

func explainVerb() *cli.Verb {
	return &cli.Verb{
		Name: "explain", Category: "Restore", Usage: "tell in words whether and how a target would be reached",
		Description: "A target that cannot be reached is an answer too: the reason, the exit code that\na restore would end with, and the nearest points.",
		Flags:       targetFlags(), Run: runExplain,
	}
}

type explainDoc struct {
	*pitr.Explanation
	Steps []string `json:"steps"`
}

func runExplain(c *cli.Call) error {
	t, err := target(c)
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	e, err := pitr.Explain(c.Context(), archives, t)
	if err != nil {
		return err
	}
	doc := explainDoc{Explanation: e, Steps: refusal(e)}
	if e.Reachable {
		doc.Steps = steps(e.Plan)
	}
	return c.Answer(doc, func(w io.Writer) error {
		for i, l := range doc.Steps {
			if _, err := fmt.Fprintf(w, "%2d. %s\n", i+1, l); err != nil {
				return err
			}
		}
		return nil
	})
}

// advice is what to do about a target that is out of reach.
var advice = map[pitr.Verdict]string{
	pitr.Future:    "Nothing that late is archived: it was not written yet, or the node has not archived it. nodedb archive status --dir DIR tells how far it is behind.",
	pitr.Pruned:    "It was written once, but what leads to it is not in this archive any more: it was pruned, or the archive was attached later. Another --archive may hold it.",
	pitr.TooEarly:  "The node had written nothing at that time.",
	pitr.Between:   "No timeline that is archived spans it; choose one of the points below.",
	pitr.InGap:     "A gap is declared: the node gave these LSNs up. No store of this archive has them; only a base behind the gap leads on.",
	pitr.Hole:      "Nothing declares that these LSNs are lost: objects were deleted or have not arrived. nodedb archive verify tells more, and another --archive may hold them.",
	pitr.Unknown:   "What a store did not answer is unknown, not absent: ask again when it answers.",
	pitr.Ambiguous: "More than one history has an answer, and a restore does not guess.",
	pitr.NoSuch:    "pitr-restore windows lists what there is.",
	pitr.Cold:      "It is in cold storage. pitr-restore thaw, with the same target, asks for what must be read first, and then for the rest.",
	pitr.Damaged:   "nodedb archive verify names all that is damaged.",
}

func refusal(e *pitr.Explanation) []string {
	out := []string{
		fmt.Sprintf("The target, %s, cannot be reached: %s.", e.Target, e.Reason),
		fmt.Sprintf("A restore to it would end with exit code %d (%s).", e.ExitCode, cli.Code(e.ExitCode)),
	}
	if p := e.Prune; p != nil {
		out = append(out, fmt.Sprintf("It was pruned on %s from %s, by the policy %q: %s.", cli.FormatTime(p.At), p.Store, p.Policy, p.Key))
	} else if a := advice[e.Verdict]; a != "" {
		out = append(out, a)
	}
	if e.Otherwise != "" {
		out = append(out, "The stores that answer would say alone: "+e.Otherwise+".")
	}
	if e.Nearest != nil && e.Nearest.Before != nil {
		out = append(out, "The nearest point before it is "+cli.FormatPosition(*e.Nearest.Before)+".")
	}
	if e.Nearest != nil && e.Nearest.After != nil {
		out = append(out, "The nearest point after it is "+cli.FormatPosition(*e.Nearest.After)+".")
	}
	for _, p := range e.Choices {
		out = append(out, "It may mean "+cli.FormatPosition(p)+fmt.Sprintf(": choose with --timeline %d.", p.Timeline))
	}
	return out
}

// steps tells the plan, object by object.
func steps(p *pitr.Plan) []string {
	out := []string{fmt.Sprintf("The target, %s, is %s.", p.Target, cli.FormatPosition(p.Reached))}
	thaw, such := 0, pitr.PlanCold{}
	for _, c := range p.Cold {
		if c.Thaw {
			thaw, such = thaw+1, c
		}
	}
	if thaw > 0 {
		out = append(out, fmt.Sprintf("%s must be thawed first (pitr-restore thaw), such as %s (%s); a restore before that ends with exit code %d.",
			cli.Plural(thaw, "object"), such.Key, such.Class, pitr.ExitCold))
	}
	if p.Base != nil {
		out = append(out, fmt.Sprintf("The newest usable base is at LSN %d: %s, %s, each checked against its SHA-256, named by %s.",
			p.Base.LSN, cli.Plural(p.Base.Objects, "object"), cli.FormatSize(p.Base.Bytes), p.Base.Key))
	} else {
		out = append(out, fmt.Sprintf("There is no base at or below it, so %d empty vshards are filled from LSN 1.", p.VShards))
	}
	for _, s := range p.Segments {
		out = append(out, fmt.Sprintf("Apply LSN %d to %d of timeline %d from %s (%s).", s.From, s.To, s.Timeline, s.Key, cli.FormatSize(s.Bytes)))
	}
	switch {
	case len(p.Digests) > 0:
		out = append(out, fmt.Sprintf("Compare the digest with %s, published by %s.", p.Digests[0].Sum, p.Digests[0].Source))
	case p.Proof != nil:
		out = append(out, fmt.Sprintf("Look for a digest record about LSN %d in %s and compare.", p.Reached.LSN, p.Proof.Key))
	default:
		out = append(out, "Compute the digest; if a digest record on the way speaks of exactly this LSN, compare.")
	}
	return append(out, "Sync everything and rename the directory into place.",
		fmt.Sprintf("At its first start the node claims a new timeline, %d or higher, and writes from LSN %d or higher.", p.NextTimeline, p.NextLSN))
}
