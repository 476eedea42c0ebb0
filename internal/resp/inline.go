package resp

import "encoding/hex"

const errQuotes = protocolError("unbalanced quotes in request")

// splitLine splits a line at blanks. An argument may stand in double quotes, with
// \n \r \t \b \a \xHH and any other character after a backslash for itself, or in
// single ones, with \' only.
func splitLine(line []byte) ([][]byte, error) {
	var out [][]byte
	for i := 0; ; {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
		if i == len(line) {
			return out, nil
		}
		arg, n, err := word(line[i:])
		if err != nil {
			return nil, err
		}
		out, i = append(out, arg), i+n
	}
}

func word(p []byte) (arg []byte, n int, err error) {
	arg = []byte{}
	for n < len(p) {
		switch c := p[n]; c {
		case ' ', '\t':
			return arg, n, nil
		case '"', '\'':
			var size int
			arg, size = quoted(arg, p[n:])
			if n += size; size == 0 || n < len(p) && p[n] != ' ' && p[n] != '\t' {
				return nil, 0, errQuotes
			}
			return arg, n, nil
		default:
			arg = append(arg, c)
			n++
		}
	}
	return arg, n, nil
}

// quoted appends what stands between the quotes that p begins with, and says how
// long that is with them; 0: they do not end.
func quoted(dst, p []byte) ([]byte, int) {
	quote := p[0]
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c == quote:
			return dst, i + 1
		case c == '\\' && quote == '"' && i+3 < len(p) && p[i+1] == 'x' && isHex(p[i+2]) && isHex(p[i+3]):
			var b [1]byte
			_, _ = hex.Decode(b[:], p[i+2:i+4]) // both are digits
			dst = append(dst, b[0])
			i += 3
		case c == '\\' && i+1 < len(p) && (quote == '"' || p[i+1] == '\''):
			i++
			dst = append(dst, unescape(p[i]))
		default:
			dst = append(dst, c)
		}
	}
	return dst, 0
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
