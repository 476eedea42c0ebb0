package loadfmt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// parseJSONLine reads one object. The reader is strict where encoding/json is
// lenient: names by exact case, no field twice, no replaced characters.
func parseJSONLine(line []byte) (Entry, error) {
	var e Entry
	var seen jsonFields
	p := jsonScanner{text: line}
	err := p.object(func(name string, raw []byte) error { return seen.set(&e, name, raw) })
	if err != nil {
		return Entry{}, err
	}
	if err := seen.complete(&e); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// jsonFields says which fields of an object were there.
type jsonFields struct{ key, value, expiry string }

func (s *jsonFields) set(e *Entry, name string, raw []byte) (err error) {
	switch name {
	case "key", "key_b64":
		if err := once(&s.key, name); err != nil {
			return err
		}
		e.Key, err = jsonBytes(name, raw, name == "key_b64")
	case "value", "value_b64":
		if err := once(&s.value, name); err != nil {
			return err
		}
		e.Value, err = jsonValue(name, raw)
	case "ttl":
		if err := once(&s.expiry, name); err != nil {
			return err
		}
		e.TTL, err = jsonTTL(raw)
	case "expires_at":
		if err := once(&s.expiry, name); err != nil {
			return err
		}
		e.ExpireAt, err = jsonTime(raw)
	default:
		return fmt.Errorf("unknown field %q: want key, value, ttl, expires_at, key_b64 or value_b64", name)
	}
	return err
}

func once(seen *string, name string) error {
	if *seen == name {
		return fmt.Errorf("field %q is there twice", name)
	}
	if *seen != "" {
		return fmt.Errorf("fields %q and %q exclude each other", *seen, name)
	}
	*seen = name
	return nil
}

func (s *jsonFields) complete(e *Entry) error {
	switch {
	case s.key == "":
		return errors.New(`no "key" or "key_b64"`)
	case s.value == "":
		return errors.New(`no "value" or "value_b64"`)
	case len(e.Key) == 0:
		return errEmptyKey
	}
	return nil
}

func jsonBytes(name string, raw []byte, b64 bool) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return nil, fmt.Errorf("%s: want a string", name)
	}
	text, err := unquoteJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if !b64 {
		return text, nil
	}
	out, err := base64.StdEncoding.Strict().AppendDecode(make([]byte, 0, len(text)), text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%s: not standard base64 with padding", name)
	}
	return out, nil
}

func jsonValue(name string, raw []byte) ([]byte, error) {
	switch {
	case name == "value_b64" || raw[0] == '"':
		return jsonBytes(name, raw, name == "value_b64")
	case raw[0] == 'n':
		return nil, errors.New(`value is null: want a string, or leave the entry out`)
	case !utf8.Valid(raw):
		return nil, errNotUnicode
	}
	return bytes.Clone(raw), nil
}

func jsonTTL(raw []byte) (time.Duration, error) {
	if raw[0] != '"' {
		return parseTTL(string(raw))
	}
	text, err := unquoteJSON(raw)
	if err != nil {
		return 0, fmt.Errorf("ttl: %w", err)
	}
	return parseTTL(string(text))
}

func jsonTime(raw []byte) (time.Time, error) {
	if raw[0] != '"' {
		return time.Time{}, errors.New("expires_at: want a string like 2031-01-01T00:00:00Z")
	}
	text, err := unquoteJSON(raw)
	if err != nil {
		return time.Time{}, fmt.Errorf("expires_at: %w", err)
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}, fmt.Errorf("expires_at %q: want RFC 3339, like 2031-01-01T00:00:00Z", text)
	}
	if t.UnixMilli() <= 0 {
		return time.Time{}, fmt.Errorf("expires_at %q: want a time after 1970", text)
	}
	return t, nil
}

// jsonScanner cuts an object into fields without decoding them.
type jsonScanner struct {
	text []byte
	pos  int
}

// object calls field with the decoded name and the raw value of each field.
func (p *jsonScanner) object(field func(name string, raw []byte) error) error {
	if !json.Valid(p.text) {
		return p.invalid()
	}
	// From here on the text is well-formed JSON.
	if p.space(); p.text[p.pos] != '{' {
		return errors.New("want a JSON object")
	}
	p.pos++
	for {
		p.space()
		switch p.text[p.pos] {
		case '}':
			return nil
		case ',':
			p.pos++
			p.space()
		}
		name, err := unquoteJSON(p.value())
		if err != nil {
			return fmt.Errorf("field name: %w", err)
		}
		p.space()
		p.pos++ // the colon
		p.space()
		if err := field(string(name), p.value()); err != nil {
			return err
		}
	}
}

// invalid explains what json.Valid only denies.
func (p *jsonScanner) invalid() error {
	var v json.RawMessage
	err := json.Unmarshal(p.text, &v)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("malformed JSON at byte %d: %w", s.Offset, err)
	}
	return fmt.Errorf("malformed JSON: %w", err)
}

func (p *jsonScanner) space() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t' || p.text[p.pos] == '\r' || p.text[p.pos] == '\n') {
		p.pos++
	}
}

// value consumes one value of well-formed text.
func (p *jsonScanner) value() []byte {
	start, depth := p.pos, 0
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; c {
		case '"':
			p.skipString()
			if depth == 0 {
				return p.text[start:p.pos]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return p.text[start:p.pos]
			}
			if depth--; depth == 0 {
				p.pos++
				return p.text[start:p.pos]
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return p.text[start:p.pos]
			}
		}
		p.pos++
	}
	return p.text[start:p.pos]
}

func (p *jsonScanner) skipString() {
	for p.pos++; p.text[p.pos] != '"'; p.pos++ {
		if p.text[p.pos] == '\\' {
			p.pos++
		}
	}
	p.pos++
}

var errNotUnicode = errors.New("text is not Unicode: bytes travel as key_b64 or value_b64")

// unquoteJSON decodes a string of well-formed JSON and refuses what cannot be
// represented exactly: bytes that are not UTF-8, and half a surrogate pair.
func unquoteJSON(quoted []byte) ([]byte, error) {
	s := quoted[1 : len(quoted)-1]
	if !utf8.Valid(s) {
		return nil, errNotUnicode
	}
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(out, s...), nil
		}
		out, s = append(out, s[:i]...), s[i+1:]
		if s[0] != 'u' {
			out, s = append(out, simpleEscape(s[0])), s[1:]
			continue
		}
		r := hex4(s[1:])
		s = s[5:]
		if utf16.IsSurrogate(r) {
			if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
				return nil, errNotUnicode
			}
			if r = utf16.DecodeRune(r, hex4(s[2:])); r == utf8.RuneError {
				return nil, errNotUnicode
			}
			s = s[6:]
		}
		out = utf8.AppendRune(out, r)
	}
	return out, nil
}

func simpleEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // " \ /
}

func hex4(s []byte) rune {
	n, err := strconv.ParseUint(string(s[:4]), 16, 32)
	if err != nil {
		panic("loadfmt: four hex digits were checked before")
	}
	return rune(n)
}
