package pitr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// ErrTarget is wrapped by every refusal of a target that is malformed: no
// archive could satisfy it, so it is the caller's mistake.
var ErrTarget = errors.New("pitr: bad target")

// Target names the state to come back to. Exactly one of LSN, Time, Point and
// Latest is set.
type Target struct {
	LSN    wal.LSN   `json:"lsn,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Point  string    `json:"point,omitempty"`
	Latest bool      `json:"latest,omitempty"`

	// Exclusive stops just before the record that the target names.
	Exclusive bool `json:"exclusive,omitempty"`

	// Timeline picks the history to follow; 0 lets the plan choose, which it
	// does only when one answer is possible.
	Timeline wal.Timeline `json:"timeline,omitempty"`
}

// String is the target as a person would say it.
func (t Target) String() string {
	var s string
	switch {
	case t.LSN != 0:
		s = "LSN " + t.LSN.String()
	case !t.Time.IsZero():
		s = "time " + t.Time.Format(time.RFC3339Nano)
	case t.Point != "":
		s = fmt.Sprintf("restore point %q", t.Point)
	case t.Latest:
		s = "latest"
	default:
		s = "no target"
	}
	if t.Exclusive {
		s += ", exclusive"
	}
	if t.Timeline != 0 {
		s += fmt.Sprintf(", on timeline %d", uint32(t.Timeline))
	}
	return s
}

// valid says what is wrong with the target's shape.
func (t Target) valid() error {
	n := 0
	for _, set := range []bool{t.LSN != 0, !t.Time.IsZero(), t.Point != "", t.Latest} {
		if set {
			n++
		}
	}
	switch {
	case n == 0:
		return fmt.Errorf("%w: none given; name an LSN, a time, a restore point or latest", ErrTarget)
	case n > 1:
		return fmt.Errorf("%w: several given; name one of LSN, time, restore point and latest", ErrTarget)
	case t.Latest && t.Exclusive:
		return fmt.Errorf("%w: latest cannot be exclusive; give the LSN to stop before", ErrTarget)
	}
	return nil
}

// ParseTarget reads a target from one word: "latest", "point:NAME", an LSN as
// ParseLSN takes it, or a time as ParseTime takes it.
func ParseTarget(s string) (Target, error) {
	switch {
	case s == "latest":
		return Target{Latest: true}, nil
	case strings.HasPrefix(s, "point:"):
		name := strings.TrimPrefix(s, "point:")
		if name == "" {
			return Target{}, fmt.Errorf("%w: empty restore point name", ErrTarget)
		}
		return Target{Point: name}, nil
	case looksLikeTime(s):
		at, err := ParseTime(s)
		return Target{Time: at}, err
	}
	lsn, err := ParseLSN(s)
	return Target{LSN: lsn}, err
}

// looksLikeTime: a date's dash in place five, which no LSN has.
func looksLikeTime(s string) bool {
	return len(s) > 4 && s[4] == '-' || strings.Contains(s, ":")
}

// hexLSNDigits is the width of an LSN in object and file names.
const hexLSNDigits = 16

// ParseLSN reads an LSN: a decimal number, 16 hex digits as in names, or hex
// with 0x. Sixteen digits are hex when they begin with 0 or hold a letter, and
// every LSN below 2^60 printed in a name does begin with 0.
func ParseLSN(s string) (wal.LSN, error) {
	digits, base := s, 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		digits, base = s[2:], 16
	case len(s) == hexLSNDigits && (s[0] == '0' || strings.ContainsAny(s, "abcdefABCDEF")):
		base = 16
	case len(s) > 1 && s[0] == '0':
		return 0, fmt.Errorf("%w: LSN %q begins with 0 but has %d digits; "+
			"write it as decimal without the zeros, or as 0x and hex", ErrTarget, s, len(s))
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: LSN %q is neither a decimal number nor 16 hex digits nor 0x and hex", ErrTarget, s)
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: LSN 0; the first LSN is 1", ErrTarget)
	}
	return wal.LSN(n), nil
}

// ParseTime reads an RFC 3339 time with its offset. A time without one is
// refused: which instant it means depends on where, and twice a year on luck.
func ParseTime(s string) (time.Time, error) {
	norm := s
	if len(norm) > 10 && (norm[10] == ' ' || norm[10] == 't') {
		norm = norm[:10] + "T" + norm[11:]
	}
	if strings.HasSuffix(norm, "z") {
		norm = norm[:len(norm)-1] + "Z"
	}
	if at, err := time.Parse(time.RFC3339Nano, norm); err == nil {
		if at.Before(time.UnixMicro(0)) {
			return time.Time{}, fmt.Errorf("%w: time %q is before 1970", ErrTarget, s)
		}
		return at, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.Parse(layout, norm); err == nil {
			full := at.Format("2006-01-02T15:04:05.999999999")
			return time.Time{}, fmt.Errorf("%w: time %q has no offset, so it could be any of 26 hours; "+
				"write %sZ for UTC, or for example %s+02:00", ErrTarget, s, full, full)
		}
	}
	return time.Time{}, fmt.Errorf("%w: time %q is not RFC 3339; write it like 2026-03-01T09:41:07Z "+
		"or 2026-03-01T10:41:07+01:00", ErrTarget, s)
}

// microsMax is the highest record time (µs since the Unix epoch) that a time
// target takes in.
func (t Target) microsMax() int64 {
	us := t.Time.UnixMicro()
	if t.Exclusive && time.UnixMicro(us).Equal(t.Time) {
		us--
	}
	return us
}
