package resp

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
)

func numberCommands() []command {
	return []command{
		{name: "incr", arity: 2, where: forWrite, keys: oneKey, run: func(c *call) error { return add(c, 1) }},
		{name: "decr", arity: 2, where: forWrite, keys: oneKey, run: func(c *call) error { return add(c, -1) }},
		{name: "incrby", arity: 3, where: forWrite, keys: oneKey, run: func(c *call) error {
			n, err := integers(c.args[2])
			if err != nil {
				return err
			}
			return add(c, n[0])
		}},
		{name: "decrby", arity: 3, where: forWrite, keys: oneKey, run: func(c *call) error {
			n, err := integers(c.args[2])
			if err != nil {
				return err
			}
			if n[0] == math.MinInt64 {
				return redisError("ERR decrement would overflow")
			}
			return add(c, -n[0])
		}},
		{name: "incrbyfloat", arity: 3, where: forWrite, keys: oneKey, run: addFloat},
	}
}

func add(c *call, delta int64) error {
	it, err := loadAs(c.v, c.args[1], kindString)
	if err != nil {
		return err
	}
	n, err := sum(it, delta)
	if err != nil {
		return err
	}
	c.out.int(n)
	return putString(c.v, c.args[1], strconv.AppendInt(nil, n, 10), it.expireAt)
}

// sum adds to the integer that an item holds; an absent one is 0.
func sum(it item, delta int64) (int64, error) {
	var n int64
	if it.exists {
		var err error
		if n, err = parseInteger(it.data); err != nil {
			return 0, err
		}
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return 0, errOverflow
	}
	return n + delta, nil
}

// parseInteger reads a number in its only spelling.
func parseInteger(p []byte) (int64, error) {
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(p) {
		return 0, errNotInteger
	}
	return n, nil
}

func addFloat(c *call) error {
	it, err := loadAs(c.v, c.args[1], kindString)
	if err != nil {
		return err
	}
	was := []byte("0")
	if it.exists {
		was = it.data
	}
	f, err := parseDecimal(was)
	if err != nil {
		return err
	}
	delta, err := parseDecimal(c.args[2])
	if err != nil {
		return err
	}
	text, err := addDecimal(f, delta)
	if err != nil {
		return err
	}
	c.out.bulk(text)
	return putString(c.v, c.args[1], text, it.expireAt)
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
	if len(p) == 0 || len(p) > decimalLenMax {
		return nil, errNotFloat
	}
	f, _, err := big.ParseFloat(string(p), 10, decimalBits, big.ToNearestEven)
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

func parseFloat(p []byte) (float64, error) {
	f, err := strconv.ParseFloat(string(p), 64)
	if err != nil || math.IsNaN(f) {
		return 0, errNotFloat
	}
	return f, nil
}
