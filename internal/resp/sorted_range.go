package resp

import (
	"bytes"
	"slices"
	"strings"
)

// by is what a range of a sorted set is measured in.
type by uint8

const (
	byRank by = iota
	byScore
	byLex
)

func sortedRangeCommands() []command {
	ask := func(r sortedRange) func(*call) error {
		return func(c *call) error { return r.answer(c, c.args[1], 2) }
	}
	drop := func(by by) func(*call) error {
		return func(c *call) error { return removeRange(c, by) }
	}
	count := func(by by) func(*call) error {
		return func(c *call) error { return countRange(c, by) }
	}
	return []command{
		{name: "zrange", arity: -4, where: forRead, keys: oneKey, run: ask(sortedRange{free: true})},
		{name: "zrangestore", arity: -5, where: forWrite, keys: twoKeys, run: storeRange},
		{name: "zrevrange", arity: -4, where: forRead, keys: oneKey, run: ask(sortedRange{rev: true})},
		{name: "zrangebyscore", arity: -4, where: forRead, keys: oneKey, run: ask(sortedRange{by: byScore})},
		{name: "zrevrangebyscore", arity: -4, where: forRead, keys: oneKey, run: ask(sortedRange{by: byScore, rev: true})},
		{name: "zrangebylex", arity: -4, where: forRead, keys: oneKey, run: ask(sortedRange{by: byLex})},
		{name: "zrevrangebylex", arity: -4, where: forRead, keys: oneKey, run: ask(sortedRange{by: byLex, rev: true})},
		{name: "zcount", arity: 4, where: forRead, keys: oneKey, run: count(byScore)},
		{name: "zlexcount", arity: 4, where: forRead, keys: oneKey, run: count(byLex)},
		{name: "zremrangebyrank", arity: 4, where: forWrite, keys: oneKey, run: drop(byRank)},
		{name: "zremrangebyscore", arity: 4, where: forWrite, keys: oneKey, run: drop(byScore)},
		{name: "zremrangebylex", arity: 4, where: forWrite, keys: oneKey, run: drop(byLex)},
	}
}

// sortedRange is a range of a sorted set and how it is wanted.
type sortedRange struct {
	by            by
	free          bool // by and rev may be asked for
	rev           bool
	scores        bool
	store         bool // ZRANGESTORE
	limited       bool
	offset, count int64

	from, to   int64 // byRank
	low, high  scoreEnd
	first, end lexEnd
}

// options reads those behind the ends of the range.
func (r *sortedRange) options(args [][]byte) error {
	r.count = -1
	for i := 0; i < len(args); i++ {
		switch word := strings.ToUpper(string(args[i])); {
		case word == "WITHSCORES" && !r.store:
			r.scores = true
		case word == "LIMIT" && i+2 < len(args):
			n, err := integers(args[i+1], args[i+2])
			if err != nil {
				return err
			}
			r.limited, r.offset, r.count = true, n[0], n[1]
			i += 2
		case word == "BYSCORE" && r.free && r.by == byRank:
			r.by = byScore
		case word == "BYLEX" && r.free && r.by == byRank:
			r.by = byLex
		case word == "REV" && r.free && !r.rev:
			r.rev = true
		default:
			return errSyntax
		}
	}
	if r.limited && r.by == byRank && r.count != -1 {
		return redisError("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	}
	if r.scores && r.by == byLex {
		return redisError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
	}
	return nil
}

// ends reads where the range begins and ends; backwards it is the other way round.
func (r *sortedRange) ends(a, b []byte) error {
	if r.by == byRank {
		n, err := integers(a, b)
		if err == nil {
			r.from, r.to = n[0], n[1]
		}
		return err
	}
	if r.rev {
		a, b = b, a
	}
	if r.by == byScore {
		var errA, errB error
		r.low, errA = parseScoreEnd(a)
		r.high, errB = parseScoreEnd(b)
		if errA != nil || errB != nil {
			return redisError("ERR min or max is not a float")
		}
		return nil
	}
	var okA, okB bool
	r.first, okA = parseLexEnd(a)
	r.end, okB = parseLexEnd(b)
	if !okA || !okB {
		return redisError("ERR min or max not valid string range item")
	}
	return nil
}

// scoreEnd is one end of a range of scores.
type scoreEnd struct {
	score float64
	open  bool // the end itself is not in it
}

func parseScoreEnd(p []byte) (e scoreEnd, err error) {
	if len(p) > 0 && p[0] == '(' {
		e.open, p = true, p[1:]
	}
	e.score, err = parseEnd(p)
	return e, err
}

// lexEnd is one end of a range of members.
type lexEnd struct {
	member []byte
	open   bool
	beyond int // -1: before all members, 1: behind them
}

func parseLexEnd(p []byte) (lexEnd, bool) {
	switch {
	case len(p) == 0:
		return lexEnd{}, false
	case p[0] == '(' || p[0] == '[':
		return lexEnd{member: p[1:], open: p[0] == '('}, true
	case string(p) == "-":
		return lexEnd{beyond: -1}, true
	case string(p) == "+":
		return lexEnd{beyond: 1}, true
	}
	return lexEnd{}, false
}

// compare places a member before (-1), at (0), or behind (1) the end.
func (e lexEnd) compare(member []byte) int {
	if e.beyond != 0 {
		return -e.beyond
	}
	return bytes.Compare(member, e.member)
}

// below tells whether an element comes before the range.
func (r *sortedRange) below(e *element) bool {
	if r.by == byScore {
		return e.score < r.low.score || r.low.open && e.score == r.low.score
	}
	n := r.first.compare(e.key)
	return n < 0 || n == 0 && r.first.open
}

// above tells whether an element comes behind the range.
func (r *sortedRange) above(e *element) bool {
	if r.by == byScore {
		return e.score > r.high.score || r.high.open && e.score == r.high.score
	}
	n := r.end.compare(e.key)
	return n > 0 || n == 0 && r.end.open
}

// find gives the places [from, to) of the range. By member it makes sense among
// equal scores only, as in Redis.
func (r *sortedRange) find(elems []element) (from, to int) {
	if r.by == byRank {
		from, to = bounds(r.from, r.to, len(elems))
		if r.rev {
			from, to = len(elems)-to, len(elems)-from
		}
		return from, to
	}
	for from < len(elems) && r.below(&elems[from]) {
		from++
	}
	to = from
	for to < len(elems) && !r.above(&elems[to]) {
		to++
	}
	return from, to
}

// pick gives the elements of the range as they are wanted.
func (r *sortedRange) pick(elems []element) []element {
	from, to := r.find(elems)
	out := elems[from:to]
	if r.rev {
		out = slices.Clone(out)
		slices.Reverse(out)
	}
	if !r.limited || r.by == byRank {
		return out
	}
	if r.offset < 0 || r.offset >= int64(len(out)) {
		return nil
	}
	out = out[r.offset:]
	if r.count >= 0 {
		out = out[:min(r.count, int64(len(out)))]
	}
	return out
}

// read is the range of the sorted set at key that the arguments from the i-th on ask
// for.
func (r *sortedRange) read(c *call, key []byte, i int) ([]element, error) {
	if err := r.options(c.args[i+2:]); err != nil {
		return nil, err
	}
	if err := r.ends(c.args[i], c.args[i+1]); err != nil {
		return nil, err
	}
	z, err := collect(c.v, key, kindSorted)
	if err != nil {
		return nil, err
	}
	return r.pick(z.elems), nil
}

func (r sortedRange) answer(c *call, key []byte, i int) error {
	found, err := r.read(c, key, i)
	if err != nil {
		return err
	}
	if r.scores {
		c.out.pairs(found)
	} else {
		c.out.elements(found)
	}
	return nil
}

// storeRange is ZRANGESTORE.
func storeRange(c *call) error {
	r := sortedRange{free: true, store: true}
	found, err := r.read(c, c.args[2], 3)
	if err != nil {
		return err
	}
	return storeResult(c, kindSorted, slices.Clone(found))
}

func removeRange(c *call, by by) error {
	r := sortedRange{by: by}
	if err := r.ends(c.args[2], c.args[3]); err != nil {
		return err
	}
	z, err := collect(c.v, c.args[1], kindSorted)
	if err != nil {
		return err
	}
	from, to := r.find(z.elems)
	c.out.int(int64(to - from))
	if from == to {
		return nil
	}
	z.removeFrom(from, to)
	return z.write(c.v)
}

func countRange(c *call, by by) error {
	r := sortedRange{by: by}
	if err := r.ends(c.args[2], c.args[3]); err != nil {
		return err
	}
	z, err := collect(c.v, c.args[1], kindSorted)
	if err != nil {
		return err
	}
	from, to := r.find(z.elems)
	c.out.int(int64(to - from))
	return nil
}
