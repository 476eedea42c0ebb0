package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// PreambleLen is the length of every segment's head, in bytes.
const PreambleLen = 256

// formatVersion is the version that this program writes and the newest that it
// reads.
const formatVersion = 1

// segmentMagic begins every segment. Its bytes show a transfer in text mode and
// a cut at the eighth bit.
var segmentMagic = [8]byte{0x89, 'N', 'D', 'B', '\r', '\n', 0x1A, '\n'}

const preambleCRCAt = PreambleLen - 4

// Preamble is the head of a segment.
type Preamble struct {
	NodeID    string
	Timeline  Timeline
	Epoch     Epoch
	First     LSN
	Created   int64    // µs since the Unix epoch
	TimeFloor int64    // µs since the Unix epoch; no record in the segment is older
	Salt      uint64   // random, enters every checksum of the segment
	Prev      [32]byte // SHA-256 of the previous segment; zero for the first of a log
	Gap       LSN      // LSNs from here to First-1 were lost and given up by Salvage; 0: none
}

// encode writes the preamble into b, which has PreambleLen bytes.
func (p *Preamble) encode(b []byte) {
	_ = b[PreambleLen-1]
	clear(b[:PreambleLen])
	copy(b, segmentMagic[:])
	binary.LittleEndian.PutUint16(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], PreambleLen)
	binary.LittleEndian.PutUint32(b[16:], uint32(p.Timeline))
	b[20] = byte(len(p.NodeID))
	binary.LittleEndian.PutUint64(b[24:], uint64(p.Epoch))
	binary.LittleEndian.PutUint64(b[32:], uint64(p.First))
	binary.LittleEndian.PutUint64(b[40:], uint64(p.Created))
	binary.LittleEndian.PutUint64(b[48:], uint64(p.TimeFloor))
	binary.LittleEndian.PutUint64(b[56:], p.Salt)
	copy(b[64:96], p.Prev[:])
	copy(b[96:160], p.NodeID)
	binary.LittleEndian.PutUint64(b[160:], uint64(p.Gap))
	binary.LittleEndian.PutUint32(b[preambleCRCAt:], crc32.Checksum(b[:preambleCRCAt], castagnoli))
}

// DecodePreamble decodes the first PreambleLen bytes of a segment. The name is
// for errors: *MagicError, *VersionError, *CorruptError, looked for in that
// order, so that a file of a newer version is never called damaged.
func DecodePreamble(b []byte, name string) (Preamble, error) {
	first := firstOfPath(name)
	if len(b) < len(segmentMagic) || !bytes.Equal(b[:len(segmentMagic)], segmentMagic[:]) {
		return Preamble{}, &MagicError{Path: name, FirstLSN: first}
	}
	damaged := func(at int64, reason string) (Preamble, error) {
		return Preamble{}, &CorruptError{Path: name, Offset: at, FirstLSN: first, Reason: reason}
	}
	if len(b) < PreambleLen {
		return damaged(int64(len(b)), "preamble cut off")
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v > formatVersion {
		return Preamble{}, &VersionError{Path: name, Offset: 8, FirstLSN: first, What: fmt.Sprintf("version %d", v)}
	}
	if crc32.Checksum(b[:preambleCRCAt], castagnoli) != binary.LittleEndian.Uint32(b[preambleCRCAt:]) {
		return damaged(0, "preamble checksum differs")
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v == 0 {
		return damaged(8, "format version zero")
	}
	if f := binary.LittleEndian.Uint16(b[10:]); f != 0 {
		return Preamble{}, &VersionError{Path: name, Offset: 10, FirstLSN: first, What: fmt.Sprintf("preamble flags %#x", f)}
	}
	if n := binary.LittleEndian.Uint32(b[12:]); n != PreambleLen {
		return damaged(12, "preamble length differs")
	}
	return decodePreambleFields(b, name, damaged)
}

func decodePreambleFields(b []byte, name string, damaged func(int64, string) (Preamble, error)) (Preamble, error) {
	idLen := int(b[20])
	if idLen > NodeIDBytesMax {
		return damaged(20, "node id length above the limit")
	}
	p := Preamble{
		NodeID:    string(b[96 : 96+idLen]),
		Timeline:  Timeline(binary.LittleEndian.Uint32(b[16:])),
		Epoch:     Epoch(binary.LittleEndian.Uint64(b[24:])),
		First:     LSN(binary.LittleEndian.Uint64(b[32:])),
		Created:   int64(binary.LittleEndian.Uint64(b[40:])),
		TimeFloor: int64(binary.LittleEndian.Uint64(b[48:])),
		Salt:      binary.LittleEndian.Uint64(b[56:]),
		Prev:      [32]byte(b[64:96]),
		Gap:       LSN(binary.LittleEndian.Uint64(b[160:])),
	}
	if p.First == 0 {
		return damaged(32, "first LSN zero")
	}
	if p.Gap >= p.First {
		return damaged(160, "gap does not end before the first LSN")
	}
	if first := firstOfPath(name); first != 0 && first != p.First {
		return damaged(32, fmt.Sprintf("first LSN %d differs from the file's name", p.First))
	}
	return p, nil
}

// firstOfPath returns the first LSN that the last element of a path names, or 0.
func firstOfPath(path string) LSN {
	if i := bytes.LastIndexAny([]byte(path), `/\`); i >= 0 {
		path = path[i+1:]
	}
	first, _ := ParseSegmentName(path)
	return first
}
