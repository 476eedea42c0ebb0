package kv

import (
	"errors"
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// Limits, in bytes.
const (
	KeyBytesMax    = 64 << 10
	ResultBytesMax = 1<<16 - 1

	// ValueBytesMax leaves room in a record for the longest key and result.
	ValueBytesMax = wal.PayloadBytesMax - KeyBytesMax - ResultBytesMax - 64
)

// Refusals of a request, and what a read may find.
var (
	ErrNotFound      = errors.New("kv: not found")
	ErrKeyEmpty      = errors.New("kv: key is empty")
	ErrKeyTooLarge   = errors.New("kv: key too large")
	ErrValueTooLarge = errors.New("kv: value too large")
	ErrExpiryInvalid = errors.New("kv: expiry is before 1970")
	ErrBadCursor     = errors.New("kv: cursor does not belong to this scan")

	// ErrMalformed says that a payload or a stored value is not of the form that
	// this package writes.
	ErrMalformed = errors.New("kv: malformed")

	// ErrNewer says that it has a flag which only a newer version knows.
	ErrNewer = errors.New("kv: written by a newer version")
)

// CheckKey returns ErrKeyEmpty, ErrKeyTooLarge with the sizes, or nil.
func CheckKey(key []byte) error {
	if len(key) == 0 {
		return ErrKeyEmpty
	}
	if len(key) > KeyBytesMax {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrKeyTooLarge, len(key), KeyBytesMax)
	}
	return nil
}

// CheckValue returns ErrValueTooLarge with the sizes, or nil.
func CheckValue(value []byte) error {
	if len(value) > ValueBytesMax {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrValueTooLarge, len(value), ValueBytesMax)
	}
	return nil
}

// CheckExpiry returns ErrExpiryInvalid or nil. Zero means no expiry.
func CheckExpiry(expireAtMillis int64) error {
	if expireAtMillis < 0 {
		return fmt.Errorf("%w: %d ms", ErrExpiryInvalid, expireAtMillis)
	}
	return nil
}
