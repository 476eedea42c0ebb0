package engine

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/wal"
)

var (
	// ErrClosed is returned by a vshard that was closed.
	ErrClosed = errors.New("engine: vshard is closed")

	// ErrStalled is returned by Admit when the store cannot take more writes for
	// now: flushes or compactions are behind, or the disk is full. Wrapped with
	// the reason. Retrying later is right.
	ErrStalled = errors.New("engine: store is behind with its flushes")

	// ErrBatchBroken is returned by a batch in which a record failed half-way.
	// Only Reset helps.
	ErrBatchBroken = errors.New("engine: batch is broken by a failed record")

	// ErrWrongVShard is returned for a record or a directory of another vshard.
	ErrWrongVShard = errors.New("engine: wrong vshard")

	// ErrNotANode is returned for a directory without node.json.
	ErrNotANode = errors.New("engine: directory is not a nodedb node")

	// ErrLocked is returned for a directory that another process holds.
	ErrLocked = errors.New("engine: directory is held by another process")

	// ErrStandby is returned for a directory that follows another node's archive
	// and is no node of its own until it is promoted.
	ErrStandby = errors.New("engine: directory is a standby")

	// ErrNewerFormat is returned for files of a newer version than this one reads.
	ErrNewerFormat = errors.New("engine: written by a newer version of nodedb")
)

// errNotExist is what file systems say of a file that is not there.
var errNotExist = fs.ErrNotExist

// CorruptError says that bytes on disk are not what was written.
type CorruptError struct {
	Path   string // file, or directory when the file is not known
	VShard uint16
	Err    error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("engine: damaged data in %s (vshard %04x): %v", e.Path, e.VShard, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// StoreError says that the store of a vshard stopped: a write to its own
// bookkeeping failed and it is unknown whether it arrived. The vshard takes no
// more writes until Reopen or a restart; nothing is lost, the WAL has it all.
type StoreError struct {
	Path   string
	VShard uint16
	Err    error
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("engine: store %s (vshard %04x) stopped: %v", e.Path, e.VShard, e.Err)
}

func (e *StoreError) Unwrap() error { return e.Err }

// RecordError says which record an engine could not apply.
type RecordError struct {
	LSN    wal.LSN
	Type   wal.Type
	VShard uint16
	Err    error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("engine: apply record lsn %d type %d vshard %d: %v", e.LSN, e.Type, e.VShard, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

// Damage translates an error of Pebble about damaged files into a *CorruptError
// that names the file. Other errors, and nil, are returned as they are.
func (v *VShard) Damage(err error) error {
	if err == nil {
		return nil
	}
	var known *CorruptError
	if errors.As(err, &known) {
		return err
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return &CorruptError{Path: info.Path, VShard: v.id, Err: err}
	}
	if pebble.IsCorruptionError(err) {
		return &CorruptError{Path: v.dir, VShard: v.id, Err: err}
	}
	return err
}
