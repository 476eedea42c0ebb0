package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// limits of one request.
type limits struct {
	args  int // in number
	arg   int // bytes of one
	total int // bytes of all
	line  int // bytes of an inline command
}

// protocolError ends a connection, after it was told.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

// requestReader reads requests. It asks for no more memory than what has arrived
// deserves, whatever a header promises.
type requestReader struct {
	r   *bufio.Reader
	lim limits

	// What small requests are cut from. A piece that is given away is never used
	// again.
	bytes []byte
	heads [][]byte
}

// Requests share an allocation up to these sizes.
const (
	sharedBytes = 2 << 10
	sharedArg   = 256
	sharedHeads = 48
	sharedArgs  = 8
)

// growStep is how much is asked for before the bytes are there.
const growStep = 64 << 10

// next reads one request; its slices are the caller's. An empty request has no
// arguments.
func (r *requestReader) next() ([][]byte, error) {
	c, err := r.r.ReadByte()
	if err != nil {
		return nil, err
	}
	if c != '*' {
		if err := r.r.UnreadByte(); err != nil {
			return nil, err
		}
		return r.inline()
	}
	n, err := r.length("multibulk", r.lim.args)
	if err != nil || n <= 0 {
		return nil, err
	}
	args := r.list(n)
	for left := r.lim.total; len(args) < n; {
		c, err := r.r.ReadByte()
		if err != nil {
			return nil, short(err)
		}
		if c != '$' {
			return nil, protocolError(fmt.Sprintf("expected '$', got '%c'", printable(c)))
		}
		size, err := r.length("bulk", min(r.lim.arg, left))
		if err == nil && size < 0 {
			err = protocolError("invalid bulk length")
		}
		if err != nil {
			return nil, short(err)
		}
		left -= size
		arg, err := r.bulk(size)
		if err != nil {
			return nil, short(err)
		}
		args = append(args, arg)
	}
	return args, nil
}

// own copies a request.
func (r *requestReader) own(args [][]byte) [][]byte {
	out := r.list(len(args))
	for _, a := range args {
		out = append(out, append(r.room(len(a)), a...))
	}
	return out
}

// list is room for n arguments, or for the first of them.
func (r *requestReader) list(n int) [][]byte {
	if n > sharedArgs {
		return make([][]byte, 0, min(n, 64))
	}
	if len(r.heads) < n {
		r.heads = make([][]byte, sharedHeads)
	}
	out := r.heads[:0:n]
	r.heads = r.heads[n:]
	return out
}

// room is an empty slice for size bytes, or for the first of them.
func (r *requestReader) room(size int) []byte {
	if size > sharedArg {
		return make([]byte, 0, min(size, growStep))
	}
	if len(r.bytes) < size {
		r.bytes = make([]byte, sharedBytes)
	}
	out := r.bytes[:0:size]
	r.bytes = r.bytes[size:]
	return out
}

// bulk reads size bytes and the end of the line behind them.
func (r *requestReader) bulk(size int) ([]byte, error) {
	out := r.room(size)
	for len(out) < size {
		if len(out) == cap(out) {
			grown := make([]byte, len(out), min(size, 2*cap(out)))
			copy(grown, out)
			out = grown
		}
		n, err := io.ReadFull(r.r, out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err != nil {
			return nil, err
		}
	}
	cr, err := r.r.ReadByte()
	if err != nil {
		return nil, err
	}
	lf, err := r.r.ReadByte()
	if err != nil {
		return nil, err
	}
	if cr != '\r' || lf != '\n' {
		return nil, protocolError("a bulk string does not end where its length says")
	}
	return out, nil
}

// length reads the rest of a header line: a decimal number of at most most.
func (r *requestReader) length(of string, most int) (int, error) {
	const digitsMax = 10
	line, err := r.line(digitsMax + 1)
	if _, bad := err.(protocolError); bad { //nolint:errorlint // line's own
		err = protocolError("invalid " + of + " length")
	}
	if err != nil {
		return 0, err
	}
	neg := len(line) > 0 && line[0] == '-'
	if neg {
		line = line[1:]
	}
	n := 0
	for _, c := range line {
		if c < '0' || c > '9' {
			return 0, protocolError("invalid " + of + " length")
		}
		n = n*10 + int(c-'0')
	}
	if len(line) == 0 || n > most {
		return 0, protocolError("invalid " + of + " length")
	}
	if neg {
		n = -n
	}
	return n, nil
}

// line reads up to the end of a line, which is not returned, and lasts until the
// next read.
func (r *requestReader) line(most int) ([]byte, error) {
	for n := 1; ; {
		if _, err := r.r.Peek(n); err != nil {
			return nil, short(err)
		}
		n = r.r.Buffered()
		buf, err := r.r.Peek(n)
		if err != nil {
			return nil, err
		}
		for i, c := range buf {
			if c == '\n' {
				line := buf[:i]
				if i > 0 && line[i-1] == '\r' {
					line = line[:i-1]
				}
				_, err := r.r.Discard(i + 1)
				return line, err
			}
			if i > most {
				return nil, protocolError("too big a line")
			}
		}
		n++
	}
}

// inline reads a request as people type it, in one line, with quotes.
func (r *requestReader) inline() ([][]byte, error) {
	line, err := r.line(min(r.lim.line, r.r.Size()-2))
	if err != nil {
		return nil, err
	}
	return splitLine(line)
}

// short tells an end within a request from one between two.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func printable(c byte) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return rune(c)
}
