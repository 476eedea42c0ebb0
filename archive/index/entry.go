package index

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/nodedb-go/nodedb/wal"
)

// Decode tells what a record does to keys, in the order in which it does it, as
// the engine that wrote it knows. Its error ends the index: a record that is not
// understood would be missing for ever. The slices may be the record's.
type Decode func(r *wal.Record, emit func(tenant uint32, op string, key, value []byte, expireAt int64) error) error

// entry is one row before it is written. Keys are in blocks of their own, so
// that the collector has few things to follow.
type entry struct {
	key      []byte
	lsn      wal.LSN
	time     int64
	offset   int64
	size     int64
	expireAt int64
	tenant   uint32
	part     int32
	vshard   uint16
	typ      wal.Type
	op       uint8 // in ops
	hashed   bool
	sum      [sha256.Size]byte
}

const (
	entriesPerPiece = 8 << 10
	keyBlockBytes   = 1 << 20
)

// collector gathers the rows of one segment. Memory grows with their number,
// not with the values.
type collector struct {
	pieces [][]entry
	rows   int
	block  []byte // free room for keys

	ops []string // those that there are

	first  []byte // the first key
	shared int    // length of what all keys begin with

	// Of the record that is decoded now.
	rec    *wal.Record
	offset int64
	part   int32
}

// add is called by a Decode.
func (c *collector) add(tenant uint32, op string, key, value []byte, expireAt int64) error {
	if c.rows == math.MaxInt32 || len(c.ops) == math.MaxUint8 {
		return fmt.Errorf("more than %d changes, or %d kinds of them", math.MaxInt32, math.MaxUint8)
	}
	if last := len(c.pieces) - 1; last < 0 || len(c.pieces[last]) == entriesPerPiece {
		c.pieces = append(c.pieces, make([]entry, 0, entriesPerPiece))
	}
	piece := &c.pieces[len(c.pieces)-1]
	e := entry{
		key: c.keep(key), op: c.opOf(op), lsn: c.rec.LSN, time: c.rec.Time, offset: c.offset,
		size: int64(len(value)), expireAt: expireAt, tenant: tenant, part: c.part,
		vshard: c.rec.VShard, typ: c.rec.Type, hashed: op == OpPut,
	}
	if e.hashed {
		e.sum = sha256.Sum256(value)
	}
	*piece = append(*piece, e)
	c.rows++
	c.part++
	return nil
}

// opOf numbers the few names of operations.
func (c *collector) opOf(op string) uint8 {
	for i, known := range c.ops {
		if known == op {
			return uint8(i)
		}
	}
	c.ops = append(c.ops, op)
	return uint8(len(c.ops) - 1)
}

func (c *collector) keep(key []byte) []byte {
	if len(key) > cap(c.block)-len(c.block) {
		c.block = make([]byte, 0, max(keyBlockBytes, len(key)))
	}
	at := len(c.block)
	c.block = append(c.block, key...)
	own := c.block[at:len(c.block):len(c.block)]
	if c.rows == 0 {
		c.first, c.shared = own, len(own)
	} else if !bytes.HasPrefix(own, c.first[:c.shared]) {
		n := 0
		for n < c.shared && n < len(own) && own[n] == c.first[n] {
			n++
		}
		c.shared = n
	}
	return own
}

func (c *collector) at(i int32) *entry { return &c.pieces[i/entriesPerPiece][i%entriesPerPiece] }
