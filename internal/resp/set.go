package resp

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

func setCommands() []command {
	return []command{
		{name: "sadd", arity: -3, where: forWrite, keys: oneKey, run: setAdd},
		{name: "srem", arity: -3, where: forWrite, keys: oneKey, run: func(c *call) error { return removeAll(c, kindSet) }},
		{name: "sismember", arity: 3, where: forRead, keys: oneKey, run: on(kindSet, func(c *call, s *collection) error {
			c.out.bool(s.find(c.args[2]) != nil)
			return nil
		})},
		{name: "smismember", arity: -3, where: forRead, keys: oneKey, run: on(kindSet, func(c *call, s *collection) error {
			c.out.array(len(c.args) - 2)
			for _, m := range c.args[2:] {
				c.out.bool(s.find(m) != nil)
			}
			return nil
		})},
		{name: "smembers", arity: 2, where: forRead, keys: oneKey, run: on(kindSet, func(c *call, s *collection) error {
			c.out.members(s.elems)
			return nil
		})},
		{name: "scard", arity: 2, where: forRead, keys: oneKey, run: on(kindSet, func(c *call, s *collection) error {
			c.out.int(int64(s.n))
			return nil
		})},
		{name: "spop", arity: -2, where: forWrite, keys: oneKey, run: setPop},
		{name: "srandmember", arity: -2, where: forRead, keys: oneKey, run: func(c *call) error { return randomOf(c, kindSet, "") }},
		{name: "smove", arity: 4, where: forWrite, keys: twoKeys, run: setMove},
		{name: "sscan", arity: -3, where: forRead, keys: oneKey, run: func(c *call) error { return scanIn(c, kindSet) }},
		{name: "sinter", arity: -2, where: forRead, keys: allKeys, run: func(c *call) error { return setAnswer(c, setInter) }},
		{name: "sunion", arity: -2, where: forRead, keys: allKeys, run: func(c *call) error { return setAnswer(c, setUnion) }},
		{name: "sdiff", arity: -2, where: forRead, keys: allKeys, run: func(c *call) error { return setAnswer(c, setDiff) }},
		{name: "sinterstore", arity: -3, where: forWrite, keys: allKeys, run: func(c *call) error { return setStore(c, setInter) }},
		{name: "sunionstore", arity: -3, where: forWrite, keys: allKeys, run: func(c *call) error { return setStore(c, setUnion) }},
		{name: "sdiffstore", arity: -3, where: forWrite, keys: allKeys, run: func(c *call) error { return setStore(c, setDiff) }},
		{name: "sintercard", arity: -3, where: forRead, keysOf: countedKeys(1, cardKeys), run: setInterCount},
	}
}

// members writes a set.
func (r *reply) members(elems []element) {
	r.set(len(elems))
	for i := range elems {
		r.bulk(elems[i].key)
	}
}

func setAdd(c *call) error {
	s, err := collect(c.v, c.args[1], kindSet)
	if err != nil {
		return err
	}
	before := s.n
	for _, m := range c.args[2:] {
		s.put(m)
	}
	c.out.int(int64(s.n - before))
	if s.n == before {
		return nil
	}
	return s.write(c.v)
}

func setPop(c *call) error {
	count := 1
	if len(c.args) > 3 {
		return errSyntax
	}
	if len(c.args) == 3 {
		var err error
		if count, err = popCount(c.args[2]); err != nil {
			return err
		}
	}
	s, err := collect(c.v, c.args[1], kindSet)
	if err != nil {
		return err
	}
	count = min(count, s.n)
	s.shuffle(count)
	popped := slices.Clone(s.elems[:count])
	switch {
	case len(c.args) == 3:
		c.out.members(popped)
	case count == 0:
		c.out.null()
	default:
		c.out.bulk(popped[0].key)
	}
	if count == 0 {
		return nil
	}
	s.removeFrom(0, count)
	return s.write(c.v)
}

func setMove(c *call) error {
	from, err := collect(c.v, c.args[1], kindSet)
	if err != nil {
		return err
	}
	if !from.existed { // then the other key may be anything
		c.out.int(0)
		return nil
	}
	to, err := collect(c.v, c.args[2], kindSet)
	if err != nil {
		return err
	}
	found := from.find(c.args[3]) != nil
	c.out.bool(found)
	if !found || bytes.Equal(c.args[1], c.args[2]) {
		return nil
	}
	from.remove(c.args[3])
	if err := from.write(c.v); err != nil {
		return err
	}
	if _, added := to.put(c.args[3]); !added {
		return nil
	}
	return to.write(c.v)
}

// setOf combines sets, of which there is one at least.
type setOf func(sets []*collection) []element

func setInter(sets []*collection) []element {
	slices.SortStableFunc(sets, func(a, b *collection) int { return cmp.Compare(a.n, b.n) })
	return slices.DeleteFunc(sets[0].elems, func(e element) bool {
		for _, s := range sets[1:] {
			if s.find(e.key) == nil {
				return true
			}
		}
		return false
	})
}

func setDiff(sets []*collection) []element {
	return slices.DeleteFunc(sets[0].elems, func(e element) bool {
		for _, s := range sets[1:] {
			if s.find(e.key) != nil {
				return true
			}
		}
		return false
	})
}

func setUnion(sets []*collection) []element {
	all := sets[0]
	for _, s := range sets[1:] {
		for i := range s.elems {
			all.put(s.elems[i].key)
		}
	}
	return all.elems
}

// collectAll reads several sets, each anew: the caller changes them.
func collectAll(v view, keys [][]byte) ([]*collection, error) {
	out := make([]*collection, len(keys))
	size := 0
	for i, k := range keys {
		var err error
		if out[i], err = collect(v, k, kindSet); err != nil {
			return nil, err
		}
		if size += out[i].size(); size > replyMax {
			return nil, errReply
		}
	}
	return out, nil
}

func setAnswer(c *call, combine setOf) error {
	sets, err := collectAll(c.v, c.args[1:])
	if err != nil {
		return err
	}
	c.out.members(combine(sets))
	return nil
}

func setStore(c *call, combine setOf) error {
	sets, err := collectAll(c.v, c.args[2:])
	if err != nil {
		return err
	}
	return storeResult(c, kindSet, combine(sets))
}

// storeResult makes elements the value of the first key, whatever it was before.
func storeResult(c *call, k kind, elems []element) error {
	was, err := load(c.v, c.args[1])
	if err != nil {
		return err
	}
	for i := range elems {
		elems[i].score = keptScore(elems[i].score)
	}
	out := &collection{name: c.args[1], kind: k, existed: was.exists, elems: elems}
	c.out.int(int64(len(elems)))
	return out.write(c.v)
}

// interOption reads LIMIT n, of which the last one counts, or nothing; 0 is no limit.
func interOption(args [][]byte) (limit int64, err error) {
	for ; len(args) > 0; args = args[2:] {
		if len(args) < 2 || !strings.EqualFold(string(args[0]), "LIMIT") {
			return 0, errSyntax
		}
		if limit, err = parseInteger(args[1]); err != nil || limit < 0 {
			return 0, redisError("ERR LIMIT can't be negative")
		}
	}
	return limit, nil
}

func setInterCount(c *call) error {
	keys, err := cardKeys.of(c.args, 1)
	if err != nil {
		return err
	}
	limit, err := interOption(c.args[2+len(keys):])
	if err != nil {
		return err
	}
	sets, err := collectAll(c.v, keys)
	if err != nil {
		return err
	}
	n := int64(len(setInter(sets)))
	if limit > 0 {
		n = min(n, limit)
	}
	c.out.int(n)
	return nil
}
