package resp

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/redcon"
)

// reply is one answer while it is made, in the version of the protocol that the
// client asked for.
type reply struct {
	b     []byte
	proto int // 2 or 3
}

func (r *reply) ok()             { r.b = redcon.AppendOK(r.b) }
func (r *reply) simple(s string) { r.b = redcon.AppendString(r.b, s) }
func (r *reply) int(n int64)     { r.b = redcon.AppendInt(r.b, n) }
func (r *reply) bulk(p []byte)   { r.b = redcon.AppendBulk(r.b, p) }
func (r *reply) str(s string)    { r.b = redcon.AppendBulkString(r.b, s) }
func (r *reply) array(n int)     { r.b = redcon.AppendArray(r.b, n) }

// text is a string for people.
func (r *reply) text(s string) {
	if r.proto == 3 {
		r.header('=', len("txt:")+len(s))
		r.b = append(append(append(r.b, "txt:"...), s...), "\r\n"...)
		return
	}
	r.str(s)
}

// fail writes an error. Its text is one line.
func (r *reply) fail(err error) {
	r.b = redcon.AppendError(r.b, strings.NewReplacer("\r", " ", "\n", " ").Replace(errorText(err)))
}

// null is the absent value.
func (r *reply) null() {
	if r.proto == 3 {
		r.b = append(r.b, "_\r\n"...)
		return
	}
	r.b = redcon.AppendNull(r.b)
}

// nullArray is the absent array.
func (r *reply) nullArray() {
	if r.proto == 3 {
		r.null()
		return
	}
	r.b = append(r.b, "*-1\r\n"...)
}

// header writes the head of n elements: in RESP2 all of them are arrays.
func (r *reply) header(kind byte, n int) {
	r.b = append(r.b, kind)
	r.b = strconv.AppendInt(r.b, int64(n), 10)
	r.b = append(r.b, '\r', '\n')
}

// mapping begins n pairs.
func (r *reply) mapping(n int) {
	if r.proto == 3 {
		r.header('%', n)
		return
	}
	r.array(2 * n)
}

// set begins n members.
func (r *reply) set(n int) {
	if r.proto == 3 {
		r.header('~', n)
		return
	}
	r.array(n)
}

// double is a score, as Redis spells it.
func (r *reply) double(f float64) {
	if r.proto == 3 {
		r.b = append(r.b, ',')
		r.b = appendFloat(r.b, f)
		r.b = append(r.b, '\r', '\n')
		return
	}
	var buf [32]byte
	r.bulk(appendFloat(buf[:0], f))
}

func (r *reply) bool(v bool) {
	if v {
		r.int(1)
		return
	}
	r.int(0)
}

// appendFloat spells a number in its shortest form that reads back the same.
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0"...)
	case f == math.Trunc(f) && math.Abs(f) < 1e17:
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}
