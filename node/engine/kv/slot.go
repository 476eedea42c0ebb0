package kv

import (
	"bytes"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Slot returns the 64-bit hash that places a key: xxHash64 with seed 0 of the
// key, or, if the key holds a '{' with a later '}' and something between the two,
// of what stands between the first '{' and the first '}' after it. Keys with the
// same {tag} are therefore always in one vshard, and a batch may hold them all.
//
// It is part of the format: it never changes.
func Slot(key []byte) uint64 { return xxhash.Sum64(tag(key)) }

// VShardOf returns the vshard, below n, of a key: the high word of Slot × n, which
// splits the hash into n equal ranges. n is 1 to 65535.
func VShardOf(key []byte, n int) uint16 {
	hi, _ := bits.Mul64(Slot(key), uint64(n))
	return uint16(hi)
}

func tag(key []byte) []byte {
	open := bytes.IndexByte(key, '{')
	if open < 0 {
		return key
	}
	length := bytes.IndexByte(key[open+1:], '}')
	if length <= 0 {
		return key
	}
	return key[open+1 : open+1+length]
}
