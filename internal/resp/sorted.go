package resp

import (
	"bytes"
	"math"
	"slices"
	"strings"
)

func sortedCommands() []command {
	return append(sortedRangeCommands(), []command{
		{name: "zadd", arity: -4, where: forWrite, keys: oneKey, run: func(c *call) error { return sortedAdd(c, false) }},
		{name: "zincrby", arity: 4, where: forWrite, keys: oneKey, run: func(c *call) error { return sortedAdd(c, true) }},
		{name: "zrem", arity: -3, where: forWrite, keys: oneKey, run: func(c *call) error { return removeAll(c, kindSorted) }},
		{name: "zcard", arity: 2, where: forRead, keys: oneKey, run: on(kindSorted, func(c *call, z *collection) error {
			c.out.int(int64(z.n))
			return nil
		})},
		{name: "zscore", arity: 3, where: forRead, keys: oneKey, run: on(kindSorted, func(c *call, z *collection) error {
			c.out.score(z.find(c.args[2]))
			return nil
		})},
		{name: "zmscore", arity: -3, where: forRead, keys: oneKey, run: on(kindSorted, func(c *call, z *collection) error {
			c.out.array(len(c.args) - 2)
			for _, m := range c.args[2:] {
				c.out.score(z.find(m))
			}
			return nil
		})},
		{name: "zrank", arity: -3, where: forRead, keys: oneKey, run: func(c *call) error { return sortedRank(c, false) }},
		{name: "zrevrank", arity: -3, where: forRead, keys: oneKey, run: func(c *call) error { return sortedRank(c, true) }},
		{name: "zpopmin", arity: -2, where: forWrite, keys: oneKey, run: func(c *call) error { return sortedPop(c, false) }},
		{name: "zpopmax", arity: -2, where: forWrite, keys: oneKey, run: func(c *call) error { return sortedPop(c, true) }},
		{name: "zmpop", arity: -4, where: forWrite, keysOf: countedKeys(1, popKeys), run: sortedPopFirst},
		{name: "zrandmember", arity: -2, where: forRead, keys: oneKey, run: func(c *call) error { return randomOf(c, kindSorted, "WITHSCORES") }},
		{name: "zscan", arity: -3, where: forRead, keys: oneKey, run: func(c *call) error { return scanIn(c, kindSorted) }},
		{name: "zunion", arity: -3, where: forRead, keysOf: countedKeys(1, unionKeys("zunion")), run: func(c *call) error { return sortedAnswer(c, sortedUnion) }},
		{name: "zinter", arity: -3, where: forRead, keysOf: countedKeys(1, unionKeys("zinter")), run: func(c *call) error { return sortedAnswer(c, sortedInter) }},
		{name: "zdiff", arity: -3, where: forRead, keysOf: countedKeys(1, unionKeys("zdiff")), run: func(c *call) error { return sortedAnswer(c, sortedDiff) }},
		{name: "zunionstore", arity: -4, where: forWrite, keysOf: countedKeys(2, unionKeys("zunionstore")), run: func(c *call) error { return sortedStore(c, sortedUnion) }},
		{name: "zinterstore", arity: -4, where: forWrite, keysOf: countedKeys(2, unionKeys("zinterstore")), run: func(c *call) error { return sortedStore(c, sortedInter) }},
		{name: "zdiffstore", arity: -4, where: forWrite, keysOf: countedKeys(2, unionKeys("zdiffstore")), run: func(c *call) error { return sortedStore(c, sortedDiff) }},
		{name: "zintercard", arity: -3, where: forRead, keysOf: countedKeys(1, cardKeysOf), run: sortedInterCount},
	}...)
}

// score writes the score of a member, or that there is none.
func (r *reply) score(e *element) {
	if e == nil {
		r.null()
		return
	}
	r.double(e.score)
}

// pairs writes members with their scores: one by one in RESP3.
func (r *reply) pairs(elems []element) {
	if r.proto == 3 {
		r.array(len(elems))
	} else {
		r.array(2 * len(elems))
	}
	for i := range elems {
		if r.proto == 3 {
			r.array(2)
		}
		r.bulk(elems[i].key)
		r.double(elems[i].score)
	}
}

// addOptions are those of ZADD.
type addOptions struct{ nx, xx, gt, lt, changed, incr bool }

// parse reads options up to the first other word, and tells how many there are.
func (o *addOptions) parse(args [][]byte) int {
	for i, a := range args {
		switch strings.ToUpper(string(a)) {
		case "NX":
			o.nx = true
		case "XX":
			o.xx = true
		case "GT":
			o.gt = true
		case "LT":
			o.lt = true
		case "CH":
			o.changed = true
		case "INCR":
			o.incr = true
		default:
			return i
		}
	}
	return len(args)
}

func (o *addOptions) check(pairs [][]byte) error {
	switch {
	case len(pairs) == 0 || len(pairs)%2 != 0:
		return errSyntax
	case o.nx && o.xx:
		return redisError("ERR XX and NX options at the same time are not compatible")
	case o.gt && o.nx || o.lt && o.nx || o.gt && o.lt:
		return redisError("ERR GT, LT, and/or NX options at the same time are not compatible")
	case o.incr && len(pairs) > 2:
		return redisError("ERR INCR option supports a single increment-element pair")
	}
	return nil
}

// allows tells whether an element that is there may get a score.
func (o *addOptions) allows(was, score float64) bool {
	return !o.nx && !(o.gt && score <= was) && !(o.lt && score >= was)
}

// sortedAdd is ZADD, and ZINCRBY, whose arguments are those of ZADD key INCR.
func sortedAdd(c *call, plainIncr bool) error {
	o := addOptions{incr: plainIncr}
	pairs := c.args[2:]
	if !plainIncr {
		pairs = pairs[o.parse(pairs):]
	}
	if err := o.check(pairs); err != nil {
		return err
	}
	scores := make([]float64, len(pairs)/2)
	for i := range scores {
		var err error
		if scores[i], err = parseFloat(pairs[2*i]); err != nil {
			return err
		}
	}
	z, err := collect(c.v, c.args[1], kindSorted)
	if err != nil {
		return err
	}
	var added, changed int64
	done := false
	for i, score := range scores {
		isNew, isOther, did, err := z.setScore(&o, pairs[2*i+1], &score)
		if err != nil {
			return err
		}
		added, changed, done = added+isNew, changed+isOther, did
		scores[i] = score
	}
	switch {
	case o.incr && !done:
		c.out.null()
	case o.incr:
		c.out.double(scores[0])
	case o.changed:
		c.out.int(added + changed)
	default:
		c.out.int(added)
	}
	if added+changed == 0 {
		return nil
	}
	return z.write(c.v)
}

// setScore gives a member a score, or adds it, and says what that was: 1 for a new
// member, or 1 for another score, and whether the options let it happen.
func (c *collection) setScore(o *addOptions, member []byte, score *float64) (added, changed int64, done bool, err error) {
	e := c.find(member)
	if e == nil {
		if o.xx {
			return 0, 0, false, nil
		}
		e, _ = c.put(member)
		e.score = keptScore(*score)
		return 1, 0, true, nil
	}
	if o.incr && !o.nx {
		if *score += e.score; math.IsNaN(*score) {
			return 0, 0, false, redisError("ERR resulting score is not a number (NaN)")
		}
	}
	if !o.allows(e.score, *score) {
		return 0, 0, false, nil
	}
	if e.score != *score {
		e.score, changed = keptScore(*score), 1
	}
	return 0, changed, true, nil
}

// keptScore is a score as it is kept: -0 becomes 0, as in a sorted set of Redis that is
// small.
func keptScore(f float64) float64 {
	if f == 0 {
		return 0
	}
	return f
}

func sortedRank(c *call, rev bool) error {
	with := false
	if len(c.args) > 3 {
		if len(c.args) > 4 {
			return c.errArity()
		}
		if with = strings.EqualFold(string(c.args[3]), "WITHSCORE"); !with {
			return errSyntax
		}
	}
	z, err := collect(c.v, c.args[1], kindSorted)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(z.elems, func(e element) bool { return bytes.Equal(e.key, c.args[2]) })
	if i < 0 {
		if with {
			c.out.nullArray()
		} else {
			c.out.null()
		}
		return nil
	}
	score := z.elems[i].score
	if rev {
		i = z.n - 1 - i
	}
	if with {
		c.out.array(2)
	}
	c.out.int(int64(i))
	if with {
		c.out.double(score)
	}
	return nil
}

// popScores removes the n lowest or highest members and gives them in that order.
func (c *collection) popScores(n int, highest bool) []element { return c.take(n, !highest) }

func sortedPop(c *call, highest bool) error {
	if len(c.args) > 3 {
		return errSyntax
	}
	count := 1
	if len(c.args) == 3 {
		var err error
		if count, err = popCount(c.args[2]); err != nil {
			return err
		}
	}
	z, err := collect(c.v, c.args[1], kindSorted)
	if err != nil {
		return err
	}
	popped := z.popScores(count, highest)
	if len(c.args) == 2 && len(popped) == 1 {
		c.out.array(2)
		c.out.bulk(popped[0].key)
		c.out.double(popped[0].score)
	} else {
		c.out.pairs(popped)
	}
	if len(popped) == 0 {
		return nil
	}
	return z.write(c.v)
}

// sortedPopFirst is ZMPOP: from the first sorted set that is there.
func sortedPopFirst(c *call) error {
	keys, err := popKeys.of(c.args, 1)
	if err != nil {
		return err
	}
	rest := c.args[2+len(keys):]
	highest := strings.EqualFold(string(rest[0]), "MAX")
	if !highest && !strings.EqualFold(string(rest[0]), "MIN") {
		return errSyntax
	}
	count, err := popOption(rest[1:])
	if err != nil {
		return err
	}
	for _, key := range keys {
		z, err := collect(c.v, key, kindSorted)
		if err != nil {
			return err
		}
		if !z.existed {
			continue
		}
		popped := z.popScores(count, highest)
		c.out.array(2)
		c.out.bulk(key)
		c.out.array(len(popped)) // of pairs, also in RESP2
		for i := range popped {
			c.out.array(2)
			c.out.bulk(popped[i].key)
			c.out.double(popped[i].score)
		}
		return z.write(c.v)
	}
	c.out.nullArray()
	return nil
}
