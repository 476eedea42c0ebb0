package loadfmt

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits of what is read. A value of 16 MiB can be 96 MiB of JSON when each of
// its bytes is escaped.
const (
	lineBytesMax = 128 << 20
	fileBytesMax = 16 << 20
)

// Entry is one key and its value.
type Entry struct {
	Key, Value []byte
	TTL        time.Duration // > 0: expires so long after it is loaded
	ExpireAt   time.Time     // not zero: expires at this moment
	Place      string        // where it stands: "users.jsonl:12", or a path
}

// Source yields entries in the order of its input.
type Source interface {
	// Next returns the next entry, io.EOF behind the last one, a
	// *BadEntryError for an entry that is malformed (the next call goes on
	// behind it), and any other error when the input cannot be read further.
	Next() (Entry, error)
	// Offset is how many bytes of input are behind the last entry.
	Offset() int64
	// Skipped is how many things in the input are no entries by their nature,
	// like symbolic links.
	Skipped() int64
}

// Causes of a BadEntryError that a caller may want to tell apart.
var (
	ErrLineTooLong  = errors.New("loadfmt: line is longer than 128 MiB")
	ErrFileTooLarge = errors.New("loadfmt: file is larger than a value may be (16 MiB)")
)

// BadEntryError is an entry that cannot be understood.
type BadEntryError struct {
	Place string // like Entry.Place
	Err   error
}

// Error implements error.
func (e *BadEntryError) Error() string { return fmt.Sprintf("%s: %v", e.Place, e.Err) }

// Unwrap gives the cause.
func (e *BadEntryError) Unwrap() error { return e.Err }

// Format is the form of an input.
type Format string

// Formats.
const (
	JSONLines Format = "jsonl"
	TSV       Format = "tsv"
	Dir       Format = "dir"
)

// NewReader reads entries from r in a line format. The name goes into places;
// "-" is what standard input is called.
func NewReader(r io.Reader, name string, f Format) (Source, error) {
	switch f {
	case JSONLines:
		return &lineSource{lines: newLineReader(r), name: name, parse: parseJSONLine}, nil
	case TSV:
		return &lineSource{lines: newLineReader(r), name: name, parse: parseTSVLine}, nil
	}
	return nil, fmt.Errorf("loadfmt: %q is not a format of lines", f)
}

// lineSource is a source with one entry a line.
type lineSource struct {
	lines *lineReader
	name  string
	parse func(line []byte) (Entry, error)
}

// Next implements Source.
func (s *lineSource) Next() (Entry, error) {
	for {
		line, err := s.lines.next()
		place := fmt.Sprintf("%s:%d", s.name, s.lines.number)
		switch {
		case errors.Is(err, ErrLineTooLong):
			return Entry{}, &BadEntryError{Place: place, Err: err}
		case errors.Is(err, io.EOF):
			return Entry{}, io.EOF
		case err != nil:
			return Entry{}, fmt.Errorf("read %s: %w", place, err)
		case len(line) == 0:
			continue
		}
		e, err := s.parse(line)
		if err != nil {
			return Entry{}, &BadEntryError{Place: place, Err: err}
		}
		e.Place = place
		return e, nil
	}
}

// Offset implements Source.
func (s *lineSource) Offset() int64 { return s.lines.offset }

// Skipped implements Source.
func (s *lineSource) Skipped() int64 { return 0 }
