package wal

import (
	"fmt"
	"iter"
)

// Batch encodes records that wait for their LSN. The zero value is ready. It
// belongs to one goroutine and is meant to be reused: Reset keeps its memory.
//
// A batch that is appended is all-or-nothing: recovery finds all of its records
// or none.
type Batch struct {
	buf        []byte
	ends       []int // end offset of each record in buf
	points     []int // indexes of restore points
	payloadMax int   // largest payload so far
	open       int   // offset of the record that Begin opened, plus one; 0: none
	openType   Type
	openIdem   int
}

// Reset empties the batch. Records handed out before are no longer valid.
func (b *Batch) Reset() {
	b.buf, b.ends, b.points = b.buf[:0], b.ends[:0], b.points[:0]
	b.payloadMax, b.open = 0, 0
}

// Add appends one record. Errors: ErrPayloadTooLarge, ErrIdemTooLong,
// ErrBatchTooLarge; the batch is then as before.
func (b *Batch) Add(typ Type, tenant uint32, vshard uint16, idem, payload []byte) error {
	if len(payload) > PayloadBytesMax {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrPayloadTooLarge, len(payload), PayloadBytesMax)
	}
	return b.End(append(b.Begin(typ, tenant, vshard, idem), payload...))
}

// Begin opens a record and returns the slice to append its payload to; what the
// slice already holds must not be touched. [Batch.End] takes the grown slice. A
// second Begin before End abandons the first.
func (b *Batch) Begin(typ Type, tenant uint32, vshard uint16, idem []byte) []byte {
	at := len(b.buf)
	b.open, b.openType, b.openIdem = at+1, typ, len(idem)
	var header [recordHeaderLen]byte
	putRecordHeader(header[:], typ, tenant, vshard, len(idem))
	buf := append(b.buf, header[:]...)
	if len(idem) <= IdemBytesMax {
		buf = append(buf, idem...)
	}
	return buf
}

// End closes the record that Begin opened. Errors as for Add; the batch is then
// as before Begin, and keeps the memory of buf.
func (b *Batch) End(buf []byte) error {
	if b.open == 0 {
		panic("wal: Batch.End without Begin")
	}
	at := b.open - 1
	b.open = 0
	b.buf = buf[:at]
	if b.openIdem > IdemBytesMax {
		return fmt.Errorf("%w: %d bytes", ErrIdemTooLong, b.openIdem)
	}
	payload := len(buf) - at - recordHeaderLen - b.openIdem
	if payload < 0 {
		panic("wal: Batch.End with a slice that Begin did not return")
	}
	if payload > PayloadBytesMax {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrPayloadTooLarge, payload, PayloadBytesMax)
	}
	if len(buf) > BatchBytesMax {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrBatchTooLarge, len(buf), BatchBytesMax)
	}
	b.buf = buf
	patchPayloadLen(buf[at:], payload)
	if b.openType == TypeRestorePoint {
		b.points = append(b.points, len(b.ends))
	}
	b.ends = append(b.ends, len(buf))
	b.payloadMax = max(b.payloadMax, payload)
	return nil
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.ends) }

// Size returns the encoded size in bytes.
func (b *Batch) Size() int { return len(b.buf) }

// Rewind drops all records but the first n. It panics when there are fewer.
func (b *Batch) Rewind(n int) {
	if n < 0 || n > len(b.ends) {
		panic(fmt.Sprintf("wal: Batch.Rewind(%d) of %d records", n, len(b.ends)))
	}
	b.open = 0
	b.buf = b.buf[:b.start(n)]
	b.ends = b.ends[:n]
	for len(b.points) > 0 && b.points[len(b.points)-1] >= n {
		b.points = b.points[:len(b.points)-1]
	}
	if n == 0 {
		b.payloadMax = 0
	}
}

// Record returns record i. After the append it has its LSN and time. Idem and
// Payload alias the batch and are valid until Reset, Rewind or the next Begin.
func (b *Batch) Record(i int) Record {
	rec, _, reason := decodeRecord(b.buf[b.start(i):b.ends[i]])
	if reason != "" {
		panic("wal: batch buffer was overwritten: " + reason)
	}
	return rec
}

// All yields the records in order, as [Batch.Record] returns them.
func (b *Batch) All() iter.Seq2[int, Record] {
	return func(yield func(int, Record) bool) {
		for i := range b.ends {
			if !yield(i, b.Record(i)) {
				return
			}
		}
	}
}

func (b *Batch) start(i int) int {
	if i == 0 {
		return 0
	}
	return b.ends[i-1]
}

// patch gives the records their positions.
func (b *Batch) patch(first LSN, timeMicros int64) {
	at := 0
	for i, end := range b.ends {
		patchPosition(b.buf[at:], first+LSN(i), timeMicros)
		at = end
	}
}
