package resp

import (
	"errors"

	"github.com/nodedb-go/nodedb/node"
)

// kind is the type of a value.
type kind byte

const (
	kindString kind = iota
	kindHash
	kindSet
	kindSorted
	kindList
)

// String is the answer to TYPE.
func (k kind) String() string {
	return [...]string{"string", "hash", "set", "zset", "list"}[k]
}

// markLen is the length of a mark: three bytes that text does not begin with, and
// the kind.
const markLen = 4

func appendMark(dst []byte, k kind) []byte { return append(dst, 0xf5, 'n', 'd', byte(k)) }

// split takes a stored value apart. A mark of a kind that is not known is part of a
// string that somebody else wrote.
func split(stored []byte) (kind, []byte) {
	if len(stored) >= markLen && stored[0] == 0xf5 && stored[1] == 'n' && stored[2] == 'd' && stored[3] <= byte(kindList) {
		return kind(stored[3]), stored[markLen:]
	}
	return kindString, stored
}

// appendString is a string as it is stored.
func appendString(dst, s []byte) []byte {
	if k, rest := split(s); k != kindString || len(rest) != len(s) {
		dst = appendMark(dst, kindString)
	}
	return append(dst, s...)
}

// stored is s, or s with an escape.
func stored(s []byte) []byte {
	if len(s) < markLen || s[0] != 0xf5 {
		return s
	}
	return appendString(nil, s)
}

// view is what a command reads and writes: the keys of one vshard in an update, or
// all applied keys for a read.
type view interface {
	Get(key []byte) (node.Entry, error)
	PutMillis(key, value []byte, expireAt int64) error
	Delete(key []byte) error
}

// item is the value of a key for one command.
type item struct {
	exists   bool
	kind     kind
	data     []byte // without its mark
	expireAt int64  // ms since 1970; 0: never
}

func load(v view, key []byte) (item, error) {
	e, err := v.Get(key)
	if errors.Is(err, node.ErrNotFound) {
		return item{}, nil
	}
	if err != nil {
		return item{}, err
	}
	k, data := split(e.Value)
	return item{true, k, data, e.ExpireAt}, nil
}

// loadAs is load for a key that must be absent or of kind k.
func loadAs(v view, key []byte, k kind) (item, error) {
	it, err := load(v, key)
	if err == nil && it.exists && it.kind != k {
		err = errWrongType
	}
	return it, err
}

// putString sets a key to a string.
func putString(v view, key, s []byte, expireAt int64) error {
	return v.PutMillis(key, stored(s), expireAt)
}
