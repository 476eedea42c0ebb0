package wal

import (
	"encoding/binary"
	"strconv"
)

// Type says what a record's payload means. The WAL itself gives meaning to the
// control types below only; ranges above belong to engines.
type Type uint16

// RequiredBit marks a type that a reader must know: a reader that does not
// stops with an [*UnknownTypeError]. A type without the bit may be skipped.
const RequiredBit Type = 0x8000

// Control types. They change no state, so none of them is required.
const (
	TypeNoop         Type = 1 // no payload
	TypeCheckpoint   Type = 2 // payload: Checkpoint
	TypeRestorePoint Type = 3 // payload: RestorePoint
	TypeDigest       Type = 4 // payload: Digest
	TypeOpen         Type = 5 // payload: Opened
)

// Required reports whether a reader that does not know the type must stop.
func (t Type) Required() bool { return t&RequiredBit != 0 }

// String names a control type; any other is a number, with "!" when required.
func (t Type) String() string {
	switch t {
	case TypeNoop:
		return "noop"
	case TypeCheckpoint:
		return "checkpoint"
	case TypeRestorePoint:
		return "restore-point"
	case TypeDigest:
		return "digest"
	case TypeOpen:
		return "open"
	}
	s := strconv.FormatUint(uint64(t&^RequiredBit), 10)
	if t.Required() {
		s += "!"
	}
	return s
}

// VShardNone is the vshard of records that belong to the node itself.
const VShardNone uint16 = 0xFFFF

// Limits of one record and one batch, in bytes.
const (
	PayloadBytesMax = 16 << 20 // of one record's payload; Options may lower it
	IdemBytesMax    = 255      // of one idempotency key
	BatchBytesMax   = 32 << 20 // of one Batch, headers included
)

// Record is one logical change.
type Record struct {
	LSN     LSN
	Time    int64 // µs since the Unix epoch; never goes back within a WAL
	Type    Type
	Tenant  uint32
	VShard  uint16
	Idem    []byte // idempotency key, may be empty
	Payload []byte
}

// recordHeaderLen is the size of the fixed part of a record; see the drawing
// in the package documentation.
const recordHeaderLen = 32

// EncodedLen returns the bytes that the record takes in a segment, without its
// share of the frame.
func (r *Record) EncodedLen() int { return recordHeaderLen + len(r.Idem) + len(r.Payload) }

func putRecordHeader(h []byte, typ Type, tenant uint32, vshard uint16, idemLen int) {
	_ = h[recordHeaderLen-1]
	clear(h[:20])
	binary.LittleEndian.PutUint32(h[20:], tenant)
	binary.LittleEndian.PutUint16(h[24:], uint16(typ))
	binary.LittleEndian.PutUint16(h[26:], vshard)
	h[28] = byte(idemLen)
	h[29], h[30], h[31] = 0, 0, 0
}

func patchPayloadLen(h []byte, n int) { binary.LittleEndian.PutUint32(h[16:], uint32(n)) }

func patchPosition(h []byte, lsn LSN, timeMicros int64) {
	_ = h[15]
	binary.LittleEndian.PutUint64(h[0:], uint64(lsn))
	binary.LittleEndian.PutUint64(h[8:], uint64(timeMicros))
}

// decodeRecord reads the record at the head of body and returns its length.
// The record's slices alias body. A non-empty reason means damage.
func decodeRecord(body []byte) (rec Record, n int, reason string) {
	if len(body) < recordHeaderLen {
		return Record{}, 0, "record header cut off"
	}
	payloadLen := int64(binary.LittleEndian.Uint32(body[16:]))
	idemLen := int64(body[28])
	if payloadLen > PayloadBytesMax {
		return Record{}, 0, "record payload length above the limit"
	}
	if recordHeaderLen+idemLen+payloadLen > int64(len(body)) {
		return Record{}, 0, "record length beyond its frame"
	}
	if body[29]|body[30]|body[31] != 0 {
		return Record{}, 0, "reserved bytes of record header not zero"
	}
	idemEnd := recordHeaderLen + int(idemLen)
	n = idemEnd + int(payloadLen)
	rec = Record{
		LSN:     LSN(binary.LittleEndian.Uint64(body[0:])),
		Time:    int64(binary.LittleEndian.Uint64(body[8:])),
		Tenant:  binary.LittleEndian.Uint32(body[20:]),
		Type:    Type(binary.LittleEndian.Uint16(body[24:])),
		VShard:  binary.LittleEndian.Uint16(body[26:]),
		Payload: body[idemEnd:n:n],
	}
	if idemLen > 0 {
		rec.Idem = body[recordHeaderLen:idemEnd:idemEnd]
	}
	return rec, n, ""
}
