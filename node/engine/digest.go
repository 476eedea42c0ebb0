package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// Digest is the sum modulo 2^256 of the SHA-256 of every live entry. It does not
// depend on the order of entries or on how they are spread over vshards, so two
// nodes hold the same data exactly if their digests are equal.
//
// The zero Digest is that of an empty node. A Digest is for one goroutine; merge
// those of several.
type Digest struct {
	sum     [4]uint64 // little-endian words
	entries uint64
}

// AddEntry adds one entry. The bytes must encode the entry without ambiguity and
// start with something that tells the engine, so that no two engines can cancel
// or imitate each other's entries.
func (d *Digest) AddEntry(entry []byte) {
	h := sha256.Sum256(entry)
	d.add([4]uint64{
		binary.LittleEndian.Uint64(h[0:]),
		binary.LittleEndian.Uint64(h[8:]),
		binary.LittleEndian.Uint64(h[16:]),
		binary.LittleEndian.Uint64(h[24:]),
	})
	d.entries++
}

// Merge adds all entries of o.
func (d *Digest) Merge(o *Digest) {
	d.add(o.sum)
	d.entries += o.entries
}

func (d *Digest) add(w [4]uint64) {
	var c uint64
	d.sum[0], c = bits.Add64(d.sum[0], w[0], 0)
	d.sum[1], c = bits.Add64(d.sum[1], w[1], c)
	d.sum[2], c = bits.Add64(d.sum[2], w[2], c)
	d.sum[3], _ = bits.Add64(d.sum[3], w[3], c)
}

// Sum returns the 32 bytes of the sum, least significant first.
func (d *Digest) Sum() [32]byte {
	var s [32]byte
	for i, w := range d.sum {
		binary.LittleEndian.PutUint64(s[8*i:], w)
	}
	return s
}

// Entries returns how many entries were added.
func (d *Digest) Entries() uint64 { return d.entries }

// String returns Sum as 64 hex digits.
func (d *Digest) String() string {
	s := d.Sum()
	return hex.EncodeToString(s[:])
}
