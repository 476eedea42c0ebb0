package engine

import (
	"bytes"
	"errors"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"
)

// Iterator walks over keys in order, in one direction: First, SeekGE and Next, or
// Last and Prev. To turn round, call First or Last again. It is for one goroutine.
//
// Invariant: every source stands on its next key in the direction of the walk,
// which is beyond the current key.
type Iterator struct {
	lower, upper []byte
	sources      []source // of fronts, youngest first
	tables       *pebble.Iterator
	tablesOn     bool // tables stands on a key
	reverse      bool
	key, value   []byte
	err          error
}

// source is a sorted list of operations of one front. Of each key it shows the
// youngest operation that is visible.
type source struct {
	f       *front
	visible uint32
	list    []sortKey
	next    int // first, resp. last, that was not looked at yet
	cur     *op // nil: at the end
}

func newIterator(w *view, tables *pebble.Iterator, lower, upper []byte) *Iterator {
	it := &Iterator{lower: lower, upper: upper, tables: tables}
	if w.active != nil {
		it.addFront(w.active, w.visible)
	}
	for _, f := range w.frozen {
		it.addFront(f, f.limit)
	}
	return it
}

func (it *Iterator) addFront(f *front, visible uint32) {
	if visible == 0 || !f.mayHold(it.lower, it.upper) {
		return
	}
	base, tail := f.ordered(visible)
	for _, list := range [...][]sortKey{tail, base} {
		list = within(f, list, it.lower, it.upper)
		if len(list) > 0 {
			it.sources = append(it.sources, source{f: f, visible: visible, list: list})
		}
	}
}

// within cuts a sorted list to the keys in [lower, upper).
func within(f *front, list []sortKey, lower, upper []byte) []sortKey {
	if upper != nil {
		list = list[:f.searchGE(list, upper)]
	}
	return list[f.searchGE(list, lower):]
}

func (f *front) searchGE(list []sortKey, key []byte) int {
	return sort.Search(len(list), func(i int) bool {
		return bytes.Compare(f.key(f.op(list[i].i)), key) >= 0
	})
}

// forward moves to the next key of the list.
func (s *source) forward() {
	s.cur = nil
	for s.next < len(s.list) && s.cur == nil {
		from := s.next
		for s.next++; s.next < len(s.list) && s.f.compare(&s.list[from], &s.list[s.next]) == 0; s.next++ {
		}
		s.cur = s.youngest(s.list[from:s.next])
	}
}

// backward moves to the key before.
func (s *source) backward() {
	s.cur = nil
	for s.next >= 0 && s.cur == nil {
		to := s.next
		for s.next--; s.next >= 0 && s.f.compare(&s.list[to], &s.list[s.next]) == 0; s.next-- {
		}
		s.cur = s.youngest(s.list[s.next+1 : to+1])
	}
}

// youngest of the operations of one key, which are ordered by age.
func (s *source) youngest(ops []sortKey) *op {
	for _, k := range slices.Backward(ops) {
		if k.i < s.visible {
			return s.f.op(k.i)
		}
	}
	return nil
}

// First goes to the first key; false when there is none.
func (it *Iterator) First() bool {
	it.reverse = false
	it.tablesOn = it.tables.First()
	for i := range it.sources {
		it.sources[i].next = 0
		it.sources[i].forward()
	}
	return it.settle()
}

// Last goes to the last key; false when there is none.
func (it *Iterator) Last() bool {
	it.reverse = true
	it.tablesOn = it.tables.Last()
	for i := range it.sources {
		s := &it.sources[i]
		s.next = len(s.list) - 1
		s.backward()
	}
	return it.settle()
}

// SeekGE goes to the first key that is not below key; false when there is none.
func (it *Iterator) SeekGE(key []byte) bool {
	it.reverse = false
	it.tablesOn = it.tables.SeekGE(key)
	for i := range it.sources {
		s := &it.sources[i]
		s.next = s.f.searchGE(s.list, key)
		s.forward()
	}
	return it.settle()
}

// Next goes to the next key; false at the end.
func (it *Iterator) Next() bool { return it.step(false) }

// Prev goes to the key before; false at the end.
func (it *Iterator) Prev() bool { return it.step(true) }

func (it *Iterator) step(reverse bool) bool {
	if it.key == nil || it.err != nil {
		return false
	}
	if reverse != it.reverse {
		it.err = errors.New("engine: iterator cannot turn round")
		it.key = nil
		return false
	}
	it.skip(it.key)
	return it.settle()
}

// skip moves every source that stands on key.
func (it *Iterator) skip(key []byte) {
	// The tables' key may be the current key itself, so they move last.
	for i := range it.sources {
		s := &it.sources[i]
		if s.cur != nil && bytes.Equal(s.f.key(s.cur), key) {
			it.move(s)
		}
	}
	if it.tablesOn && bytes.Equal(it.tables.Key(), key) {
		if it.reverse {
			it.tablesOn = it.tables.Prev()
		} else {
			it.tablesOn = it.tables.Next()
		}
	}
}

func (it *Iterator) move(s *source) {
	if it.reverse {
		s.backward()
	} else {
		s.forward()
	}
}

// settle makes the first key of all sources the current one. Of sources with the
// same key the youngest decides; a key that it deletes is passed over.
func (it *Iterator) settle() bool {
	for {
		var best *source
		var key []byte
		for i := range it.sources {
			s := &it.sources[i]
			if s.cur == nil {
				continue
			}
			if k := s.f.key(s.cur); key == nil || it.before(k, key) {
				best, key = s, k
			}
		}
		if it.tablesOn && (key == nil || it.before(it.tables.Key(), key)) {
			return it.take(it.tables.Key())
		}
		if best == nil {
			it.key, it.value = nil, nil
			return false
		}
		if best.cur.kind == opSet {
			it.key, it.value = key, best.f.value(best.cur)
			return true
		}
		it.skip(key)
	}
}

// take makes the tables' key the current one.
func (it *Iterator) take(key []byte) bool {
	value, err := it.tables.ValueAndErr()
	if err != nil {
		it.err, it.key, it.value = err, nil, nil
		return false
	}
	it.key, it.value = key, value
	return true
}

// before says whether a comes before b in the direction of the walk.
func (it *Iterator) before(a, b []byte) bool {
	c := bytes.Compare(a, b)
	if it.reverse {
		return c > 0
	}
	return c < 0
}

// Key returns the current key, valid until the iterator moves.
func (it *Iterator) Key() []byte { return it.key }

// Value returns the current value, valid until the iterator moves.
func (it *Iterator) Value() []byte { return it.value }

// Err returns what ended the walk early, or nil.
func (it *Iterator) Err() error {
	if it.err != nil {
		return it.err
	}
	return it.tables.Error()
}

// Close ends the walk and returns Err.
func (it *Iterator) Close() error {
	err := it.err
	it.key, it.value, it.sources = nil, nil, nil
	return errors.Join(err, it.tables.Close())
}
