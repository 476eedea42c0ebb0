package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

// Errors of the layers below that callers of a node act on, under one roof.
var (
	// ErrNotFound: the key does not exist, or its time to live has passed.
	ErrNotFound = kv.ErrNotFound
	// ErrKeyEmpty, ErrKeyTooLarge and ErrValueTooLarge refuse a request before it is queued.
	ErrKeyEmpty      = kv.ErrKeyEmpty
	ErrKeyTooLarge   = kv.ErrKeyTooLarge
	ErrValueTooLarge = kv.ErrValueTooLarge
	// ErrOverloaded: the core's inbox is full. Nothing was done; retry later.
	ErrOverloaded = tpc.ErrOverloaded
	// ErrCoreDegraded: the core cools down after repeated panics. Nothing was
	// done; the error carries a retry-after.
	ErrCoreDegraded = tpc.ErrCoreDegraded
	// ErrInternal: the request panicked. The error carries an id that the log
	// shows beside the stack.
	ErrInternal = tpc.ErrInternal
	// ErrDeadline: the deadline passed before the request was executed.
	ErrDeadline = tpc.ErrDeadline
	// ErrArchiveStalled: more unarchived log than the budget allows; reads go on.
	ErrArchiveStalled = archive.ErrArchiveStalled
	// ErrDiskFull: no room for the next log segment. Nothing was done.
	ErrDiskFull = wal.ErrDiskFull
	// ErrStalled: the vshard's tables cannot be written as fast as its log, or
	// not at all for the cause in the text. The node has waited for up to 30
	// seconds. Nothing was done; retry later.
	ErrStalled = engine.ErrStalled
	// ErrNotANode: the directory holds something, but no node.
	ErrNotANode = engine.ErrNotANode
	// ErrLocked: another process holds the directory.
	ErrLocked = engine.ErrLocked
	// ErrStandby: the directory follows another node's archive. It can be read,
	// see OpenStandby, and becomes a node when it is promoted.
	ErrStandby = engine.ErrStandby
	// ErrNewerFormat: the directory was written by a newer version.
	ErrNewerFormat = engine.ErrNewerFormat
)

var (
	// ErrClosed is returned by every method of a closed node.
	ErrClosed = errors.New("node: closed")
	// ErrReadOnly: a write or fsync of the log failed, so the node accepts no
	// more writes; reads go on. The outcome of writes that were under way is
	// unknown until the node is reopened.
	ErrReadOnly = errors.New("node: read-only after a failed log write")
	// ErrCrossVShard: the keys of a batch live in several vshards. Give them
	// one {tag} to keep them together.
	ErrCrossVShard = errors.New("node: batch spans several vshards")
	// ErrNotInteger: Increment found a value that is not a 64-bit integer, or
	// the sum overflows.
	ErrNotInteger = errors.New("node: value is not a 64-bit integer or would overflow")
	// ErrRebuilding: the vshard is being rebuilt from disk after a panic. Retry.
	ErrRebuilding = errors.New("node: vshard is being rebuilt")
	// ErrQuarantined: the vshard could not be rebuilt; the rest of the node serves.
	ErrQuarantined = errors.New("node: vshard is quarantined")
	// ErrStandbyTorn: the vshards of a standby are at different LSNs.
	ErrStandbyTorn = errors.New("node: standby is between two states")
	// ErrMissingLog: the log lacks records that the vshards need, or that they
	// have already applied.
	ErrMissingLog = errors.New("node: log does not join the stored state")
	// ErrNoArchive: the operation needs an archive and the node has none.
	ErrNoArchive = errors.New("node: no archive is configured")
	// ErrIdempotencyKey: the key is longer than 255 bytes.
	ErrIdempotencyKey = errors.New("node: idempotency key longer than 255 bytes")
	// ErrPointName: a restore point needs a name of 1 to 128 printable bytes.
	ErrPointName = errors.New("node: restore point name must be 1 to 128 bytes without spaces, control characters or '/'")
)

// A CheckpointError tells which cores or vshards did not answer, so nothing
// was truncated.
type CheckpointError struct {
	Failed []string // one line a failure, for people
	Errs   []error
}

func (e *CheckpointError) Error() string {
	return fmt.Sprintf("node: checkpoint incomplete, log kept: %v", e.Failed)
}

func (e *CheckpointError) Unwrap() []error { return e.Errs }

// RetryAfter reports how long to wait before a retry makes sense, for errors
// that say so.
func RetryAfter(err error) (time.Duration, bool) {
	if d, ok := errors.AsType[*tpc.DegradedError](err); ok {
		return d.RetryAfter, true
	}
	return 0, false
}
