package pitr

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// Caller mistakes.
var (
	ErrTargetDirNotEmpty = errors.New("pitr: target directory is not empty")
	ErrRestoreRunning    = errors.New("pitr: another process restores into this directory")
	ErrNoStores          = errors.New("pitr: no archive given")
)

// Position is a place in a history: the record LSN of a timeline, and its time
// when that is known.
type Position struct {
	Timeline wal.Timeline `json:"timeline"`
	LSN      wal.LSN      `json:"lsn"`
	Time     time.Time    `json:"time,omitzero"`
}

func (p Position) String() string {
	s := fmt.Sprintf("LSN %d on timeline %d", uint64(p.LSN), uint32(p.Timeline))
	if !p.Time.IsZero() {
		s += " (" + formatTime(p.Time) + ")"
	}
	return s
}

// Nearest is what can be reached instead: the closest position before and after.
type Nearest struct {
	Before *Position `json:"before,omitempty"`
	After  *Position `json:"after,omitempty"`
}

func (n Nearest) String() string {
	var parts []string
	if n.Before != nil {
		parts = append(parts, "before it "+n.Before.String())
	}
	if n.After != nil {
		parts = append(parts, "after it "+n.After.String())
	}
	if len(parts) == 0 {
		return "nothing in this archive can be restored"
	}
	return "nearest that can be restored: " + strings.Join(parts, ", ")
}

// OutOfWindowError: the archive was read completely and the target lies outside
// of what it can restore.
type OutOfWindowError struct {
	Target  Target
	Reason  string
	Nearest Nearest // empty too for a restore point that nobody wrote: no place is near a name
}

func (e *OutOfWindowError) Error() string {
	if e.Target.Point != "" && e.Nearest == (Nearest{}) {
		return fmt.Sprintf("%s does not exist: %s", e.Target, e.Reason)
	}
	return fmt.Sprintf("%s is outside the window: %s; %s", e.Target, e.Reason, e.Nearest)
}

// GapError: LSNs From to To (inclusive) are needed and no reachable store holds them.
type GapError struct {
	Target   Target
	Timeline wal.Timeline
	From, To wal.LSN
	Declared string // key of the gap object that says so; empty when nothing does
	Nearest  Nearest
}

func (e *GapError) Error() string {
	how := "missing without a gap object: objects were deleted or never arrived"
	if e.Declared != "" {
		how = "declared lost by " + e.Declared
	}
	return fmt.Sprintf("%s needs LSNs %d to %d of timeline %d, which are %s; %s",
		e.Target, uint64(e.From), uint64(e.To), uint32(e.Timeline), how, e.Nearest)
}

// UnreachableError: a store did not answer, so nothing can be said about what it holds.
type UnreachableError struct {
	Store     string
	Op        string
	Err       error
	Reachable error // the refusal that would follow from the other stores alone, or nil
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s: store %s cannot be reached, so what it holds is unknown (not absent): %v", e.Op, e.Store, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// AmbiguousError: more than one history answers the target.
type AmbiguousError struct {
	Target  Target
	Reason  string
	Choices []Position
}

func (e *AmbiguousError) Error() string {
	s := fmt.Sprintf("%s is ambiguous: %s", e.Target, e.Reason)
	for i, c := range e.Choices {
		sep := "; choose with a timeline or an LSN: "
		if i > 0 {
			sep = " or "
		}
		s += sep + c.String()
	}
	return s
}

// DigestError: the rebuilt state is not the state that was published for its LSN.
type DigestError struct {
	LSN                     wal.LSN
	Got, Want               string
	GotEntries, WantEntries uint64
	Source                  string // what published Want
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("rebuilt state at LSN %d has digest %s over %d entries, but %s says %s over %d: nothing was put in place",
		uint64(e.LSN), e.Got, e.GotEntries, e.Source, e.Want, e.WantEntries)
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// nearestOf is where err keeps the nearest positions, nil if it has none.
func nearestOf(err error) *Nearest {
	if e, ok := errors.AsType[*OutOfWindowError](err); ok {
		return &e.Nearest
	}
	if e, ok := errors.AsType[*GapError](err); ok {
		return &e.Nearest
	}
	return nil
}
