package wal

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	frameHeaderLen  = 40
	frameHeaderCRC  = 36 // offset of the header's own checksum
	frameMagic      = 0x4D46444E
	frameBodyMax    = BatchBytesMax
	frameAlignment  = 8
	frameBodyTarget = 256 << 10 // a frame that is larger takes no further batch
)

type frameKind uint16

const (
	kindBatch frameKind = 1
	kindSeal  frameKind = 2
)

// frameHeader is the decoded head of a frame.
type frameHeader struct {
	kind    frameKind
	bodyLen int // without padding
	count   uint32
	first   LSN // of the first record; for a seal the LSN after the last record
	durable LSN // durable end of the log when the frame was written
	bodyCRC uint32
}

// last returns the last LSN of a batch frame.
func (h *frameHeader) last() LSN { return h.first + LSN(h.count) - 1 }

// size returns the length of the whole frame in the file.
func (h *frameHeader) size() int64 { return frameHeaderLen + int64(paddedLen(h.bodyLen)) }

func paddedLen(n int) int { return (n + frameAlignment - 1) &^ (frameAlignment - 1) }

// sealer computes the checksums of one segment. The salt makes frames of
// another segment in the same (recycled) file invalid, and the first LSN does so
// should a salt ever repeat; the offset makes a copy of a frame elsewhere, say
// inside a record's payload, invalid.
type sealer struct{ seed uint32 }

func newSealer(salt uint64, first LSN) sealer {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	binary.LittleEndian.PutUint64(b[8:], uint64(first))
	return sealer{crc32.Update(0, castagnoli, b[:])}
}

func (s sealer) header(h []byte, offset int64) uint32 {
	var b [8 + frameHeaderCRC]byte
	binary.LittleEndian.PutUint64(b[:], uint64(offset))
	copy(b[8:], h[:frameHeaderCRC])
	return crc32.Update(s.seed, castagnoli, b[:])
}

func (s sealer) body(padded []byte) uint32 { return crc32.Update(s.seed, castagnoli, padded) }

// sealFrame writes the header of a complete frame: frame[:frameHeaderLen] is
// free, then comes the body of h.bodyLen bytes, then zero padding.
func (s sealer) sealFrame(frame []byte, h frameHeader, offset int64) {
	b := frame[:frameHeaderLen]
	binary.LittleEndian.PutUint32(b[0:], frameMagic)
	binary.LittleEndian.PutUint16(b[4:], uint16(h.kind))
	binary.LittleEndian.PutUint16(b[6:], 0)
	binary.LittleEndian.PutUint32(b[8:], uint32(h.bodyLen))
	binary.LittleEndian.PutUint32(b[12:], h.count)
	binary.LittleEndian.PutUint64(b[16:], uint64(h.first))
	binary.LittleEndian.PutUint64(b[24:], uint64(h.durable))
	binary.LittleEndian.PutUint32(b[32:], s.body(frame[frameHeaderLen:h.size()]))
	binary.LittleEndian.PutUint32(b[frameHeaderCRC:], s.header(b, offset))
}

// Outcomes of decoding a frame header. A header whose checksum holds and whose
// kind or flags are unknown was written by a newer program.
const (
	headerValid = iota
	headerDamaged
	headerNewer
)

// openHeader decodes the frame header at the given offset of the segment. The
// reason is for people.
func (s sealer) openHeader(b []byte, offset int64) (h frameHeader, verdict int, reason string) {
	if binary.LittleEndian.Uint32(b) != frameMagic {
		return h, headerDamaged, "no frame begins here"
	}
	if s.header(b, offset) != binary.LittleEndian.Uint32(b[frameHeaderCRC:]) {
		return h, headerDamaged, "frame header checksum differs"
	}
	bodyLen := binary.LittleEndian.Uint32(b[8:])
	h = frameHeader{
		kind:    frameKind(binary.LittleEndian.Uint16(b[4:])),
		bodyLen: int(bodyLen),
		count:   binary.LittleEndian.Uint32(b[12:]),
		first:   LSN(binary.LittleEndian.Uint64(b[16:])),
		durable: LSN(binary.LittleEndian.Uint64(b[24:])),
		bodyCRC: binary.LittleEndian.Uint32(b[32:]),
	}
	if flags := binary.LittleEndian.Uint16(b[6:]); flags != 0 || (h.kind != kindBatch && h.kind != kindSeal) {
		return h, headerNewer, "frame kind or flags"
	}
	if bodyLen == 0 || bodyLen > frameBodyMax {
		return h, headerDamaged, "frame length out of bounds"
	}
	if h.kind == kindBatch && (h.count == 0 || uint64(h.count) > uint64(bodyLen)/recordHeaderLen) {
		return h, headerDamaged, "frame count does not fit its length"
	}
	if h.first == 0 || h.durable >= h.first {
		return h, headerDamaged, "frame positions contradict each other"
	}
	return h, headerValid, ""
}
