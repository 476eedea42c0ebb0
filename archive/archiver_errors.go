package archive

import (
	"errors"
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

var (
	// ErrArchiveStalled: sealed WAL that waits for the archive has reached its
	// budget, so a write is refused. Reads go on. Errors that match it are
	// *StalledError.
	ErrArchiveStalled = errors.New("archive: stalled, WAL budget is used up")
	// ErrFenced: another writer owns the archive now. Errors that match it are
	// *FencedError.
	ErrFenced = errors.New("archive: fenced by another writer")
	// ErrArchiverClosed: the Archiver is closed.
	ErrArchiverClosed = errors.New("archive: archiver is closed")
	// ErrNotDrained: Close ran out of time before all was archived. Nothing is
	// lost: the WAL is kept, and the next start goes on.
	ErrNotDrained = errors.New("archive: closed before everything was archived")
)

// FencedError says that somebody else writes this node's archive. It is final
// for this process: the WAL is kept, nothing more is uploaded or released.
// What works: stop the other node, or go on under a new timeline or node id.
type FencedError struct {
	Store  string // URL of the store that showed it
	NodeID string
	Own    wal.Epoch
	By     *EpochInfo // the later claim; nil when it is not known
	Key    string     // the object with other content; empty when an epoch fences
	Reason string
}

// Error says who fences whom, where, and why.
func (e *FencedError) Error() string {
	s := fmt.Sprintf("archive: node %s epoch %d is fenced in %s", e.NodeID, e.Own, e.Store)
	if e.By != nil {
		s += fmt.Sprintf(" by epoch %d (timeline %d, host %q, claimed %s)",
			e.By.Epoch, e.By.Timeline, e.By.Host, e.By.ClaimedAt.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if e.Key != "" {
		s += " at " + e.Key
	}
	return s + ": " + e.Reason
}

// Is matches ErrFenced.
func (e *FencedError) Is(target error) bool { return target == ErrFenced }

// StalledError is the refusal of a write while the archive is behind.
type StalledError struct {
	Bytes, Budget int64   // of sealed WAL that is not archived
	Archived      wal.LSN // what the archive has reached
	Last          wal.LSN // what it should reach
	Cause         error   // why the archive is behind; nil when unknown
}

// Error gives the figures and the cause.
func (e *StalledError) Error() string {
	s := fmt.Sprintf("%v: %d of %d bytes wait, archived up to LSN %d of %d",
		ErrArchiveStalled, e.Bytes, e.Budget, e.Archived, e.Last)
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Is matches ErrArchiveStalled.
func (e *StalledError) Is(target error) bool { return target == ErrArchiveStalled }

// Unwrap is the cause.
func (e *StalledError) Unwrap() error { return e.Cause }
