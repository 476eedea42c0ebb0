package loadfmt

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lineReader cuts its input at newlines. A line may be long, up to a limit; a
// longer one is reported once and passed over.
type lineReader struct {
	r      *bufio.Reader
	buf    []byte // a line that did not fit the reader's buffer
	number int64  // of the line that next returned
	offset int64
	max    int
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<18), max: lineBytesMax}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// next returns a line without its end (\n or \r\n), valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	l.number++
	l.buf = l.buf[:0]
	tooLong := false
	for {
		part, err := l.r.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		l.offset += int64(len(part))
		if tooLong = tooLong || len(l.buf)+len(part) > l.max; tooLong {
			l.buf = nil
		} else if full || len(l.buf) > 0 {
			l.buf = append(l.buf, part...)
			part = l.buf
		}
		switch {
		case full:
			continue
		case err != nil && (!errors.Is(err, io.EOF) || (len(part) == 0 && !tooLong)):
			return nil, err
		case tooLong:
			return nil, ErrLineTooLong
		}
		return l.trim(part), nil
	}
}

func (l *lineReader) trim(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if l.number == 1 {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	return line
}
