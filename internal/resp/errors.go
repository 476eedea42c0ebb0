package resp

import (
	"context"
	"errors"

	"github.com/nodedb-go/nodedb/node"
)

// redisError is the text of an error as Redis words it, with its code.
type redisError string

func (e redisError) Error() string { return string(e) }

const (
	errSyntax     = redisError("ERR syntax error")
	errNotInteger = redisError("ERR value is not an integer or out of range")
	errRange      = redisError("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
	errNotFloat   = redisError("ERR value is not a valid float")
	errOverflow   = redisError("ERR increment or decrement would overflow")
	errWrongType  = redisError("WRONGTYPE Operation against a key holding the wrong kind of value")
	errNoKey      = redisError("ERR no such key")
	errCrossSlot  = redisError("CROSSSLOT Keys in request don't hash to the same slot; give them one {tag}")
	errTooLong    = redisError("ERR string exceeds maximum allowed size (16 MiB)")
	errExecAbort  = redisError("EXECABORT Transaction discarded because of previous errors.")
	errNoAuth     = redisError("NOAUTH Authentication required.")
	errWrongPass  = redisError("WRONGPASS invalid username-password pair or user is disabled.")
)

// errorText words an error for a client. What is not Redis's own tells what the
// node refuses, under the code on which clients act: whether to try again.
func errorText(err error) string {
	var own redisError
	var proto protocolError
	switch {
	case errors.As(err, &own):
		return string(own)
	case errors.As(err, &proto):
		return "ERR " + proto.Error()
	case errors.Is(err, node.ErrReadOnly), errors.Is(err, node.ErrStandby):
		return "READONLY " + err.Error()
	case errors.Is(err, node.ErrDiskFull):
		return "MISCONF " + err.Error()
	case errors.Is(err, node.ErrArchiveStalled):
		return "ARCHIVEBEHIND " + err.Error()
	case errors.Is(err, node.ErrOverloaded), errors.Is(err, node.ErrStalled), errors.Is(err, node.ErrCoreDegraded),
		errors.Is(err, node.ErrRebuilding), errors.Is(err, node.ErrDeadline):
		return "TRYAGAIN " + err.Error()
	case errors.Is(err, node.ErrCrossVShard):
		return string(errCrossSlot)
	case errors.Is(err, node.ErrValueTooLarge):
		return string(errTooLong)
	case errors.Is(err, node.ErrClosed), errors.Is(err, context.Canceled):
		return "LOADING the server is shutting down"
	}
	return "ERR " + err.Error()
}
