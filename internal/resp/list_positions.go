package resp

import (
	"bytes"
	"math"
	"strings"
)

// positionOptions are those of LPOS.
type positionOptions struct {
	rank, count, most int64
	many              bool
}

func (o *positionOptions) parse(args [][]byte) error {
	o.rank = 1
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return errSyntax
		}
		n, err := integers(args[i+1])
		switch word := strings.ToUpper(string(args[i])); word {
		case "RANK":
			switch {
			case err != nil:
				return err
			case n[0] == 0:
				return redisError("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
			case n[0] == math.MinInt64:
				return errRange
			}
			o.rank = n[0]
		case "COUNT", "MAXLEN":
			if err != nil || n[0] < 0 {
				return redisError("ERR " + word + " can't be negative")
			}
			if word == "COUNT" {
				o.count, o.many = n[0], true
			} else {
				o.most = n[0]
			}
		default:
			return errSyntax
		}
	}
	return nil
}

// listPositions is LPOS.
func listPositions(c *call) error {
	var o positionOptions
	if err := o.parse(c.args[3:]); err != nil {
		return err
	}
	l, err := collect(c.v, c.args[1], kindList)
	if err != nil {
		return err
	}
	found := o.search(l.elems, c.args[2])
	switch {
	case o.many:
		c.out.array(len(found))
		for _, at := range found {
			c.out.int(int64(at))
		}
	case len(found) == 0:
		c.out.null()
	default:
		c.out.int(int64(found[0]))
	}
	return nil
}

func (o *positionOptions) search(elems []element, item []byte) []int {
	want := int64(1)
	if o.many {
		want = o.count
		if want == 0 {
			want = int64(len(elems))
		}
	}
	skip := max(o.rank, -o.rank) - 1
	var found []int
	for i := range elems {
		if o.most > 0 && int64(i) == o.most || int64(len(found)) == want {
			break
		}
		at := i
		if o.rank < 0 {
			at = len(elems) - 1 - i
		}
		if !bytes.Equal(elems[at].key, item) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		found = append(found, at)
	}
	return found
}
