package resp

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// parseFloat reads a score or a weight, in any spelling of C: hexadecimal and infinity
// are numbers, what is too large or too small for one is none.
func parseFloat(p []byte) (float64, error) {
	f, err := strconv.ParseFloat(spelling(p), 64)
	if err != nil || math.IsNaN(f) || f == 0 && !isZero(p) {
		return 0, errNotFloat
	}
	return f, nil
}

// parseEnd reads the end of a range of scores, where Redis is less strict: blanks may
// stand before it, nothing is 0, and a zero byte ends it.
func parseEnd(p []byte) (float64, error) {
	if i := bytes.IndexByte(p, 0); i >= 0 {
		p = p[:i]
	}
	if len(p) == 0 {
		return 0, nil
	}
	f, err := strconv.ParseFloat(spelling(bytes.TrimLeft(p, " \t\n\v\f\r")), 64)
	if err != nil && !math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, errNotFloat
	}
	return f, nil
}

// spelling turns a number of C into one of Go: what only Go takes becomes nothing.
func spelling(p []byte) string {
	s := string(p)
	if strings.Contains(s, "_") {
		return ""
	}
	if isHexadecimal(p) && !strings.ContainsAny(s, "pP") {
		s += "p0"
	}
	return s
}

func isHexadecimal(p []byte) bool {
	p = bytes.TrimLeft(p, "+-")
	return len(p) > 1 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')
}

// isZero tells a number without a digit but 0 from one that is too small.
func isZero(p []byte) bool {
	digits, exponent := "123456789", "eE"
	if isHexadecimal(p) {
		digits, exponent = "123456789abcdefABCDEF", "pP"
	}
	if i := bytes.IndexAny(p, exponent); i >= 0 {
		p = p[:i]
	}
	return !bytes.ContainsAny(p, digits)
}

// Decimals are added as Redis does it, in 64 bits of precision, so that 0.1 and 0.2
// are 0.3.
const (
	decimalBits   = 64
	decimalDigits = 17 // behind the point
	decimalExpMax = 16384
	decimalLenMax = 256
)

func parseDecimal(p []byte) (*big.Float, error) {
	if len(p) == 0 || len(p) >= decimalLenMax {
		return nil, errNotFloat
	}
	s, base := string(p), 10
	switch {
	case isHexadecimal(p):
		i := strings.IndexAny(s, "xX")
		s, base = s[:i-1]+s[i+1:], 16
	case strings.EqualFold(strings.TrimLeft(s, "+-"), "infinity"), strings.EqualFold(strings.TrimLeft(s, "+-"), "inf"):
		i := strings.IndexAny(s, "iI")
		s = s[:i] + "inf"
	case strings.ContainsAny(s, "pP"):
		return nil, errNotFloat
	}
	f, _, err := big.ParseFloat(s, base, decimalBits, big.ToNearestEven)
	if err != nil || !f.IsInf() && (f.MantExp(nil) > decimalExpMax || f.MantExp(nil) < -decimalExpMax) {
		return nil, errNotFloat
	}
	return f, nil
}

func addDecimal(a, b *big.Float) ([]byte, error) {
	if a.IsInf() || b.IsInf() {
		return nil, redisError("ERR increment would produce NaN or Infinity")
	}
	f := new(big.Float).SetPrec(decimalBits).Add(a, b)
	if f.MantExp(nil) > decimalExpMax {
		return nil, redisError("ERR increment would produce NaN or Infinity")
	}
	text := bytes.TrimRight(f.Append(nil, 'f', decimalDigits), "0")
	text = bytes.TrimSuffix(text, []byte("."))
	if string(text) == "-0" {
		text = text[1:]
	}
	return text, nil
}
