package sweep

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// Severity is what a finding asks for.
type Severity string

// The severities.
const (
	Notice  Severity = "notice"  // nothing: it is as it may be
	Warning Severity = "warning" // a look
	Problem Severity = "problem" // something is wrong
)

// Kind is what a finding is about.
type Kind string

// The kinds of findings.
const (
	Missing      Kind = "missing"      // LSNs between archived ones that nothing accounts for
	Gap          Kind = "gap"          // LSNs that are declared lost
	Pruned       Kind = "pruned"       // LSNs that retention deleted between archived ones
	Unrestorable Kind = "unrestorable" // archived LSNs that no base and no earlier segment leads to
	Overlap      Kind = "overlap"      // two segments of one epoch with the same LSNs: two writers
	Fenced       Kind = "fenced"       // what an epoch archived after a later one had begun
	Epoch        Kind = "epoch"        // epochs that contradict each other, or their segments
	Foreign      Kind = "foreign"      // an object whose name is not one of this program's
	Stale        Kind = "stale"        // nothing new for too long
	Damaged      Kind = "damaged"      // an object that is not what its name says
	Unopened     Kind = "unopened"     // an object that no identity opens
	Unindexed    Kind = "unindexed"    // segments without an index
	Gone         Kind = "gone"         // objects of the ledger that are not listed any more
	Drill        Kind = "drill"        // a restored state that is not the published one, or has none to compare with
	Undone       Kind = "undone"       // a step that failed
)

// Finding is one thing that a sweep has to say.
type Finding struct {
	Kind     Kind         `json:"kind"`
	Severity Severity     `json:"severity"`
	Key      string       `json:"key,omitempty"` // full key of the object
	Other    string       `json:"other,omitempty"`
	Timeline wal.Timeline `json:"timeline,omitempty"`
	From     wal.LSN      `json:"from,omitempty"` // to To, inclusive
	To       wal.LSN      `json:"to,omitempty"`
	Text     string       `json:"text"`
	Err      error        `json:"-"` // the cause, where there is one
}

// exit is the exit code that the finding stands for, 0 for notices.
func (f *Finding) exit() int {
	if f.Severity == Notice {
		return pitr.ExitDone
	}
	switch f.Kind {
	case Damaged, Drill:
		return pitr.ExitCorrupt
	case Overlap, Epoch:
		return pitr.ExitAmbiguous
	case Missing, Unrestorable:
		return pitr.ExitGap
	case Undone, Unindexed:
		if code := pitr.ExitCode(f.Err); slices.Contains(exitOrder, code) {
			return code
		}
	}
	return pitr.ExitError
}

// add says one more thing.
func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }

// spanOf is a range of LSNs in words.
func spanOf(tl wal.Timeline, from, to wal.LSN) string {
	if from == to {
		return fmt.Sprintf("LSN %d of timeline %d", uint64(from), uint32(tl))
	}
	return fmt.Sprintf("LSNs %d to %d of timeline %d", uint64(from), uint64(to), uint32(tl))
}

// keyOf is the object that an error is about, "" if it names none.
func keyOf(err error) string {
	if e, ok := errors.AsType[*archive.ObjectError](err); ok {
		return e.Key
	}
	return ""
}
