package resp

import (
	"bytes"
	"math"
	"slices"
	"strings"
)

func listCommands() []command {
	return []command{
		{name: "lpush", arity: -3, where: forWrite, keys: oneKey, run: func(c *call) error { return push(c, true, false) }},
		{name: "rpush", arity: -3, where: forWrite, keys: oneKey, run: func(c *call) error { return push(c, false, false) }},
		{name: "lpushx", arity: -3, where: forWrite, keys: oneKey, run: func(c *call) error { return push(c, true, true) }},
		{name: "rpushx", arity: -3, where: forWrite, keys: oneKey, run: func(c *call) error { return push(c, false, true) }},
		{name: "lpop", arity: -2, where: forWrite, keys: oneKey, run: func(c *call) error { return pop(c, true) }},
		{name: "rpop", arity: -2, where: forWrite, keys: oneKey, run: func(c *call) error { return pop(c, false) }},
		{name: "llen", arity: 2, where: forRead, keys: oneKey, run: on(kindList, func(c *call, l *collection) error {
			c.out.int(int64(l.n))
			return nil
		})},
		{name: "lrange", arity: 4, where: forRead, keys: oneKey, run: func(c *call) error {
			n, err := integers(c.args[2], c.args[3])
			if err != nil {
				return err
			}
			l, err := collect(c.v, c.args[1], kindList)
			if err != nil {
				return err
			}
			from, to := bounds(n[0], n[1], l.n)
			c.out.elements(l.elems[from:to])
			return nil
		}},
		{name: "lindex", arity: 3, where: forRead, keys: oneKey, run: on(kindList, listIndex)},
		{name: "lset", arity: 4, where: forWrite, keys: oneKey, run: listSet},
		{name: "lrem", arity: 4, where: forWrite, keys: oneKey, run: listRemove},
		{name: "ltrim", arity: 4, where: forWrite, keys: oneKey, run: listTrim},
		{name: "linsert", arity: 5, where: forWrite, keys: oneKey, run: listInsert},
		{name: "lpos", arity: -3, where: forRead, keys: oneKey, run: listPositions},
		{name: "lmove", arity: 5, where: forWrite, keys: twoKeys, run: func(c *call) error {
			from, err := atHead(c.args[3])
			if err != nil {
				return err
			}
			to, err := atHead(c.args[4])
			if err != nil {
				return err
			}
			return listMove(c, from, to)
		}},
		{name: "rpoplpush", arity: 3, where: forWrite, keys: twoKeys, run: func(c *call) error { return listMove(c, false, true) }},
		{name: "lmpop", arity: -4, where: forWrite, keysOf: countedKeys(1, popKeys), run: listPopFirst},
	}
}

// take removes n items from one end and gives them in the order of their removal.
func (c *collection) take(n int, head bool) []element {
	n = min(n, len(c.elems))
	c.n -= n
	if head {
		out := c.elems[:n]
		c.elems = c.elems[n:]
		return out
	}
	out := slices.Clone(c.elems[len(c.elems)-n:])
	c.elems = c.elems[:len(c.elems)-n]
	slices.Reverse(out)
	return out
}

// add puts items at one end, one after the other.
func (c *collection) add(head bool, items ...[]byte) {
	more := make([]element, len(items))
	for i, p := range items {
		more[i].key = p
	}
	if head {
		slices.Reverse(more)
		c.elems = append(more, c.elems...)
	} else {
		c.elems = append(c.elems, more...)
	}
	c.n += len(items)
}

func push(c *call, head, onlyOld bool) error {
	l, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	if onlyOld && !l.existed {
		c.out.int(0)
		return nil
	}
	l.add(head, c.args[2:]...)
	c.out.int(int64(l.n))
	return l.write(c.v)
}

// popCount is how many elements an argument asks for.
func popCount(arg []byte) (int, error) {
	n, err := integers(arg)
	if err != nil || n[0] < 0 {
		return 0, redisError("ERR value is out of range, must be positive")
	}
	return int(min(n[0], elementsMax)), nil
}

func pop(c *call, head bool) error {
	count := 1
	if len(c.args) > 3 {
		return c.errArity()
	}
	if len(c.args) == 3 {
		var err error
		if count, err = popCount(c.args[2]); err != nil {
			return err
		}
	}
	l, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	switch {
	case !l.existed && len(c.args) == 3:
		c.out.nullArray()
	case !l.existed:
		c.out.null()
	case count == 0:
		c.out.array(0)
	case len(c.args) == 3:
		c.out.elements(l.take(count, head))
		return l.write(c.v)
	default:
		c.out.bulk(l.take(1, head)[0].key)
		return l.write(c.v)
	}
	return nil
}

// place turns an index, from the end when negative, into one from the front; -1:
// it is outside.
func (c *collection) place(arg []byte) (int, error) {
	n, err := integers(arg)
	if err != nil {
		return -1, err
	}
	i := n[0]
	if i < 0 {
		i += int64(len(c.elems))
	}
	if i < 0 || i >= int64(len(c.elems)) {
		return -1, nil
	}
	return int(i), nil
}

func listIndex(c *call, l *collection) error {
	if !l.existed { // before the index is looked at
		c.out.null()
		return nil
	}
	i, err := l.place(c.args[2])
	if err != nil {
		return err
	}
	if i < 0 {
		c.out.null()
		return nil
	}
	c.out.bulk(l.elems[i].key)
	return nil
}

func listSet(c *call) error {
	l, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	if !l.existed {
		return errNoKey
	}
	i, err := l.place(c.args[2])
	if err != nil {
		return err
	}
	if i < 0 {
		return redisError("ERR index out of range")
	}
	l.elems[i].key = c.args[3]
	c.out.ok()
	return l.write(c.v)
}

func listRemove(c *call) error {
	n, err := integers(c.args[2])
	if err != nil {
		return err
	}
	l, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	left := int64(math.MaxInt64)
	if n[0] != 0 && n[0] != math.MinInt64 {
		left = max(n[0], -n[0])
	}
	before := l.n
	for i := range l.elems {
		at := i
		if n[0] < 0 {
			at = len(l.elems) - 1 - i
		}
		if left > 0 && bytes.Equal(l.elems[at].key, c.args[3]) {
			l.removeFrom(at, at+1)
			left--
		}
	}
	c.out.int(int64(before - l.n))
	if l.n == before {
		return nil
	}
	return l.write(c.v)
}

func listTrim(c *call) error {
	n, err := integers(c.args[2], c.args[3])
	if err != nil {
		return err
	}
	l, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	c.out.ok()
	from, to := bounds(n[0], n[1], l.n)
	if to-from == l.n {
		return nil
	}
	l.elems = l.elems[from:to]
	return l.write(c.v)
}

func listInsert(c *call) error {
	behind := 0
	switch strings.ToUpper(string(c.args[2])) {
	case "BEFORE":
	case "AFTER":
		behind = 1
	default:
		return errSyntax
	}
	l, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(l.elems, func(e element) bool { return bytes.Equal(e.key, c.args[3]) })
	switch {
	case !l.existed:
		c.out.int(0)
		return nil
	case i < 0:
		c.out.int(-1)
		return nil
	}
	l.elems = slices.Insert(l.elems, i+behind, element{key: c.args[4]})
	c.out.int(int64(len(l.elems)))
	return l.write(c.v)
}

// atHead tells LEFT from RIGHT.
func atHead(arg []byte) (bool, error) {
	switch strings.ToUpper(string(arg)) {
	case "LEFT":
		return true, nil
	case "RIGHT":
		return false, nil
	}
	return false, errSyntax
}

func listMove(c *call, from, to bool) error {
	src, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	if !src.existed { // then the other key may be anything
		c.out.null()
		return nil
	}
	dst := src
	if !bytes.Equal(c.args[1], c.args[2]) {
		if dst, err = collect(c.v, c.args[2], kindList); err != nil {
			return err
		}
	}
	moved := src.take(1, from)[0].key
	c.out.bulk(moved)
	dst.add(to, moved)
	if dst != src {
		if err := src.write(c.v); err != nil {
			return err
		}
	}
	return dst.write(c.v)
}

// listPopFirst is LMPOP: from the first list that is there.
func listPopFirst(c *call) error {
	keys, err := popKeys.of(c.args, 1)
	if err != nil {
		return err
	}
	rest := c.args[2+len(keys):]
	head, err := atHead(rest[0])
	if err != nil {
		return err
	}
	count, err := popOption(rest[1:])
	if err != nil {
		return err
	}
	for _, key := range keys {
		l, err := collect(c.v, key, kindList)
		if err != nil {
			return err
		}
		if !l.existed {
			continue
		}
		c.out.array(2)
		c.out.bulk(key)
		c.out.elements(l.take(count, head))
		return l.write(c.v)
	}
	c.out.nullArray()
	return nil
}

// popOption reads COUNT n, or nothing.
func popOption(args [][]byte) (int, error) {
	if len(args) == 0 {
		return 1, nil
	}
	if len(args) < 2 || !strings.EqualFold(string(args[0]), "COUNT") {
		return 0, errSyntax
	}
	n, err := integers(args[1])
	if err != nil || n[0] <= 0 {
		return 0, redisError("ERR count should be greater than 0")
	}
	if len(args) > 2 {
		return 0, errSyntax
	}
	return int(min(n[0], elementsMax)), nil
}
