package resp

import (
	"math"
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

// parseInteger reads a number in its only spelling: no sign but a minus, no zeros
// before it.
func parseInteger(p []byte) (int64, error) {
	digits := p
	if len(digits) > 1 && digits[0] == '-' {
		digits = digits[1:]
		if digits[0] == '0' {
			return 0, errNotInteger
		}
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(digits) > 1 {
		return 0, errNotInteger
	}
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil {
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
