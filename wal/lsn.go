package wal

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// LSN is the position of one record in a node's history: dense, one per
// record, the first is 1. Zero is never the position of a record; it means
// "before the first".
type LSN uint64

// String returns the decimal form, for people.
func (l LSN) String() string { return strconv.FormatUint(uint64(l), 10) }

// Hex returns 16 lower-case hex digits, for names: they sort as numbers do.
func (l LSN) Hex() string { return fixedHex(uint64(l), 16) }

// ParseHexLSN reads the form that [LSN.Hex] writes, and no other.
func ParseHexLSN(s string) (LSN, error) {
	n, err := parseFixedHex(s, 16)
	return LSN(n), err
}

// Timeline names one history of a node. A restore starts a new one.
type Timeline uint32

// String returns the decimal form, for people.
func (t Timeline) String() string { return strconv.FormatUint(uint64(t), 10) }

// Hex returns 8 lower-case hex digits, for names.
func (t Timeline) Hex() string { return fixedHex(uint64(t), 8) }

// ParseHexTimeline reads the form that [Timeline.Hex] writes, and no other.
func ParseHexTimeline(s string) (Timeline, error) {
	n, err := parseFixedHex(s, 8)
	return Timeline(n), err
}

// Epoch counts the incarnations of the writer of a history.
type Epoch uint64

// String returns the decimal form, for people.
func (e Epoch) String() string { return strconv.FormatUint(uint64(e), 10) }

// Hex returns 16 lower-case hex digits.
func (e Epoch) Hex() string { return fixedHex(uint64(e), 16) }

// Hex8 returns the low 8 hex digits, for object names that have room for no more.
func (e Epoch) Hex8() string { return fixedHex(uint64(e)&0xFFFFFFFF, 8) }

// ParseHexEpoch reads the form that [Epoch.Hex] writes, and no other.
func ParseHexEpoch(s string) (Epoch, error) {
	n, err := parseFixedHex(s, 16)
	return Epoch(n), err
}

func fixedHex(n uint64, digits int) string {
	var raw [8]byte
	for i := range raw {
		raw[i] = byte(n >> (56 - 8*i))
	}
	return hex.EncodeToString(raw[8-digits/2:])
}

// parseFixedHex refuses what fixedHex does not write (upper case, other
// widths), so that every name has one spelling.
func parseFixedHex(s string, digits int) (uint64, error) {
	if len(s) != digits {
		return 0, fmt.Errorf("wal: %q is not %d hex digits", s, digits)
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return 0, fmt.Errorf("wal: %q is not %d lower-case hex digits", s, digits)
		}
	}
	return strconv.ParseUint(s, 16, 64)
}
