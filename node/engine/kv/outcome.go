package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// Outcome is what a request with an idempotency key was answered.
type Outcome struct {
	LSN        wal.LSN // of the record of the request
	TimeMicros int64   // of that record
	Type       wal.Type
	Op         Op
	Result     []byte
}

// outcome: lsn u64 | time i64 | type u16 | op u8 | result
const outcomePrefixLen = 8 + 8 + 2 + 1

func putOutcome(dst []byte, r *wal.Record, op Op, result []byte) {
	binary.LittleEndian.PutUint64(dst, uint64(r.LSN))
	binary.LittleEndian.PutUint64(dst[8:], uint64(r.Time))
	binary.LittleEndian.PutUint16(dst[16:], uint16(r.Type))
	dst[18] = byte(op)
	copy(dst[outcomePrefixLen:], result)
}

// FindOutcome looks up what a request was answered. Result is a copy. It says
// false when the request is unknown: never made, or purged since.
func FindOutcome(r engine.Reader, tenant uint32, idem []byte) (Outcome, bool, error) {
	buf := keyBuffers.Get().(*keyBuffer)
	defer keyBuffers.Put(buf)
	buf.b = appendEntryKey(buf.b[:0], spaceOutcome, tenant, idem)
	v, closer, err := r.Get(buf.b)
	if errors.Is(err, engine.ErrNotFound) {
		return Outcome{}, false, nil
	}
	if err != nil {
		return Outcome{}, false, err
	}
	defer closer.Close()
	if len(v) < outcomePrefixLen {
		return Outcome{}, false, malformed(fmt.Sprintf("outcome of %d bytes", len(v)))
	}
	return Outcome{
		LSN:        wal.LSN(binary.LittleEndian.Uint64(v)),
		TimeMicros: int64(binary.LittleEndian.Uint64(v[8:])),
		Type:       wal.Type(binary.LittleEndian.Uint16(v[16:])),
		Op:         Op(v[18]),
		Result:     bytes.Clone(v[outcomePrefixLen:]),
	}, true, nil
}

// OldestOutcome returns the time, µs since the epoch, of the oldest outcome that
// is kept; false when there is none.
func OldestOutcome(r engine.Reader) (int64, bool, error) {
	it, err := r.NewIter([]byte{spaceOutcomes}, []byte{spaceOutcomes + 1})
	if err != nil {
		return 0, false, err
	}
	var at int64
	found := it.First()
	if found {
		at, _, _, err = splitIndexKey(it.Key())
	}
	return at, found, errors.Join(err, it.Err(), it.Close())
}
