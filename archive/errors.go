package archive

import (
	"errors"
	"fmt"
	"strings"
)

// Classes of store errors. Every error of a Store matches one of them (or the
// error of its context), and callers act on the class, never on the text.
var (
	// ErrExists: the key holds an object already.
	ErrExists = errors.New("archive: object exists")
	// ErrNotFound: the store answered, and there is no such object.
	ErrNotFound = errors.New("archive: object not found")
	// ErrNoStore: the bucket or directory itself does not exist.
	ErrNoStore = errors.New("archive: store does not exist")
	// ErrUnreachable: no usable answer, so nothing is known. It says neither
	// that an object is there nor that it is absent. Try again later.
	ErrUnreachable = errors.New("archive: store unreachable")
	// ErrThrottled: the store asks for a slower pace. Try again later.
	ErrThrottled = errors.New("archive: store throttles requests")
	// ErrDenied: credentials or permissions do not allow the request.
	ErrDenied = errors.New("archive: access denied by store")
	// ErrRetained: the store keeps the object by a rule of its own (Object
	// Lock, a retention policy, a legal hold) and will not delete it yet.
	ErrRetained = errors.New("archive: object is retained by its store")
	// ErrStoreFull: the store has no room.
	ErrStoreFull = errors.New("archive: store is full")
	// ErrCold: the object is in a storage class that cannot be read now.
	ErrCold = errors.New("archive: object is in cold storage")
	// ErrRefused: the store understood the request and will not do it; the
	// same request will not do better later.
	ErrRefused = errors.New("archive: request refused by store")
	// ErrBody: the body that was to be stored cannot be read, or is shorter
	// than promised. The store has no part in it.
	ErrBody = errors.New("archive: body to store cannot be read")
)

// Errors that are not a store's.
var (
	// ErrBadURL: a store's URL cannot be used as it is written.
	ErrBadURL = errors.New("archive: bad store URL")
	// ErrBadKey: text that is not a key of this archive.
	ErrBadKey = errors.New("archive: bad key")
	// ErrBadNodeID: a node id outside ^[a-z0-9][a-z0-9._-]{0,62}$.
	ErrBadNodeID = errors.New("archive: bad node id")
	// ErrCorrupt: an object's bytes are not what its name or its own
	// checksums say. Errors that match it are *ObjectError.
	ErrCorrupt = errors.New("archive: object is damaged")
	// ErrVersion: an object of a later format. Never mixed with damage.
	ErrVersion = errors.New("archive: format is newer than this program")
)

// StoreError is what a Store returns: the class, and what the store said.
type StoreError struct {
	Op    string // method in lower case: "create", "read", "stat", "list", "delete", "open", "thaw"
	Store string // the store's URL, without credentials
	Key   string // empty when the error is not about one object
	Class error  // one of the sentinels above, or a context's error
	Err   error  // the cause; nil when the class says it all
}

// Error says what failed, where, and why.
func (e *StoreError) Error() string {
	at := e.Store
	if e.Key != "" {
		at += " " + e.Key
	}
	if e.Err == nil {
		return fmt.Sprintf("%s %s: %v", e.Op, at, e.Class)
	}
	if cause := e.Err.Error(); strings.HasPrefix(cause, e.Class.Error()) {
		return fmt.Sprintf("%s %s: %s", e.Op, at, cause)
	}
	return fmt.Sprintf("%s %s: %v: %v", e.Op, at, e.Class, e.Err)
}

// Unwrap gives the class and the cause to errors.Is and errors.As.
func (e *StoreError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Class}
	}
	return []error{e.Class, e.Err}
}

// ObjectError is damage in one object.
type ObjectError struct {
	Store  string // empty where bytes were read that have no name yet
	Key    string
	Offset int64 // byte where the damage was seen, -1 when unknown
	Reason string
	Err    error // nil or the cause
}

// Error says which object is damaged, where, and how.
func (e *ObjectError) Error() string {
	s := "archive: object "
	if e.Key != "" {
		s += e.Key + " "
	}
	if e.Store != "" {
		s += "in " + e.Store + " "
	}
	s += "is damaged"
	if e.Offset >= 0 {
		s += fmt.Sprintf(" at byte %d", e.Offset)
	}
	s += ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap matches ErrCorrupt and the cause.
func (e *ObjectError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrCorrupt}
	}
	return []error{ErrCorrupt, e.Err}
}

// Retryable tells whether the same request may succeed later, so that a
// retry is worth its cost.
func Retryable(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrThrottled) || errors.Is(err, ErrStoreFull)
}
