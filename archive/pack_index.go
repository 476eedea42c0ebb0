package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/nodedb-go/nodedb/wal"
)

// A pack's index; see the package comment.
const (
	packVersion     = 1
	packHeadLen     = 16 // version, timeline, count, reserved
	packEntryLen    = 64
	packTrailerLen  = 16 // index bytes, CRC-32C, magic
	packMagic       = "ndbpack1"
	packSegmentsMax = 1 << 16
	packIndexMax    = packHeadLen + packSegmentsMax*packEntryLen + packTrailerLen
)

// packEntry is one segment in a pack.
type packEntry struct {
	Offset, Bytes int64 // in the pack's content
	First, Last   wal.LSN
	SHA256        [32]byte
	Epoch         wal.Epoch // at most 32 bits, as in names
}

func (e *packEntry) key(tl wal.Timeline) SegmentKey {
	return SegmentKey{Timeline: tl, First: e.First, Last: e.Last, Epoch: e.Epoch, SHA16: Short(e.SHA256)}
}

// packIndex lists the segments of a pack, by offset and LSN, without a hole in
// either.
type packIndex struct {
	Timeline wal.Timeline
	Entries  []packEntry
}

// content is where the segments end and the index begins.
func (x *packIndex) content() int64 {
	last := x.Entries[len(x.Entries)-1]
	return last.Offset + last.Bytes
}

// encode is the inverse of decodePackIndex.
func (x *packIndex) encode() []byte {
	b := make([]byte, 0, packHeadLen+len(x.Entries)*packEntryLen+packTrailerLen)
	b = binary.LittleEndian.AppendUint32(b, packVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(x.Timeline))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(x.Entries)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for i := range x.Entries {
		e := &x.Entries[i]
		b = binary.LittleEndian.AppendUint64(b, uint64(e.Bytes))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.First))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.Last))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.Epoch))
		b = append(b, e.SHA256[:]...)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)+packTrailerLen))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, packMagic...)
}

// packIndexLen reads the length of an index from its last packTrailerLen bytes.
func packIndexLen(trailer []byte) (int64, error) {
	if len(trailer) != packTrailerLen || string(trailer[8:]) != packMagic {
		return 0, errors.New("it does not end like a pack")
	}
	n := int64(binary.LittleEndian.Uint32(trailer))
	if n > packIndexMax || (n-packHeadLen-packTrailerLen)%packEntryLen != 0 || n <= packHeadLen+packTrailerLen {
		return 0, fmt.Errorf("its index has an impossible length of %d bytes", n)
	}
	return n, nil
}

// len is the length of the index, trailer included.
func (x *packIndex) len() int64 {
	return packHeadLen + int64(len(x.Entries))*packEntryLen + packTrailerLen
}

// decodePackIndex reads the whole index, trailer included. contentBytes is the
// length of everything before it in the content; below zero when nobody knows.
func decodePackIndex(b []byte, contentBytes int64) (*packIndex, error) {
	if len(b) < packTrailerLen {
		return nil, errors.New("it is too short for a pack")
	}
	body, trailer := b[:len(b)-packTrailerLen], b[len(b)-packTrailerLen:]
	if n, err := packIndexLen(trailer); err != nil || n != int64(len(b)) {
		return nil, errors.Join(err, fmt.Errorf("its index has %d bytes", len(b)))
	}
	if v := binary.LittleEndian.Uint32(body); v > packVersion {
		return nil, fmt.Errorf("%w: pack version %d, known up to %d", ErrVersion, v, packVersion)
	}
	if crc32.Checksum(b[:len(b)-packTrailerLen+4], castagnoli) != binary.LittleEndian.Uint32(trailer[4:]) {
		return nil, errors.New("its index has a wrong checksum")
	}
	count := int(binary.LittleEndian.Uint32(body[8:]))
	if binary.LittleEndian.Uint32(body) == 0 || binary.LittleEndian.Uint32(body[12:]) != 0 || count != (len(body)-packHeadLen)/packEntryLen {
		return nil, errors.New("its index has an impossible head")
	}
	x := &packIndex{Timeline: wal.Timeline(binary.LittleEndian.Uint32(body[4:])), Entries: make([]packEntry, count)}
	var at int64
	known := contentBytes >= 0
	if !known {
		contentBytes = math.MaxInt64
	}
	for i := range x.Entries {
		e, raw := &x.Entries[i], body[packHeadLen+i*packEntryLen:]
		e.Offset, e.Bytes = at, int64(binary.LittleEndian.Uint64(raw))
		e.First, e.Last = wal.LSN(binary.LittleEndian.Uint64(raw[8:])), wal.LSN(binary.LittleEndian.Uint64(raw[16:]))
		e.Epoch = wal.Epoch(binary.LittleEndian.Uint64(raw[24:]))
		copy(e.SHA256[:], raw[32:])
		if err := e.key(x.Timeline).valid(); err != nil {
			return nil, fmt.Errorf("segment %d of its index %w", i, err)
		}
		if e.Bytes <= 0 || e.Bytes > contentBytes-at || i > 0 && e.First != x.Entries[i-1].Last+1 {
			return nil, fmt.Errorf("segment %d of its index has %d bytes and begins at LSN %d", i, e.Bytes, e.First)
		}
		at += e.Bytes
	}
	if known && at != contentBytes {
		return nil, fmt.Errorf("its index accounts for %d of %d bytes", at, contentBytes)
	}
	return x, nil
}
