package resp

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

func hashCommands() []command {
	return []command{
		{name: "hset", arity: -4, where: forWrite, keys: oneKey, run: func(c *call) error {
			added, err := hashSet(c)
			c.out.int(added)
			return err
		}},
		{name: "hmset", arity: -4, where: forWrite, keys: oneKey, run: func(c *call) error {
			c.out.ok()
			_, err := hashSet(c)
			return err
		}},
		{name: "hsetnx", arity: 4, where: forWrite, keys: oneKey, run: hashSetNew},
		{name: "hget", arity: 3, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			c.out.value(h.find(c.args[2]))
			return nil
		})},
		{name: "hmget", arity: -3, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			c.out.array(len(c.args) - 2)
			for _, f := range c.args[2:] {
				c.out.value(h.find(f))
				if len(c.out.b) > replyMax {
					return errReply
				}
			}
			return nil
		})},
		{name: "hgetall", arity: 2, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			c.out.mapping(h.n)
			for i := range h.elems {
				c.out.bulk(h.elems[i].key)
				c.out.bulk(h.elems[i].value)
			}
			return nil
		})},
		{name: "hkeys", arity: 2, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			c.out.elements(h.elems)
			return nil
		})},
		{name: "hvals", arity: 2, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			c.out.array(h.n)
			for i := range h.elems {
				c.out.bulk(h.elems[i].value)
			}
			return nil
		})},
		{name: "hdel", arity: -3, where: forWrite, keys: oneKey, run: func(c *call) error { return removeAll(c, kindHash) }},
		{name: "hlen", arity: 2, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			c.out.int(int64(h.n))
			return nil
		})},
		{name: "hexists", arity: 3, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			c.out.bool(h.find(c.args[2]) != nil)
			return nil
		})},
		{name: "hstrlen", arity: 3, where: forRead, keys: oneKey, run: onHash(func(c *call, h *collection) error {
			n := 0
			if e := h.find(c.args[2]); e != nil {
				n = len(e.value)
			}
			c.out.int(int64(n))
			return nil
		})},
		{name: "hincrby", arity: 4, where: forWrite, keys: oneKey, run: hashAdd},
		{name: "hincrbyfloat", arity: 4, where: forWrite, keys: oneKey, run: hashAddFloat},
		{name: "hrandfield", arity: -2, where: forRead, keys: oneKey, run: func(c *call) error { return randomOf(c, kindHash, "WITHVALUES") }},
		{name: "hscan", arity: -3, where: forRead, keys: oneKey, run: func(c *call) error { return scanIn(c, kindHash) }},
	}
}

const errReply = redisError("ERR the answer is larger than 256 MiB; ask for less")

// onHash reads the hash that the first argument names.
func onHash(run func(c *call, h *collection) error) func(*call) error { return on(kindHash, run) }

// on reads the collection that the first argument names.
func on(k kind, run func(c *call, coll *collection) error) func(*call) error {
	return func(c *call) error {
		coll, err := collect(c.v, c.args[1], k)
		if err != nil {
			return err
		}
		return run(c, coll)
	}
}

// value writes the value of a field, or that there is none.
func (r *reply) value(e *element) {
	if e == nil {
		r.null()
		return
	}
	r.bulk(e.value)
}

// elements writes an array of keys.
func (r *reply) elements(elems []element) {
	r.array(len(elems))
	for i := range elems {
		r.bulk(elems[i].key)
	}
}

func (c *call) errArity() error {
	return redisError("ERR wrong number of arguments for '" + c.name() + "' command")
}

func hashSet(c *call) (added int64, err error) {
	if len(c.args)%2 != 0 {
		return 0, c.errArity()
	}
	h, err := collect(c.v, c.args[1], kindHash)
	if err != nil {
		return 0, err
	}
	for i := 2; i < len(c.args); i += 2 {
		e, isNew := h.put(c.args[i])
		e.value = c.args[i+1]
		if isNew {
			added++
		}
	}
	return added, h.write(c.v)
}

func hashSetNew(c *call) error {
	h, err := collect(c.v, c.args[1], kindHash)
	if err != nil {
		return err
	}
	e, added := h.put(c.args[2])
	c.out.bool(added)
	if !added {
		return nil
	}
	e.value = c.args[3]
	return h.write(c.v)
}

// removeAll removes what the arguments name, and tells how many that were.
func removeAll(c *call, k kind) error {
	coll, err := collect(c.v, c.args[1], k)
	if err != nil {
		return err
	}
	before := coll.n
	for _, key := range c.args[2:] {
		coll.remove(key)
	}
	c.out.int(int64(before - coll.n))
	if coll.n == before {
		return nil
	}
	return coll.write(c.v)
}

func hashAdd(c *call) error {
	delta, err := integers(c.args[3])
	if err != nil {
		return err
	}
	h, err := collect(c.v, c.args[1], kindHash)
	if err != nil {
		return err
	}
	e, added := h.put(c.args[2])
	n, err := sum(item{exists: !added, data: e.value}, delta[0])
	if err == errNotInteger { //nolint:errorlint // sum's own
		return redisError("ERR hash value is not an integer")
	}
	if err != nil {
		return err
	}
	c.out.int(n)
	e.value = strconv.AppendInt(nil, n, 10)
	return h.write(c.v)
}

func hashAddFloat(c *call) error {
	delta, err := parseDecimal(c.args[3])
	if err != nil {
		return err
	}
	if delta.IsInf() {
		return redisError("ERR value is NaN or Infinity")
	}
	h, err := collect(c.v, c.args[1], kindHash)
	if err != nil {
		return err
	}
	e, added := h.put(c.args[2])
	was := []byte("0")
	if !added {
		was = e.value
	}
	f, err := parseDecimal(was)
	if err != nil {
		return redisError("ERR hash value is not a float")
	}
	text, err := addDecimal(f, delta)
	if err != nil {
		return err
	}
	c.out.bulk(text)
	e.value = text
	return h.write(c.v)
}

// randomOf answers random elements: one, up to count different ones, or, when count
// is negative, so many with repetitions. with asks for what belongs to them.
func randomOf(c *call, k kind, with string) error {
	if len(c.args) == 2 {
		coll, err := collect(c.v, c.args[1], k)
		if err != nil {
			return err
		}
		if coll.n == 0 {
			c.out.null()
			return nil
		}
		c.out.bulk(coll.elems[rand.IntN(coll.n)].key)
		return nil
	}
	if with == "" && len(c.args) > 3 {
		return errSyntax
	}
	n, err := integers(c.args[2])
	if err != nil {
		return err
	}
	if n[0] == math.MinInt64 {
		return errRange
	}
	if len(c.args) > 4 || len(c.args) == 4 && !strings.EqualFold(string(c.args[3]), with) {
		return errSyntax
	}
	if len(c.args) == 4 && (n[0] < -math.MaxInt64/2 || n[0] > math.MaxInt64/2) {
		return redisError("ERR value is out of range")
	}
	coll, err := collect(c.v, c.args[1], k)
	if err != nil {
		return err
	}
	count := n[0]
	next := func() *element { return &coll.elems[rand.IntN(len(coll.elems))] }
	switch {
	case coll.n == 0:
		count = 0
	case count < 0:
		count = -count
	default:
		count = min(count, int64(coll.n))
		coll.shuffle(int(count))
		i := -1
		next = func() *element { i++; return &coll.elems[i] }
	}
	return c.writeRandom(k, count, len(c.args) == 4, next)
}

func (c *call) writeRandom(k kind, count int64, pairs bool, next func() *element) error {
	if count > replyMax/4 {
		return errReply
	}
	if pairs && c.out.proto < 3 {
		c.out.array(2 * int(count))
	} else {
		c.out.array(int(count))
	}
	for range count {
		e := next()
		if pairs && c.out.proto == 3 {
			c.out.array(2)
		}
		c.out.bulk(e.key)
		switch {
		case pairs && k == kindHash:
			c.out.bulk(e.value)
		case pairs:
			c.out.double(e.score)
		}
		if len(c.out.b) > replyMax {
			return errReply
		}
	}
	return nil
}

// shuffle brings n random elements to the front.
func (c *collection) shuffle(n int) {
	for i := range n {
		j := i + rand.IntN(len(c.elems)-i)
		c.elems[i], c.elems[j] = c.elems[j], c.elems[i]
	}
}

// scanIn is HSCAN and its like. A collection is one value, which is read as a whole,
// so the first answer is the last: COUNT and the cursor change nothing.
func scanIn(c *call, k kind) error {
	if _, err := parseCursor(c.args[2]); err != nil {
		return err
	}
	coll, err := collect(c.v, c.args[1], k)
	if err != nil {
		return err
	}
	var o scanOptions
	if err := o.parse(c.args[3:], false); err != nil && coll.n > 0 { // Redis looks at the key first
		return err
	}
	var found []*element
	for i := range coll.elems {
		if o.pattern == nil || match(o.pattern, coll.elems[i].key) {
			found = append(found, &coll.elems[i])
		}
	}
	c.out.array(2)
	c.out.str("0")
	if k == kindSet {
		c.out.array(len(found))
	} else {
		c.out.array(2 * len(found))
	}
	for _, e := range found {
		c.out.bulk(e.key)
		switch k {
		case kindHash:
			c.out.bulk(e.value)
		case kindSorted:
			var buf [32]byte
			c.out.bulk(appendFloat(buf[:0], e.score))
		}
	}
	return nil
}
