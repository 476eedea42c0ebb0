package pitr

import (
	"errors"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Exit codes of the commands that restore.
const (
	ExitDone        = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitCorrupt     = 3
	ExitOutOfWindow = 4
	ExitGap         = 5
	ExitUnreachable = 6
	ExitAmbiguous   = 7
	ExitCold        = 8
)

// ExitCode is the exit code that err stands for.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitDone
	case is[*OutOfWindowError](err):
		return ExitOutOfWindow
	case is[*GapError](err):
		return ExitGap
	case is[*AmbiguousError](err), is[*DivergedError](err):
		return ExitAmbiguous
	case errors.Is(err, archive.ErrCold):
		return ExitCold
	case is[*DigestError](err), is[*wal.CorruptError](err), errors.Is(err, archive.ErrCorrupt):
		return ExitCorrupt
	case errors.Is(err, archive.ErrUnreachable), errors.Is(err, archive.ErrThrottled), is[*UnreachableError](err):
		return ExitUnreachable
	case errors.Is(err, ErrTarget), errors.Is(err, ErrNotStandby):
		return ExitUsage
	}
	return ExitError
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// as is errors.AsType that gives nil when there is none.
func as[T error](err error) T {
	e, _ := errors.AsType[T](err)
	return e
}
