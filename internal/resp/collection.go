package resp

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// element is the field of a hash, the member of a set or sorted set, or the item of
// a list.
type element struct {
	key   []byte
	value []byte  // of a hash's field
	score float64 // in a sorted set
	gone  bool    // removed, until the collection is written
}

// collection is the value of a key, taken apart for one command. Its slices are
// those of the arguments and of the stored value.
type collection struct {
	name     []byte // the key
	kind     kind
	existed  bool
	expireAt int64

	// elems are in the order of the kind up to sorted; what was added comes behind.
	// Order is made again when the collection is written.
	elems  []element
	sorted int
	n      int            // elements that are not gone
	index  map[string]int // of what no search finds; nil: not needed yet
	looks  int            // without an index
}

const (
	collectionVersion = 1
	// elementsMax bounds what a small value can make of itself in memory.
	elementsMax = 1 << 20
	// looksMax searches by member read a sorted set through; then an index is made.
	looksMax = 8
)

var errElements = redisError(fmt.Sprintf("ERR a collection holds %d elements at most", elementsMax))

// collect reads the collection at a key; an absent one is empty.
func collect(v view, key []byte, k kind) (*collection, error) {
	it, err := loadAs(v, key, k)
	if err != nil {
		return nil, err
	}
	return fromItem(it, key, k)
}

func fromItem(it item, key []byte, k kind) (*collection, error) {
	c := &collection{name: key, kind: k, existed: it.exists, expireAt: it.expireAt}
	if !it.exists {
		return c, nil
	}
	var err error
	c.elems, err = decodeElements(k, it.data)
	c.sorted, c.n = len(c.elems), len(c.elems)
	return c, err
}

// write makes what the collection has become the value of its key: nothing, when it
// is empty.
func (c *collection) write(v view) error {
	c.tidy()
	if len(c.elems) == 0 {
		if !c.existed {
			return nil
		}
		return v.Delete(c.name)
	}
	if len(c.elems) > elementsMax {
		return errElements
	}
	return v.PutMillis(c.name, appendElements(appendMark(make([]byte, 0, c.size()), c.kind), c.kind, c.elems), c.expireAt)
}

// tidy drops what is gone and makes order.
func (c *collection) tidy() {
	c.elems = slices.DeleteFunc(c.elems, func(e element) bool { return e.gone })
	if c.kind != kindList && !slices.IsSortedFunc(c.elems, c.kind.compare) {
		slices.SortFunc(c.elems, c.kind.compare)
	}
	c.sorted, c.n, c.index = len(c.elems), len(c.elems), nil
}

// size is about how much is written.
func (c *collection) size() int {
	n := markLen + 1 + binary.MaxVarintLen64
	for i := range c.elems {
		n += len(c.elems[i].key) + len(c.elems[i].value) + 8 + 4
	}
	return n
}

// compare is the order of a kind's elements.
func (k kind) compare(a, b element) int {
	if k == kindSorted && a.score != b.score {
		return cmp.Compare(a.score, b.score)
	}
	return bytes.Compare(a.key, b.key)
}

// at is the place of an element, which may be gone, or -1. A list has no such
// places.
func (c *collection) at(key []byte) int {
	if c.kind != kindSorted {
		i, ok := slices.BinarySearchFunc(c.elems[:c.sorted], key, func(e element, key []byte) int { return bytes.Compare(e.key, key) })
		if ok {
			return i
		}
		if i, ok = c.index[string(key)]; ok {
			return i
		}
		return -1
	}
	if c.index == nil {
		if c.looks++; c.looks <= looksMax {
			return slices.IndexFunc(c.elems, func(e element) bool { return bytes.Equal(e.key, key) })
		}
		c.index = make(map[string]int, len(c.elems))
		for i := range c.elems {
			c.index[string(c.elems[i].key)] = i
		}
	}
	if i, ok := c.index[string(key)]; ok {
		return i
	}
	return -1
}

// find is an element or nil, until the next put.
func (c *collection) find(key []byte) *element {
	if i := c.at(key); i >= 0 && !c.elems[i].gone {
		return &c.elems[i]
	}
	return nil
}

// put is the element with a key, until the next put, and whether it is new.
func (c *collection) put(key []byte) (e *element, added bool) {
	i := c.at(key)
	if i >= 0 {
		e = &c.elems[i]
		if added = e.gone; added {
			*e = element{key: key}
			c.n++
		}
		return e, added
	}
	if c.index == nil && c.kind != kindSorted {
		c.index = make(map[string]int)
	}
	if c.index != nil {
		c.index[string(key)] = len(c.elems)
	}
	c.elems = append(c.elems, element{key: key})
	c.n++
	return &c.elems[len(c.elems)-1], true
}

func (c *collection) remove(key []byte) bool {
	e := c.find(key)
	if e == nil {
		return false
	}
	e.gone = true
	c.n--
	return true
}

// removeFrom removes the elements of [from, to), by place.
func (c *collection) removeFrom(from, to int) {
	for i := from; i < to; i++ {
		c.elems[i].gone = true
	}
	c.n -= to - from
}

// appendElements encodes elements that are in order.
func appendElements(dst []byte, k kind, elems []element) []byte {
	dst = append(dst, collectionVersion)
	dst = binary.AppendUvarint(dst, uint64(len(elems)))
	for i := range elems {
		e := &elems[i]
		if k == kindSorted {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(e.score))
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(e.key))), e.key...)
		if k == kindHash {
			dst = append(binary.AppendUvarint(dst, uint64(len(e.value))), e.value...)
		}
	}
	return dst
}

// decodeElements reads what appendElements writes, and nothing else. What it
// returns refers to data.
func decodeElements(k kind, data []byte) ([]element, error) {
	d := decoder{k: k, all: data, rest: data}
	if len(data) == 0 {
		return nil, d.damage("it has no version")
	}
	if data[0] != collectionVersion {
		return nil, fmt.Errorf("resp: stored %s has version %d, known is %d: read it with a newer nodedb", k, data[0], collectionVersion)
	}
	d.rest = data[1:]
	n, ok := d.uvarint()
	if !ok || n == 0 || n > elementsMax || n > uint64(len(d.rest)) {
		return nil, d.damage("its number of elements cannot be")
	}
	out := make([]element, 0, n)
	for range n {
		e, err := d.element()
		if err != nil {
			return nil, err
		}
		if len(out) > 0 && k != kindList && k.compare(out[len(out)-1], e) >= 0 {
			return nil, d.damage("its elements are not in order")
		}
		out = append(out, e)
	}
	if len(d.rest) != 0 {
		return nil, d.damage("there is something behind it")
	}
	return out, nil
}

type decoder struct {
	k         kind
	all, rest []byte
}

func (d *decoder) damage(what string) error {
	return fmt.Errorf("resp: stored %s is damaged at byte %d: %s", d.k, len(d.all)-len(d.rest), what)
}

func (d *decoder) element() (e element, err error) {
	if d.k == kindSorted {
		if len(d.rest) < 8 {
			return e, d.damage("it ends in a score")
		}
		e.score = math.Float64frombits(binary.LittleEndian.Uint64(d.rest))
		if math.IsNaN(e.score) {
			return e, d.damage("a score is not a number")
		}
		d.rest = d.rest[8:]
	}
	var ok bool
	if e.key, ok = d.bytes(); !ok {
		return e, d.damage("an element is cut off")
	}
	if d.k == kindHash {
		if e.value, ok = d.bytes(); !ok {
			return e, d.damage("a value is cut off")
		}
	}
	return e, nil
}

// uvarint reads a number in its only spelling.
func (d *decoder) uvarint() (uint64, bool) {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || size > 1 && d.rest[size-1] == 0 {
		return 0, false
	}
	d.rest = d.rest[size:]
	return n, true
}

func (d *decoder) bytes() ([]byte, bool) {
	n, ok := d.uvarint()
	if !ok || n > uint64(len(d.rest)) {
		return nil, false
	}
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out, true
}
