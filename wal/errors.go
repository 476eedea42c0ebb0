package wal

import (
	"errors"
	"fmt"
)

// Sentinels; test with errors.Is. Grouped by what the caller does about them.
var (
	// Mistakes of the caller. No LSN was taken.
	ErrPayloadTooLarge = errors.New("wal: payload too large")
	ErrIdemTooLong     = errors.New("wal: idempotency key longer than 255 bytes")
	ErrBatchTooLarge   = errors.New("wal: batch too large")
	ErrEmptyBatch      = errors.New("wal: empty batch")
	ErrStarted         = errors.New("wal: already started")
	ErrClosed          = errors.New("wal: closed")
	ErrExists          = errors.New("wal: log exists")

	// ErrTruncated: the record existed and was truncated away.
	ErrTruncated = errors.New("wal: position truncated")

	// ErrDiskFull: no space is reserved for the record. No LSN was taken, the
	// log goes on by itself when there is space again.
	ErrDiskFull = errors.New("wal: disk full")

	// ErrPoisoned: a write or fsync of the log failed; what follows the durable
	// LSN is unknown. Sticky: only a new Open, which reads what is really there,
	// goes on. Always a *PoisonedError.
	ErrPoisoned = errors.New("wal: poisoned")

	// Damage: a *CorruptError, or a *MagicError for a file that is no segment.
	ErrCorrupt = errors.New("wal: corrupt")
	ErrMagic   = errors.New("wal: not a segment")

	// Incompatibility, never mixed with damage: a *VersionError, resp. an
	// *UnknownTypeError.
	ErrVersion     = errors.New("wal: format version not supported")
	ErrUnknownType = errors.New("wal: unknown required record type")

	// ErrNodeID: the segment belongs to another node.
	ErrNodeID = errors.New("wal: segment of another node")
)

// PoisonedError says which operation broke the log.
type PoisonedError struct {
	Op   string // "write", "sync", "rename", "sync directory", …
	Path string
	Err  error
}

func (e *PoisonedError) Error() string {
	return fmt.Sprintf("wal: poisoned: %s %s: %v", e.Op, e.Path, e.Err)
}

// Unwrap makes errors.Is hold for ErrPoisoned and for the cause.
func (e *PoisonedError) Unwrap() []error { return []error{ErrPoisoned, e.Err} }

const reasonChain = "SHA-256 of the previous segment differs"

// CorruptError is damage at a known place.
type CorruptError struct {
	Path     string
	Offset   int64 // of the first byte that cannot be trusted
	FirstLSN LSN   // first LSN that cannot be read
	LastLSN  LSN   // last LSN known to have been there; 0 when unknown
	Reason   string
}

func (e *CorruptError) Error() string {
	last := "?"
	if e.LastLSN != 0 {
		last = e.LastLSN.String()
	}
	return fmt.Sprintf("wal: corrupt: %s at offset %d, LSN %d to %s: %s",
		e.Path, e.Offset, e.FirstLSN, last, e.Reason)
}

// Unwrap makes errors.Is(err, ErrCorrupt) hold.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// MagicError is a file that does not start as a segment does.
type MagicError struct {
	Path     string
	FirstLSN LSN // from the file's name; 0 when it has none
}

func (e *MagicError) Error() string {
	return fmt.Sprintf("wal: not a segment: %s at offset 0, LSN %d to ?: bad magic", e.Path, e.FirstLSN)
}

// Unwrap makes errors.Is hold for ErrMagic and ErrCorrupt.
func (e *MagicError) Unwrap() []error { return []error{ErrMagic, ErrCorrupt} }

// VersionError is a file that a newer program wrote.
type VersionError struct {
	Path     string
	Offset   int64
	FirstLSN LSN
	What     string // "version 7", "preamble flags 0x1", "frame kind 9", …
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("wal: format version not supported: %s at offset %d, LSN %d: %s is unknown to this program (it knows version %d)",
		e.Path, e.Offset, e.FirstLSN, e.What, formatVersion)
}

// Unwrap makes errors.Is(err, ErrVersion) hold.
func (e *VersionError) Unwrap() error { return ErrVersion }

// UnknownTypeError is a record that this program must not skip and cannot read.
type UnknownTypeError struct {
	Path   string
	Offset int64 // of the frame that holds the record
	LSN    LSN
	Type   Type
}

func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("wal: unknown required record type: %s at offset %d, LSN %d: type %s", e.Path, e.Offset, e.LSN, e.Type)
}

// Unwrap makes errors.Is(err, ErrUnknownType) hold.
func (e *UnknownTypeError) Unwrap() error { return ErrUnknownType }

// NodeIDError is a segment that another node wrote.
type NodeIDError struct {
	Path      string
	Got, Want string
}

func (e *NodeIDError) Error() string {
	return fmt.Sprintf("wal: segment of another node: %s was written by node %q, this is %q", e.Path, e.Got, e.Want)
}

// Unwrap makes errors.Is(err, ErrNodeID) hold.
func (e *NodeIDError) Unwrap() error { return ErrNodeID }

// TruncatedError says where the log begins now.
type TruncatedError struct {
	LSN   LSN // asked for
	First LSN // oldest that can be read
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("wal: position truncated: LSN %d, the log begins at %d", e.LSN, e.First)
}

// Unwrap makes errors.Is(err, ErrTruncated) hold.
func (e *TruncatedError) Unwrap() error { return ErrTruncated }
