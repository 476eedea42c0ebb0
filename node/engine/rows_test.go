package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// A row is found under its generation and key, with its value or as absent.
func TestRows(t *testing.T) {
	r := rows{limit: 1 << 20}
	key := []byte("key")
	h := hashOf(key)
	if r.find(1, key, h) != nil {
		t.Error("found before anything was kept")
	}
	r.add(1, key, h, []byte("value"), false)
	key[0] = 'K' // the row has its own memory
	r.add(1, key, h, nil, true)
	for i, c := range []struct {
		gen   uint64
		key   string
		found bool
		value string
	}{{1, "key", true, "value"}, {1, "Key", true, ""}, {2, "key", false, ""}, {1, "ke", false, ""}, {1, "keyv", false, ""}} {
		o := r.find(c.gen, []byte(c.key), h)
		if (o != nil) != c.found {
			t.Errorf("case %d: found: %t", i, o != nil)
		} else if o != nil && (string(o.value()) != c.value || o.absent != (c.value == "")) {
			t.Errorf("case %d: value %q, absent %t", i, o.value(), o.absent)
		}
	}
	r.add(2, key, h, []byte("younger"), false)
	if o := r.find(2, key, h); o == nil || string(o.value()) != "younger" {
		t.Error("a row of a later generation is not found")
	}
	if r.find(1, key, h) != nil {
		t.Error("the row before it takes room")
	}
	r.add(1, []byte("long"), h, make([]byte, rowMax), false)
	if r.find(1, []byte("long"), h) != nil {
		t.Error("a value that is too long was kept")
	}
}

// What several readers keep stays within the limit, is counted right, and what is
// asked for again and again stays.
func TestRowsLimit(t *testing.T) {
	r := rows{limit: 1 << 20}
	hot := make([][]byte, 16)
	for i := range hot {
		hot[i] = fmt.Appendf(nil, "hot %d", i)
	}
	var misses [4]int
	var wg sync.WaitGroup
	for g := range misses {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 2))
			look := func(key []byte, n int) bool {
				h := hashOf(key)
				o := r.find(7, key, h)
				if o == nil {
					r.add(7, key, h, bytes.Repeat(key[:1], n), false)
					return false
				}
				if len(bytes.TrimLeft(o.value(), string(key[:1]))) != 0 {
					t.Errorf("%q has the value %q", key, o.value())
				}
				return true
			}
			for range 20_000 {
				look(fmt.Appendf(nil, "%d", rng.Uint32()), rng.IntN(1000))
				if !look(hot[rng.IntN(len(hot))], 100) {
					misses[g]++
				}
			}
		})
	}
	wg.Wait()
	held, n := int64(0), 0
	list := *r.buckets.Load()
	for bucket := range list {
		b := &list[bucket]
		held += bucketBytes
		for i := range b.rows {
			if o := b.rows[i].Load(); o != nil {
				held += o.bytes()
				n++
			}
		}
	}
	if held != r.used.Load() || held > r.limit || held < r.limit*3/4 {
		t.Errorf("%d bytes in %d rows, counted %d, limit %d", held, n, r.used.Load(), r.limit)
	}
	for g, n := range misses {
		if n > 100 {
			t.Errorf("reader %d: %d of 20000 look-ups of 16 hot keys missed", g, n)
		}
	}
	t.Logf("%d rows, misses %d", n, misses)
}
