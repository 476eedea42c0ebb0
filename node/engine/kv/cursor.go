package kv

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// A cursor, before base64url: version u8 (1) | flags u8 (bit 0: reverse) |
// tenant u32 LE | CRC-32C of all other bytes u32 LE | key.
const (
	cursorVersion   = 1
	cursorReverse   = 1 << 0
	cursorHeaderLen = 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeCursor(tenant uint32, reverse bool, key []byte) string {
	b := make([]byte, cursorHeaderLen, cursorHeaderLen+len(key))
	b[0] = cursorVersion
	if reverse {
		b[1] = cursorReverse
	}
	binary.LittleEndian.PutUint32(b[2:], tenant)
	b = append(b, key...)
	binary.LittleEndian.PutUint32(b[6:], cursorSum(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func cursorSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:6], castagnoli), castagnoli, b[cursorHeaderLen:])
}

func decodeCursor(s string) (tenant uint32, reverse bool, key []byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) <= cursorHeaderLen || len(b) > cursorHeaderLen+KeyBytesMax {
		return 0, false, nil, ErrBadCursor
	}
	if b[0] != cursorVersion || b[1]&^cursorReverse != 0 || binary.LittleEndian.Uint32(b[6:]) != cursorSum(b) {
		return 0, false, nil, ErrBadCursor
	}
	return binary.LittleEndian.Uint32(b[2:]), b[1] == cursorReverse, b[cursorHeaderLen:], nil
}

// resolve returns the options with the cursor turned into a bound.
func (o *ScanOptions) resolve() (ScanOptions, error) {
	if o == nil {
		return ScanOptions{}, nil
	}
	c := *o
	if c.Cursor == "" {
		return c, nil
	}
	tenant, reverse, key, err := decodeCursor(c.Cursor)
	if err != nil {
		return c, err
	}
	if tenant != c.Tenant || reverse != c.Reverse || !c.contains(key) {
		return c, ErrBadCursor
	}
	if reverse {
		c.To = key
	} else {
		c.From = append(bytes.Clone(key), 0)
	}
	return c, nil
}

func (o *ScanOptions) contains(key []byte) bool {
	return bytes.HasPrefix(key, o.Prefix) && bytes.Compare(key, o.From) >= 0 &&
		(o.To == nil || bytes.Compare(key, o.To) < 0)
}
