package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// run is what a replay collects in memory before it becomes a table: operations
// in the order of the log, their keys and values in one arena. It takes the place
// of a memtable, for which a replay has no use: nobody reads it, so it is cheaper
// to sort once than to keep sorted.
type run struct {
	arena []byte
	ops   []runOp
	match []func([]byte) bool // of the deleteIf operations, in order
	order []sortKey           // scratch of sort
}

type runOp struct {
	off    uint32
	keyLen uint32
	valLen uint32 // of opSet; index into match of opDeleteIf
	kind   opKind
}

type opKind uint8

const (
	opSet opKind = iota + 1
	opDelete
	opDeleteIf
)

// opOverhead is what an operation costs beside its key and value.
const opOverhead = 16 + 24

func (r *run) reset() {
	r.arena, r.ops = r.arena[:0], r.ops[:0]
	clear(r.match)
	r.match = r.match[:0]
}

// bytes is the memory that the run uses.
func (r *run) bytes() int { return len(r.arena) + opOverhead*len(r.ops) }

func (r *run) alloc(n int) (off uint32, b []byte) {
	at := len(r.arena)
	r.arena = slices.Grow(r.arena, n)[:at+n]
	return uint32(at), r.arena[at : at+n : at+n]
}

func (r *run) set(keyLen, valLen int) (key, value []byte) {
	off, b := r.alloc(keyLen + valLen)
	r.ops = append(r.ops, runOp{off: off, keyLen: uint32(keyLen), valLen: uint32(valLen), kind: opSet})
	return b[:keyLen:keyLen], b[keyLen:]
}

func (r *run) delete(keyLen int) []byte {
	off, b := r.alloc(keyLen)
	r.ops = append(r.ops, runOp{off: off, keyLen: uint32(keyLen), kind: opDelete})
	return b
}

func (r *run) deleteIf(key []byte, match func([]byte) bool) {
	off, b := r.alloc(len(key))
	copy(b, key)
	r.ops = append(r.ops, runOp{off: off, keyLen: uint32(len(key)), valLen: uint32(len(r.match)), kind: opDeleteIf})
	r.match = append(r.match, match)
}

func (r *run) key(op *runOp) []byte { return r.arena[op.off : op.off+op.keyLen] }

func (r *run) value(op *runOp) []byte {
	return r.arena[op.off+op.keyLen : op.off+op.keyLen+op.valLen]
}

// sortKey is 16 bytes of a key, enough to decide nearly all comparisons without
// touching the arena, and the operation that it belongs to.
type sortKey struct {
	hi, lo uint64
	i      uint32
}

// sorted returns the operations ordered by key, those of one key in log order.
func (r *run) sorted() []sortKey {
	r.order = slices.Grow(r.order[:0], len(r.ops))[:len(r.ops)]
	skip := r.commonPrefix()
	for i := range r.ops {
		hi, lo := keyWords(r.key(&r.ops[i]), skip)
		r.order[i] = sortKey{hi: hi, lo: lo, i: uint32(i)}
	}
	slices.SortFunc(r.order, func(a, b sortKey) int {
		if a.hi != b.hi {
			return cmp.Compare(a.hi, b.hi)
		}
		if a.lo != b.lo {
			return cmp.Compare(a.lo, b.lo)
		}
		if c := bytes.Compare(r.key(&r.ops[a.i]), r.key(&r.ops[b.i])); c != 0 {
			return c
		}
		return cmp.Compare(a.i, b.i)
	})
	return r.order
}

// commonPrefix is the length of what all keys start with.
func (r *run) commonPrefix() int {
	if len(r.ops) == 0 {
		return 0
	}
	first := r.key(&r.ops[0])
	n := len(first)
	for i := range r.ops {
		k := r.key(&r.ops[i])
		n = min(n, len(k))
		if n >= 8 && binary.LittleEndian.Uint64(k) == binary.LittleEndian.Uint64(first) {
			n = 8 + shared(k[8:n], first[8:n])
			continue
		}
		n = shared(k[:n], first[:n])
	}
	return n
}

func shared(a, b []byte) int {
	n := 0
	for len(a)-n >= 8 && len(b)-n >= 8 {
		x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:])
		if x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// keyWords returns the 16 bytes of key after skip, padded with zeros. The order
// of the words is that of the keys, except that they may be equal for keys that
// are not.
func keyWords(key []byte, skip int) (hi, lo uint64) {
	k := key[skip:]
	if len(k) >= 16 {
		return binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(k[8:])
	}
	var pad [16]byte
	copy(pad[:], k)
	return binary.BigEndian.Uint64(pad[:]), binary.BigEndian.Uint64(pad[8:])
}
