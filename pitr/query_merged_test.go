package pitr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// readCounts tells how often each kind of object is read, and all requests.
type readCounts struct {
	wal, own, merged, all atomic.Int64
}

func (c *readCounts) plan(op archivetest.Op, key string, _ int) archivetest.Fault {
	c.all.Add(1)
	switch {
	case op != archivetest.OpRead:
	case strings.Contains(key, "/index/merged/"):
		c.merged.Add(1)
	case strings.Contains(key, "/index/"):
		c.own.Add(1)
	case strings.Contains(key, "/wal/"):
		c.wal.Add(1)
	}
	return archivetest.None
}

// manySegments is a life of n segments, of which some hold the key: the last values
// are told. All but the newest segments are in a merged index.
func manySegments(t *testing.T, n int, mem *memStore) (*kit, []string) {
	t.Helper()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	var want []string
	for i := range n {
		l.puts(5, fmt.Sprintf("other%d-", i), "value")
		if i%(n/4) == 2 {
			want = append(want, fmt.Sprintf("version %d", i))
			l.put("wanted", want[len(want)-1])
		}
		l.seal()
	}
	k.index(1)
	if r := k.merge(2); r.New != 1 || r.Indexes != n {
		t.Fatalf("%+v", r)
	}
	l.put("later", "not merged")
	l.seal()
	k.index(1)
	l.end()
	return k, want
}

func (k *kit) historyOf(t *testing.T, key string, o *QueryOptions) (values []string) {
	t.Helper()
	q, err := NewQuery(t.Context(), k.archives(), o)
	check(t, err)
	check(t, q.History(t.Context(), Range{}, 7, []byte(key), func(v *Version) error {
		values = append(values, string(v.Value))
		return nil
	}))
	return values
}

// One key of many segments: a merged index is asked once for all of them, the others
// where there is none, and what is damaged or gone costs time only.
func TestQueryByMergedIndex(t *testing.T) {
	mem := newMemStore()
	k, want := manySegments(t, 60, mem)
	read := func(mem *memStore) *readCounts {
		t.Helper()
		var c readCounts
		if got := k.over(t, archivetest.NewFaulty(mem, c.plan)).historyOf(t, "wanted", nil); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		return &c
	}
	c := read(mem)
	if c.merged.Load() > 12 || c.own.Load() > 2 || c.wal.Load() > 20 || c.merged.Load() == 0 {
		t.Errorf("reads: %d of the merged index, %d of the others, %d of segments", c.merged.Load(), c.own.Load(), c.wal.Load())
	}
	alone := mem.clone() // the indexes that are merged are not needed
	for _, key := range mem.keys("index/0")[:60] {
		check(t, alone.Delete(t.Context(), key))
	}
	if c := read(alone); c.wal.Load() > 20 {
		t.Errorf("%d reads of segments without the small indexes", c.wal.Load())
	}
	merged := mem.keys("index/merged/")[0]
	for what, hurt := range map[string]func(m *memStore){
		"gone":    func(m *memStore) { check(t, m.Delete(t.Context(), merged)) },
		"cut":     func(m *memStore) { m.change(merged, func(b []byte) []byte { return b[:len(b)-9] }) },
		"damaged": func(m *memStore) { m.change(merged, func(b []byte) []byte { b[8] ^= 1; b[len(b)/2] ^= 1; return b }) },
	} {
		broken := mem.clone()
		hurt(broken)
		if c := read(broken); c.wal.Load() > 20 || what != "damaged" && c.own.Load() < 60 {
			t.Errorf("%s: reads: %d of segments, %d of their indexes", what, c.wal.Load(), c.own.Load())
		}
	}
}

// What a key held takes few requests, at any position, however many segments there
// are: listings and the position's time included.
func TestGetRequests(t *testing.T) {
	k, want := manySegments(t, 60, newMemStore())
	for _, target := range []Target{{Latest: true}, {LSN: 17}, {LSN: 200}, {LSN: 290}} {
		for key, values := range map[string][]string{"wanted": want, "never": nil} {
			var c readCounts
			q, err := NewQuery(t.Context(), k.over(t, archivetest.NewFaulty(k.store, c.plan)).archives(), nil)
			check(t, err)
			v, err := q.Get(t.Context(), target, 7, []byte(key))
			check(t, err)
			held, stored := k.model[Position{Timeline: v.At.Timeline, LSN: v.At.LSN}][key]
			if v.Found != stored || string(v.Value) != held.value || stored != (len(values) > 0) {
				t.Errorf("%s at %v: %+v, want %+v", key, target, v, held)
			}
			if c.all.Load() > 20 {
				t.Errorf("%s at %v took %d requests", key, target, c.all.Load())
			}
		}
	}
}

// An index that names values which its segments do not hold is found out, and the
// segments are believed.
func TestQueryLyingIndex(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	l.put("k", "old")
	l.seal()
	l.put("k", "new")
	l.seal()
	l.put("end", "of life")
	l.end()
	c, err := k.arch.Catalog(t.Context())
	check(t, err)
	for _, s := range c.Segments {
		_, err := index.Build(t.Context(), k.arch, s, &index.Options{Decode: func(r *wal.Record, emit func(uint32, string, []byte, []byte, int64) error) error {
			return kv.Changes(r, func(tenant uint32, op string, key, value []byte, expireAt int64) error {
				return emit(tenant, op, key, append(bytes.Clone(value), '!'), expireAt)
			})
		}})
		check(t, err)
	}
	k.merge(2)
	q := k.query()
	for at := range k.model {
		q.checkGet(at, "k")
	}
	q.checkHistory(1, "k")
}

// wholeOnly refuses to read parts of segments.
type wholeOnly struct{ *memStore }

func (s wholeOnly) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if off > 0 && strings.Contains(key, "/wal/") {
		return nil, s.fail("read", key, archive.ErrUnreachable)
	}
	return s.memStore.ReadRange(ctx, key, off, n)
}

// A value whose frame cannot be read is taken from the whole segment.
func TestGetWholeSegment(t *testing.T) {
	mem := newMemStore()
	k, want := manySegments(t, 12, mem)
	k = k.over(t, wholeOnly{mem})
	v, err := k.query().Get(t.Context(), Target{LSN: k.highest()}, 7, []byte("wanted"))
	check(t, err)
	if last := want[len(want)-1]; string(v.Value) != last {
		t.Errorf("%q, want %q", v.Value, last)
	}
}

// Many ask at once, one asks the store; an error is an answer, but not that of
// somebody who gave up.
func TestMergedAnswers(t *testing.T) {
	var a mergedAnswers
	var asked atomic.Int64
	gate := make(chan struct{})
	errs := make(chan error, 10)
	bad := errors.New("damaged")
	for range cap(errs) {
		go func() {
			_, err := a.lookup(t.Context(), mergedAsk{}, func(context.Context) (index.Merged, error) {
				asked.Add(1)
				<-gate
				return nil, bad
			})
			errs <- err
		}()
	}
	close(gate)
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, bad) {
			t.Error(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("%d asked", asked.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 3 * mergedAnswersMax {
		ask := mergedAsk{store: i + 1}
		if i == 0 {
			_, _ = a.lookup(ctx, ask, func(ctx context.Context) (index.Merged, error) { return nil, ctx.Err() })
		}
		if m, err := a.lookup(t.Context(), ask, func(context.Context) (index.Merged, error) { return index.Merged{}, nil }); m == nil || err != nil {
			t.Fatalf("%v, %v", m, err)
		}
	}
	if len(a.known) > mergedAnswersMax {
		t.Errorf("%d answers are kept", len(a.known))
	}
}
