package resp

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

func unionKeys(command string) countedKey {
	return countedKey{errNotInteger, redisError("ERR at least 1 input key is needed for '" + command + "' command"), errSyntax, 0}
}

// cardKeysOf are those of ZINTERCARD.
var cardKeysOf = unionKeys("zintercard")

// combination is what ZUNION and its like are asked for.
type combination struct {
	sets      []*collection // sorted sets, or sets, whose members have score 1
	weights   []float64
	aggregate func(a, b float64) float64
	scores    bool
}

// addScores adds; inf and -inf are 0 together.
func addScores(a, b float64) float64 {
	if a += b; math.IsNaN(a) {
		return 0
	}
	return a
}

// What is not a number is neither lower nor higher, and -0 not lower than 0.
func lowerScore(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func higherScore(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// parse reads the number of keys at args[at], the keys, and the options behind them.
func (m *combination) parse(c *call, at int, weighted, store bool) error {
	keys, err := unionKeys(c.name()).of(c.args, at)
	if err != nil {
		return err
	}
	m.aggregate, m.weights = addScores, make([]float64, len(keys))
	for i := range m.weights {
		m.weights[i] = 1
	}
	if m.sets, err = collectScored(c.v, keys); err != nil {
		return err
	}
	rest := c.args[at+1+len(keys):]
	for len(rest) > 0 {
		switch word := strings.ToUpper(string(rest[0])); {
		case word == "WEIGHTS" && weighted && len(rest) > len(keys):
			for i := range keys {
				if m.weights[i], err = parseFloat(rest[1+i]); err != nil {
					return redisError("ERR weight value is not a float")
				}
			}
			rest = rest[1+len(keys):]
		case word == "AGGREGATE" && weighted && len(rest) > 1:
			switch strings.ToUpper(string(rest[1])) {
			case "SUM":
				m.aggregate = addScores
			case "MIN":
				m.aggregate = lowerScore
			case "MAX":
				m.aggregate = higherScore
			default:
				return errSyntax
			}
			rest = rest[2:]
		case word == "WITHSCORES" && !store:
			m.scores = true
			rest = rest[1:]
		default:
			return errSyntax
		}
	}
	return nil
}

// collectScored reads sorted sets, and sets as such.
func collectScored(v view, keys [][]byte) ([]*collection, error) {
	out := make([]*collection, len(keys))
	size := 0
	for i, key := range keys {
		it, err := load(v, key)
		if err != nil {
			return nil, err
		}
		k := kindSorted
		switch {
		case it.exists && it.kind == kindSet:
			k = kindSet
		case it.exists && it.kind != kindSorted:
			return nil, errWrongType
		}
		if out[i], err = fromItem(it, key, k); err != nil {
			return nil, err
		}
		if k == kindSet {
			for j := range out[i].elems {
				out[i].elems[j].score = 1
			}
		}
		if size += out[i].size(); size > replyMax {
			return nil, errReply
		}
	}
	return out, nil
}

// weigh is a score as the i-th set counts it.
func (m *combination) weigh(i int, score float64) float64 {
	if score *= m.weights[i]; math.IsNaN(score) {
		return 0
	}
	return score
}

// bySize is the order in which scores are put together: that of the sizes.
func (m *combination) bySize() []int {
	order := make([]int, len(m.sets))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.sets[a].n, m.sets[b].n) })
	return order
}

func sortedUnion(m *combination) []element {
	all := &collection{kind: kindSorted, index: make(map[string]int)}
	for _, i := range m.bySize() {
		for _, from := range m.sets[i].elems {
			score := m.weigh(i, from.score)
			e, added := all.put(from.key)
			if !added {
				score = m.aggregate(e.score, score)
			}
			e.score = score
		}
	}
	return all.elems
}

func sortedInter(m *combination) []element {
	var out []element
	order := m.bySize()
	for _, e := range m.sets[order[0]].elems {
		score := m.weigh(order[0], e.score)
		everywhere := true
		for _, i := range order[1:] {
			other := m.sets[i].find(e.key)
			if everywhere = other != nil; !everywhere {
				break
			}
			score = m.aggregate(score, m.weights[i]*other.score)
		}
		if everywhere {
			out = append(out, element{key: e.key, score: score})
		}
	}
	return out
}

func sortedDiff(m *combination) []element {
	return slices.DeleteFunc(m.sets[0].elems, func(e element) bool {
		for _, s := range m.sets[1:] {
			if s.find(e.key) != nil {
				return true
			}
		}
		return false
	})
}

func sortedAnswer(c *call, combine func(*combination) []element) error {
	var m combination
	if err := m.parse(c, 1, c.name() != "zdiff", false); err != nil {
		return err
	}
	out := combine(&m)
	slices.SortFunc(out, kindSorted.compare)
	if m.scores {
		c.out.pairs(out)
	} else {
		c.out.elements(out)
	}
	return nil
}

func sortedStore(c *call, combine func(*combination) []element) error {
	var m combination
	if err := m.parse(c, 2, c.name() != "zdiffstore", true); err != nil {
		return err
	}
	return storeResult(c, kindSorted, combine(&m))
}

func sortedInterCount(c *call) error {
	keys, err := cardKeysOf.of(c.args, 1)
	if err != nil {
		return err
	}
	sets, err := collectScored(c.v, keys)
	if err != nil {
		return err
	}
	limit, err := interOption(c.args[2+len(keys):])
	if err != nil {
		return err
	}
	m := combination{sets: sets, weights: make([]float64, len(sets)), aggregate: addScores}
	n := int64(len(sortedInter(&m)))
	if limit > 0 {
		n = min(n, limit)
	}
	c.out.int(n)
	return nil
}
