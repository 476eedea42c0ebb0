package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits of an answer.
const (
	lineBytesMax = 64 << 10
	bytesMax     = 64 << 20
	itemsMax     = 1 << 20
	depthMax     = 8
)

// Reply is one answer.
type Reply struct {
	Kind  byte    // of RESP2: + : $ *, or 0 for nothing
	Text  []byte  // of + and $
	Int   int64   // of :
	Items []Reply // of *
}

// Nil tells whether it is the absent value.
func (r *Reply) Nil() bool { return r.Kind == 0 }

// Error is an error that the server answered. Its text begins with a code in
// capitals.
type Error string

// Error implements error.
func (e Error) Error() string { return string(e) }

// Code is the first word, on which a client may act.
func (e Error) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// ErrProtocol is the cause when what answers does not speak the Redis protocol.
var ErrProtocol = errors.New("client: the answer is not of the Redis protocol")

// replyReader reads answers within the limits.
type replyReader struct {
	r     *bufio.Reader
	bytes int // left for this answer
	items int
}

// next reads one answer. An error of the server within an array fails the whole.
func (r *replyReader) next() (Reply, error) {
	r.bytes, r.items = bytesMax, itemsMax
	return r.value(0)
}

func (r *replyReader) value(depth int) (out Reply, err error) {
	if r.items--; depth > depthMax || r.items < 0 {
		return out, fmt.Errorf("%w: it is nested too deeply or too long", ErrProtocol)
	}
	line, err := r.line()
	if err != nil {
		return out, err
	}
	rest := line[1:]
	switch line[0] {
	case '+':
		return Reply{Kind: '+', Text: bytes.Clone(rest)}, nil
	case '-':
		return out, Error(rest)
	}
	n, err := strconv.ParseInt(string(rest), 10, 64)
	if err != nil {
		return out, fmt.Errorf("%w: it begins with %q", ErrProtocol, shorten(line))
	}
	switch {
	case line[0] == ':':
		return Reply{Kind: ':', Int: n}, nil
	case line[0] != '$' && line[0] != '*':
		return out, fmt.Errorf("%w: it begins with %q", ErrProtocol, shorten(line))
	case n == -1:
		return out, nil
	case n < 0 || n > int64(r.bytes):
		return out, fmt.Errorf("%w: a length is %d", ErrProtocol, n)
	case line[0] == '$':
		return r.bulk(int(n))
	}
	return r.array(int(n), depth)
}

// line reads up to CR LF, which it leaves out. It is valid until the next read, and
// never empty.
func (r *replyReader) line() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line is longer than %d bytes", ErrProtocol, lineBytesMax)
	}
	if err != nil {
		return nil, broken(err)
	}
	r.bytes -= len(line)
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("%w: a line is %q", ErrProtocol, shorten(line))
	}
	return line[:len(line)-2], nil
}

// bulk reads n bytes. Memory grows with what arrives, not with what is promised.
func (r *replyReader) bulk(n int) (Reply, error) {
	r.bytes -= n
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r.r, int64(n)+2); err != nil {
		return Reply{}, broken(err)
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		return Reply{}, fmt.Errorf("%w: a string does not end where it says", ErrProtocol)
	}
	return Reply{Kind: '$', Text: b.Bytes()[:n]}, nil
}

func (r *replyReader) array(n, depth int) (Reply, error) {
	out := Reply{Kind: '*'}
	for range n {
		v, err := r.value(depth + 1)
		if err != nil {
			return Reply{}, err
		}
		out.Items = append(out.Items, v)
	}
	return out, nil
}

func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func shorten(p []byte) []byte { return p[:min(len(p), 40)] }
