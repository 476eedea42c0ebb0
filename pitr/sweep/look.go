package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// foreignShown bounds how many foreign objects have a finding of their own.
const foreignShown = 20

// look says what the listing tells.
func (s *sweeper) look(ctx context.Context) {
	r, c := s.report, s.in.Catalog
	r.Timelines, r.Epochs, r.Packs, r.Bases, r.End = len(s.in.Timelines), len(c.Claims), len(c.Packs), len(c.Bases), s.in.End
	for i := range s.in.Timelines {
		t := &s.in.Timelines[i]
		r.Segments += t.Segments + t.Dead
		r.Bytes += t.Bytes
		s.holes(t)
	}
	for _, p := range c.Problems {
		r.add(Finding{Kind: Damaged, Severity: Problem, Key: keyOf(p), Text: p.Error(), Err: p})
	}
	if err := s.in.EndErr; err != nil {
		s.endUnread(ctx, err)
	}
	s.unrestorable()
	s.writers()
	r.Findings = append(r.Findings, epochFindings(c)...)
	s.foreign(ctx)
	s.silence()
}

// endUnread says why the end of the history has no time.
func (s *sweeper) endUnread(ctx context.Context, err error) {
	switch {
	case errors.Is(err, archive.ErrKeyMissing):
		s.report.add(Finding{Kind: Unopened, Severity: Notice, Text: "the newest segment is encrypted, so its age is that of its object: " + err.Error(), Err: err})
	case errors.Is(err, archive.ErrCorrupt), errors.Is(err, wal.ErrCorrupt):
		s.report.add(Finding{Kind: Damaged, Severity: Problem, Key: keyOf(err), Text: err.Error(), Err: err})
	default:
		s.undone(ctx, "read the end of the history", err)
	}
}

// holes says which LSNs of a timeline are absent between archived ones.
func (s *sweeper) holes(t *pitr.Timeline) {
	say := func(kind Kind, severity Severity, g *pitr.PlanGap, text string) {
		key := g.Key
		if key != "" {
			key = archive.NodePrefix(s.a.NodeID()) + key
		}
		s.report.add(Finding{Kind: kind, Severity: severity, Key: key, Timeline: t.Timeline, From: g.From, To: g.To,
			Text: spanOf(t.Timeline, g.From, g.To) + " " + text})
	}
	for i := range t.Missing {
		say(Missing, Problem, &t.Missing[i], "are missing: no gap object and no prune record says so")
	}
	for i := range t.Pruned {
		say(Pruned, Notice, &t.Pruned[i], "were pruned between kept ones")
	}
	for i := range t.Gaps {
		g := &t.Gaps[i]
		there := slices.ContainsFunc(t.Windows, func(w pitr.Window) bool { return w.From <= g.From && g.To <= w.To })
		if !there { // else a segment came after all, and wins
			say(Gap, Notice, g, "are declared lost")
		}
	}
}

// unrestorable finds what was archived on the newest timeline and cannot be reached:
// behind a gap, until the next base.
func (s *sweeper) unrestorable() {
	for _, t := range slices.Backward(s.in.Timelines) {
		if t.LastLSN == 0 {
			continue
		}
		end := wal.LSN(0)
		if n := len(t.Windows); n > 0 {
			end = t.Windows[n-1].To
		}
		if end < t.LastLSN {
			from := max(end+1, t.FirstLSN)
			s.report.add(Finding{Kind: Unrestorable, Severity: Problem, Timeline: t.Timeline, From: from, To: t.LastLSN,
				Text: spanOf(t.Timeline, from, t.LastLSN) + " cannot be restored: no base and no unbroken log leads there; nodedb backup makes a base"})
		}
		return
	}
}

// writers says what more than one writer did.
func (s *sweeper) writers() {
	for _, o := range s.in.Overlaps {
		s.report.add(Finding{Kind: Overlap, Severity: Problem, Key: o.Keys[1], Other: o.Keys[0], Timeline: o.Timeline, From: o.From, To: o.To,
			Text: fmt.Sprintf("%s are in two segments of one epoch, %s and %s: two writers had the same history", spanOf(o.Timeline, o.From, o.To), o.Keys[0], o.Keys[1])})
	}
	for _, f := range s.in.Fenced {
		s.report.add(Finding{Kind: Fenced, Severity: Notice, Timeline: f.Timeline, From: f.From, To: f.To,
			Text: fmt.Sprintf("epoch %d archived %d segments within %s that are not history there: a later epoch had begun", uint64(f.Epoch), f.Segments, spanOf(f.Timeline, f.From, f.To))})
	}
}

// foreign says which objects are nobody's. The catalog leaves out what is below
// obj/, so that is listed here.
func (s *sweeper) foreign(ctx context.Context) {
	r, c := s.report, s.in.Catalog
	r.Foreign = len(c.Foreign) + c.ForeignMore
	shown := slices.Clone(c.Foreign[:min(len(c.Foreign), foreignShown)])
	prefix := archive.NodePrefix(s.a.NodeID())
	for o, err := range s.a.Store().List(ctx, prefix+"obj/", "") {
		if err != nil {
			s.undone(ctx, "list the contents of bases", err)
			break
		}
		if _, err := archive.ParseKey(strings.TrimPrefix(o.Key, prefix)); err == nil {
			r.Contents++
			continue
		}
		if r.Foreign++; len(shown) < foreignShown {
			shown = append(shown, o)
		}
	}
	for _, o := range shown {
		r.add(Finding{Kind: Foreign, Severity: Warning, Key: o.Key, Text: o.Key + " has a name that this program does not give; it is never touched"})
	}
	if more := r.Foreign - len(shown); more > 0 {
		r.add(Finding{Kind: Foreign, Severity: Warning, Text: fmt.Sprintf("and %d more foreign objects", more)})
	}
}

// silence says for how long nothing came.
func (s *sweeper) silence() {
	r, c := s.report, s.in.Catalog
	at, what := r.End.Time, "the newest record"
	if at.IsZero() && r.End.LSN != 0 {
		at, what = archivedAt(c, r.End), "the newest segment"
	}
	var claimed archive.EpochInfo
	for _, e := range c.Epochs {
		if e.Epoch >= claimed.Epoch {
			claimed = e
		}
	}
	if at.IsZero() {
		at, what = claimed.ClaimedAt, "the claim of its archive"
	}
	if at.IsZero() {
		return // not even an epoch can be read, which is told
	}
	r.EndAge = max(r.At.Sub(at), 0)
	// A node that started since is alive, if silent, and so is one whose segments lie
	// behind a hole.
	quiet := min(r.EndAge, max(r.At.Sub(claimed.ClaimedAt), 0))
	for i := range c.Segments {
		if e := &c.Segments[i]; e.Timeline == r.End.Timeline && e.First > r.End.LSN {
			quiet = min(quiet, max(r.At.Sub(e.ModTime), 0))
		}
	}
	if s.opts.StaleAfter <= 0 || quiet <= s.opts.StaleAfter {
		return
	}
	writer := ""
	if claimed.Host != "" {
		writer = " on host " + claimed.Host
	}
	r.add(Finding{Kind: Stale, Severity: Warning, Timeline: r.End.Timeline, From: r.End.LSN, To: r.End.LSN,
		Text: fmt.Sprintf("nothing new for %v: %s is of %s, the last writer is epoch %d%s, claimed %s", quiet.Round(time.Second), what,
			at.UTC().Format(time.RFC3339), uint64(claimed.Epoch), writer, claimed.ClaimedAt.UTC().Format(time.RFC3339))})
}

// archivedAt is when the segment with that position came into the store.
func archivedAt(c *archive.Catalog, end pitr.Position) time.Time {
	var at time.Time
	for i := range c.Segments {
		if e := &c.Segments[i]; e.Timeline == end.Timeline && e.From <= end.LSN && end.LSN <= e.To && e.ModTime.After(at) {
			at = e.ModTime
		}
	}
	return at
}
