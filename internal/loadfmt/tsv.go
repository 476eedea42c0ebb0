package loadfmt

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// parseTSVLine reads key, value and an optional time to live.
func parseTSVLine(line []byte) (Entry, error) {
	fields := bytes.SplitN(line, []byte("\t"), 4)
	if len(fields) < 2 {
		return Entry{}, errors.New("no tab: want a key, a tab and a value")
	}
	if len(fields) > 3 {
		return Entry{}, errors.New(`more than three fields: a tab inside a value is written \t`)
	}
	var e Entry
	var err error
	if e.Key, err = unescape(fields[0]); err != nil {
		return Entry{}, fmt.Errorf("key: %w", err)
	}
	if len(e.Key) == 0 {
		return Entry{}, errEmptyKey
	}
	if e.Value, err = unescape(fields[1]); err != nil {
		return Entry{}, fmt.Errorf("value: %w", err)
	}
	if len(fields) == 3 {
		if e.TTL, err = parseTTL(string(fields[2])); err != nil {
			return Entry{}, err
		}
	}
	return e, nil
}

var errEmptyKey = errors.New("the key is empty")

func unescape(s []byte) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, errors.New(`a backslash at the end: write \\`)
		}
		switch s[i] {
		case 't':
			out = append(out, '\t')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case '\\':
			out = append(out, '\\')
		case 'x':
			if i+2 >= len(s) {
				return nil, errors.New(`\x needs two hexadecimal digits`)
			}
			b, err := strconv.ParseUint(string(s[i+1:i+3]), 16, 8)
			if err != nil {
				return nil, fmt.Errorf(`\x%q: want two hexadecimal digits`, s[i+1:i+3])
			}
			out = append(out, byte(b))
			i += 2
		default:
			return nil, fmt.Errorf(`unknown escape \%c: a backslash is written \\`, s[i])
		}
	}
	return out, nil
}

// ttlMax keeps a time to live inside what a time.Duration can hold.
const ttlMax = 100 * 365 * 24 * time.Hour

// parseTTL reads seconds or a duration like 1h30m.
func parseTTL(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if seconds, serr := strconv.ParseFloat(text, 64); serr == nil {
		// Compared as floats: the product may be beyond any Duration.
		if !(seconds > 0 && seconds <= ttlMax.Seconds()) {
			return 0, fmt.Errorf("ttl %q: want more than 0 seconds and at most 100 years", text)
		}
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil {
		return 0, fmt.Errorf("ttl %q: want seconds or a duration like 1h30m", text)
	}
	if d < time.Millisecond || d > ttlMax {
		return 0, fmt.Errorf("ttl %q: want at least 1 ms and at most 100 years", text)
	}
	return d, nil
}
