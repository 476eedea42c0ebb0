package kv

import (
	"encoding/binary"
	"fmt"
)

// First bytes of stored keys; see the package comment.
const (
	spaceEntry    = 0x10
	spaceDue      = 0x11
	spaceOutcome  = 0x12
	spaceOutcomes = 0x13 // by age

	entryPrefixLen = 1 + 4     // of an entry's or an outcome's key
	indexPrefixLen = 1 + 8 + 4 // of an index key
)

func appendEntryKey(dst []byte, space byte, tenant uint32, key []byte) []byte {
	dst = append(dst, space)
	dst = binary.BigEndian.AppendUint32(dst, tenant)
	return append(dst, key...)
}

// putEntryKey fills a slice of exactly entryPrefixLen+len(key) bytes.
func putEntryKey(dst []byte, space byte, tenant uint32, key []byte) {
	dst[0] = space
	binary.BigEndian.PutUint32(dst[1:], tenant)
	copy(dst[entryPrefixLen:], key)
}

func appendIndexKey(dst []byte, space byte, at int64, tenant uint32, key []byte) []byte {
	dst = append(dst, space)
	dst = binary.BigEndian.AppendUint64(dst, uint64(at))
	dst = binary.BigEndian.AppendUint32(dst, tenant)
	return append(dst, key...)
}

func putIndexKey(dst []byte, space byte, at int64, tenant uint32, key []byte) {
	dst[0] = space
	binary.BigEndian.PutUint64(dst[1:], uint64(at))
	binary.BigEndian.PutUint32(dst[9:], tenant)
	copy(dst[indexPrefixLen:], key)
}

func splitIndexKey(k []byte) (at int64, tenant uint32, key []byte, err error) {
	if len(k) < indexPrefixLen {
		return 0, 0, nil, malformed(fmt.Sprintf("index key of %d bytes", len(k)))
	}
	return int64(binary.BigEndian.Uint64(k[1:])), binary.BigEndian.Uint32(k[9:]), k[indexPrefixLen:], nil
}

// dueMillis rounds an expiry up to the second in which it is looked for.
func dueMillis(expireAt int64) int64 {
	const second = 1000
	if expireAt > 1<<62 {
		return expireAt
	}
	return (expireAt + second - 1) / second * second
}

// Stored values: flags u8 | lsn u64 | [expiry i64] | value.
const (
	valuePrefixLen       = 1 + 8
	valuePrefixExpiryLen = valuePrefixLen + 8
)

func valueLen(expireAt int64, value []byte) int {
	if expireAt != 0 {
		return valuePrefixExpiryLen + len(value)
	}
	return valuePrefixLen + len(value)
}

func putValue(dst []byte, lsn uint64, expireAt int64, value []byte) {
	binary.LittleEndian.PutUint64(dst[1:], lsn)
	if expireAt == 0 {
		dst[0] = 0
		copy(dst[valuePrefixLen:], value)
		return
	}
	dst[0] = flagExpiry
	binary.LittleEndian.PutUint64(dst[valuePrefixLen:], uint64(expireAt))
	copy(dst[valuePrefixExpiryLen:], value)
}

// splitValue takes a stored value apart; value aliases v.
func splitValue(v []byte) (lsn uint64, expireAt int64, value []byte, err error) {
	if len(v) < valuePrefixLen {
		return 0, 0, nil, malformed(fmt.Sprintf("stored value of %d bytes", len(v)))
	}
	lsn = binary.LittleEndian.Uint64(v[1:])
	switch v[0] {
	case 0:
		return lsn, 0, v[valuePrefixLen:], nil
	case flagExpiry:
		if len(v) < valuePrefixExpiryLen {
			return 0, 0, nil, malformed("stored value is cut in its expiry")
		}
		return lsn, int64(binary.LittleEndian.Uint64(v[valuePrefixLen:])), v[valuePrefixExpiryLen:], nil
	default:
		return 0, 0, nil, fmt.Errorf("%w: stored value has flags %#x", ErrNewer, v[0])
	}
}
