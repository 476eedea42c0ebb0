package loadfmt

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Writer writes JSON Lines. Its output depends on the entries alone, so equal
// states give equal files.
type Writer struct {
	w     *bufio.Writer
	line  []byte
	count int64
	bytes int64
}

// NewWriter writes to w; Flush must be called at the end.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriterSize(w, 1<<18)} }

// Write adds one line. The entry's slices are not kept.
func (w *Writer) Write(e Entry) error {
	w.line = AppendJSON(w.line[:0], e)
	w.line = append(w.line, '\n')
	w.count++
	w.bytes += int64(len(w.line))
	if _, err := w.w.Write(w.line); err != nil {
		return fmt.Errorf("write entry: %w", err)
	}
	return nil
}

// Flush writes out what is buffered.
func (w *Writer) Flush() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("write entries: %w", err)
	}
	return nil
}

// Count is the number of entries written.
func (w *Writer) Count() int64 { return w.count }

// Bytes is the number of bytes written.
func (w *Writer) Bytes() int64 { return w.bytes }

// AppendJSON appends e as one JSON object, in the form that a Source reads.
func AppendJSON(dst []byte, e Entry) []byte {
	dst = append(dst, '{')
	dst = appendField(dst, "key", e.Key)
	dst = append(dst, ',')
	dst = appendField(dst, "value", e.Value)
	switch {
	case !e.ExpireAt.IsZero():
		dst = append(dst, `,"expires_at":"`...)
		dst = e.ExpireAt.UTC().AppendFormat(dst, expiryLayout)
		dst = append(dst, '"')
	case e.TTL > 0:
		dst = append(dst, `,"ttl":"`...)
		dst = append(dst, e.TTL.String()...)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// expiryLayout has milliseconds, the resolution of an expiry.
const expiryLayout = "2006-01-02T15:04:05.000Z07:00"

// ExpireAtMillis turns an expiry in milliseconds since 1970, 0 being none, into
// what an Entry holds.
func ExpireAtMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func appendField(dst []byte, name string, b []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	if !utf8.Valid(b) {
		dst = append(dst, `_b64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, b)
		return append(dst, '"')
	}
	dst = append(dst, `":"`...)
	dst = appendEscaped(dst, b)
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// appendEscaped escapes what JSON demands and nothing else, but for the two
// line separators that JavaScript trips over.
func appendEscaped(dst, s []byte) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && c != 0xe2 {
			continue
		}
		if c == 0xe2 && !(i+2 < len(s) && s[i+1] == 0x80 && s[i+2]&^1 == 0xa8) {
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case 0xe2:
			dst = append(dst, `\u202`...)
			dst = append(dst, hexDigits[s[i+2]&0xf])
			i += 2
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&0xf])
		}
		start = i + 1
	}
	return append(dst, s[start:]...)
}
