package resp

import (
	"slices"
	"strings"
)

func stringCommands() []command {
	return []command{
		{name: "get", arity: 2, where: forRead, keys: oneKey, run: get},
		{name: "set", arity: -3, where: forWrite, keys: oneKey, run: set},
		{name: "setnx", arity: 3, where: forWrite, keys: oneKey, run: func(c *call) error {
			it, err := load(c.v, c.args[1])
			if err == nil && !it.exists {
				err = putString(c.v, c.args[1], c.args[2], 0)
			}
			c.out.bool(!it.exists)
			return err
		}},
		{name: "setex", arity: 4, where: forWrite, keys: oneKey, run: func(c *call) error { return setFor(c, 1000) }},
		{name: "psetex", arity: 4, where: forWrite, keys: oneKey, run: func(c *call) error { return setFor(c, 1) }},
		{name: "getset", arity: 3, where: forWrite, keys: oneKey, run: func(c *call) error {
			it, err := loadAs(c.v, c.args[1], kindString)
			if err != nil {
				return err
			}
			c.out.item(it)
			return putString(c.v, c.args[1], c.args[2], 0)
		}},
		{name: "getdel", arity: 2, where: forWrite, keys: oneKey, run: func(c *call) error {
			it, err := loadAs(c.v, c.args[1], kindString)
			if err != nil {
				return err
			}
			c.out.item(it)
			if it.exists {
				err = c.v.Delete(c.args[1])
			}
			return err
		}},
		{name: "getex", arity: -2, where: forWrite, keys: oneKey, run: getEx},
		{name: "mget", arity: -2, where: forRead, keys: allKeys, run: mget},
		{name: "mset", arity: -3, where: forWrite, keys: pairs, merge: mergeOK, run: mset},
		{name: "msetnx", arity: -3, where: forWrite, keys: pairs, run: msetnx},
		{name: "append", arity: 3, where: forWrite, keys: oneKey, run: appendTo},
		{name: "strlen", arity: 2, where: forRead, keys: oneKey, run: func(c *call) error {
			it, err := loadAs(c.v, c.args[1], kindString)
			c.out.int(int64(len(it.data)))
			return err
		}},
		{name: "getrange", arity: 4, where: forRead, keys: oneKey, run: getRange},
		{name: "substr", arity: 4, where: forRead, keys: oneKey, run: getRange},
		{name: "setrange", arity: 4, where: forWrite, keys: oneKey, run: setRange},
	}
}

// item writes a string, or that there is none.
func (r *reply) item(it item) {
	if it.exists {
		r.bulk(it.data)
		return
	}
	r.null()
}

func get(c *call) error {
	it, err := loadAs(c.v, c.args[1], kindString)
	c.out.item(it)
	return err
}

// setOptions are those of SET and GETEX.
type setOptions struct {
	nx, xx, get, keep, persist bool
	unit                       string // of time; empty: it has none
	time                       []byte
	expireAt                   int64 // of time, when it is looked at
}

// parse reads options from the i-th argument on. allowed are the words beside the
// times.
func (o *setOptions) parse(c *call, i int, allowed string) error {
	for ; i < len(c.args); i++ {
		word := strings.ToUpper(string(c.args[i]))
		switch word {
		case "EX", "PX", "EXAT", "PXAT": // the same one again is the one that counts
			if o.unit != "" && o.unit != word || o.keep || o.persist || i+1 == len(c.args) {
				return errSyntax
			}
			i++
			o.unit, o.time = word, c.args[i]
			continue
		}
		if !strings.Contains(allowed, " "+word+" ") {
			return errSyntax
		}
		switch word {
		case "NX":
			o.nx = true
		case "XX":
			o.xx = true
		case "GET":
			o.get = true
		case "KEEPTTL":
			o.keep = true
		case "PERSIST":
			o.persist = true
		}
		if o.nx && o.xx || (o.keep || o.persist) && o.unit != "" {
			return errSyntax
		}
	}
	return nil
}

// expiry looks at the time.
func (o *setOptions) expiry(c *call) (err error) {
	if o.unit != "" {
		o.expireAt, err = expiry(c, o.time, o.unit, c.name())
	}
	return err
}

// name is the command as it was called, in lower case.
func (c *call) name() string { return strings.ToLower(string(c.args[0])) }

// expiry reads a time that a key is given to live, and says when it ends: EX and PX
// count from now.
func expiry(c *call, arg []byte, unit, command string) (int64, error) {
	n, err := parseInteger(arg)
	if err != nil {
		return 0, err
	}
	invalid := redisError("ERR invalid expire time in '" + command + "' command")
	if n <= 0 {
		return 0, invalid
	}
	if unit == "EX" || unit == "EXAT" {
		if n > (1<<63-1)/1000 {
			return 0, invalid
		}
		n *= 1000
	}
	if unit == "EX" || unit == "PX" {
		if n > 1<<63-1-c.now {
			return 0, invalid
		}
		n += c.now
	}
	return n, nil
}

func set(c *call) error {
	var o setOptions
	if err := o.parse(c, 3, " NX XX GET KEEPTTL "); err != nil {
		return err
	}
	if err := o.expiry(c); err != nil {
		return err
	}
	if !o.nx && !o.xx && !o.get && !o.keep {
		c.out.ok()
		return putString(c.v, c.args[1], c.args[2], o.expireAt)
	}
	it, err := load(c.v, c.args[1])
	if err == nil && o.get && it.exists && it.kind != kindString {
		err = errWrongType
	}
	if err != nil {
		return err
	}
	done := !(o.nx && it.exists || o.xx && !it.exists)
	switch {
	case o.get:
		c.out.item(it)
	case done:
		c.out.ok()
	default:
		c.out.null()
	}
	if !done {
		return nil
	}
	if o.keep {
		o.expireAt = it.expireAt
	}
	return putString(c.v, c.args[1], c.args[2], o.expireAt)
}

func setFor(c *call, unit int64) error {
	word := "PX"
	if unit == 1000 {
		word = "EX"
	}
	at, err := expiry(c, c.args[2], word, c.name())
	if err != nil {
		return err
	}
	c.out.ok()
	return putString(c.v, c.args[1], c.args[3], at)
}

func getEx(c *call) error {
	var o setOptions
	if err := o.parse(c, 2, " PERSIST "); err != nil {
		return err
	}
	it, err := loadAs(c.v, c.args[1], kindString)
	if err != nil {
		return err
	}
	c.out.item(it)
	if !it.exists {
		return nil
	}
	if err := o.expiry(c); err != nil {
		return err
	}
	if !o.persist && o.expireAt == 0 || it.expireAt == o.expireAt {
		return nil
	}
	return putString(c.v, c.args[1], it.data, o.expireAt)
}

// replyMax bounds an answer of many values.
const replyMax = 256 << 20

func mget(c *call) error {
	c.out.array(len(c.args) - 1)
	for _, k := range c.args[1:] {
		it, err := load(c.v, k)
		if err != nil {
			return err
		}
		if it.kind != kindString {
			it.exists = false
		}
		c.out.item(it)
		if len(c.out.b) > replyMax {
			return redisError("ERR the answer is larger than 256 MiB; ask for fewer keys")
		}
	}
	return nil
}

func mset(c *call) error {
	for i := 1; i < len(c.args); i += 2 {
		if err := putString(c.v, c.args[i], c.args[i+1], 0); err != nil {
			return err
		}
	}
	return nil
}

func msetnx(c *call) error {
	for i := 1; i < len(c.args); i += 2 {
		if it, err := load(c.v, c.args[i]); err != nil || it.exists {
			c.out.int(0)
			return err
		}
	}
	c.out.int(1)
	return mset(c)
}

func appendTo(c *call) error {
	it, err := loadAs(c.v, c.args[1], kindString)
	if err != nil {
		return err
	}
	whole := slices.Concat(it.data, c.args[2])
	c.out.int(int64(len(whole)))
	return putString(c.v, c.args[1], whole, it.expireAt)
}

// bounds turns Redis's indexes, from the end when negative, into from and to of a
// slice of n.
func bounds(from, to int64, n int) (int, int) {
	size := int64(n)
	if from < 0 {
		from = max(from+size, 0)
	}
	if to < 0 {
		to = max(to+size, -1)
	}
	to = min(to, size-1)
	if from > to {
		return 0, 0
	}
	return int(from), int(to) + 1
}

func integers(args ...[]byte) ([]int64, error) {
	out := make([]int64, len(args))
	for i, a := range args {
		n, err := parseInteger(a)
		if err != nil {
			return nil, errNotInteger
		}
		out[i] = n
	}
	return out, nil
}

func getRange(c *call) error {
	n, err := integers(c.args[2], c.args[3])
	if err != nil {
		return err
	}
	it, err := loadAs(c.v, c.args[1], kindString)
	if err != nil {
		return err
	}
	from, to := bounds(n[0], max(n[1], -int64(len(it.data))), len(it.data)) // an end before the string is its first byte
	if n[0] < 0 && n[1] < 0 && n[0] > n[1] {
		from, to = 0, 0
	}
	c.out.bulk(it.data[from:to])
	return nil
}

func setRange(c *call) error {
	n, err := integers(c.args[2])
	if err != nil {
		return err
	}
	if n[0] < 0 {
		return redisError("ERR offset is out of range")
	}
	it, err := loadAs(c.v, c.args[1], kindString)
	if err != nil {
		return err
	}
	patch := c.args[3]
	if len(patch) == 0 {
		c.out.int(int64(len(it.data)))
		return nil
	}
	end := n[0] + int64(len(patch))
	if n[0] > argBytesMax || end > argBytesMax { // their sum may not fit a number
		return errTooLong
	}
	whole := make([]byte, max(int(end), len(it.data)))
	copy(whole, it.data)
	copy(whole[n[0]:], patch)
	c.out.int(int64(len(whole)))
	return putString(c.v, c.args[1], whole, it.expireAt)
}
