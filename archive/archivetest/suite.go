package archivetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
)

// Run checks every promise of archive.Store. open gives a fresh, empty store
// each time, and cleans it up with the test.
func Run(t *testing.T, open func(t *testing.T) archive.Store) {
	cases := []struct {
		name string
		run  func(*testing.T, archive.Store)
	}{
		{"create once", testCreateOnce},
		{"create race", testCreateRace},
		{"absent", testAbsent},
		{"ranges", testRanges},
		{"empty object", testEmptyObject},
		{"large object", testLargeObject},
		{"odd keys", testOddKeys},
		{"hostile keys", testHostileKeys},
		{"list", testList},
		{"list many", testListMany},
		{"cancelled", testCancelled},
		{"cancelled midway", testCancelledMidway},
		{"bad body", testBadBody},
		{"delete", testDelete},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// mustCreate creates key and fails the test otherwise.
func mustCreate(t *testing.T, s archive.Store, key string, data []byte) {
	t.Helper()
	if err := s.Create(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatalf("Create(%q): %v", key, err)
	}
}

func wantContent(t *testing.T, s archive.Store, key string, want []byte) {
	t.Helper()
	got, err := readAll(t.Context(), s, key, 0, -1)
	if err != nil {
		t.Fatalf("read %q: %v", key, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("content of %q: got %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(want), want)
	}
	o, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatalf("Stat(%q): %v", key, err)
	}
	if o.Key != key || o.Size != int64(len(want)) || o.ModTime.IsZero() {
		t.Errorf("Stat(%q) = %+v, want the key, size %d and a time", key, o, len(want))
	}
}

func readAll(ctx context.Context, s archive.Store, key string, off, n int64) ([]byte, error) {
	r, err := s.ReadRange(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func listKeys(t *testing.T, s archive.Store, prefix, after string) []string {
	t.Helper()
	keys := []string{}
	for o, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("List(%q, %q): %v", prefix, after, err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func wantClass(t *testing.T, what string, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("%s: got error %v, want %v", what, err, class)
	}
}

// Law 7: a second Create changes nothing, whatever it brings.
func testCreateOnce(t *testing.T, s archive.Store) {
	first := []byte("first")
	mustCreate(t, s, "a/b/once", first)
	for _, second := range []string{"first", "other", ""} {
		err := s.Create(t.Context(), "a/b/once", strings.NewReader(second), int64(len(second)))
		wantClass(t, "second Create", err, archive.ErrExists)
	}
	wantContent(t, s, "a/b/once", first)
	if diff := cmp.Diff([]string{"a/b/once"}, listKeys(t, s, "", "")); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

// Law 7: of many at once, one wins, and the others know that they lost.
func testCreateRace(t *testing.T, s archive.Store) {
	const writers, rounds = 24, 4
	for round := range rounds {
		key := fmt.Sprintf("race/%d/target", round)
		bodies := make([][]byte, writers)
		errs := make([]error, writers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range writers {
			bodies[i] = bytes.Repeat([]byte{byte('a' + i)}, 10_000+i)
			wg.Go(func() {
				<-start
				errs[i] = s.Create(t.Context(), key, bytes.NewReader(bodies[i]), int64(len(bodies[i])))
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("writers %d and %d both created %s", winner, i, key)
			case err == nil:
				winner = i
			case errors.Is(err, archive.ErrThrottled): // a conflict that may be tried again
			default:
				wantClass(t, fmt.Sprintf("writer %d", i), err, archive.ErrExists)
			}
		}
		if winner < 0 {
			t.Fatalf("nobody created %s: %v", key, errors.Join(errs...))
		}
		wantContent(t, s, key, bodies[winner])
	}
}

func testAbsent(t *testing.T, s archive.Store) {
	mustCreate(t, s, "dir/there", []byte("x"))
	for _, key := range []string{"nothing", "dir", "dir/ther", "dir/there2", "dir/there/below"} {
		_, err := s.Stat(t.Context(), key)
		wantClass(t, "Stat "+key, err, archive.ErrNotFound)
		_, err = readAll(t.Context(), s, key, 0, -1)
		wantClass(t, "ReadRange "+key, err, archive.ErrNotFound)
		wantClass(t, "Delete "+key, s.Delete(t.Context(), key), archive.ErrNotFound)
	}
	wantContent(t, s, "dir/there", []byte("x"))
}

func testRanges(t *testing.T, s archive.Store) {
	data := []byte("0123456789")
	mustCreate(t, s, "ranges", data)
	for _, c := range []struct {
		off, n int64
		want   string
	}{
		{0, -1, "0123456789"}, {0, 10, "0123456789"}, {0, 3, "012"}, {3, 4, "3456"}, {9, 1, "9"},
		{4, -1, "456789"}, {8, 100, "89"}, {10, -1, ""}, {10, 5, ""}, {11, -1, ""}, {1000, 3, ""}, {5, 0, ""}, {0, 0, ""},
	} {
		got, err := readAll(t.Context(), s, "ranges", c.off, c.n)
		if err != nil || string(got) != c.want {
			t.Errorf("ReadRange(%d, %d) = %q, %v; want %q", c.off, c.n, got, err, c.want)
		}
	}
	_, err := s.ReadRange(t.Context(), "ranges", -1, 3)
	wantClass(t, "negative offset", err, archive.ErrRefused)
}

func testEmptyObject(t *testing.T, s archive.Store) {
	mustCreate(t, s, "empty", nil)
	wantContent(t, s, "empty", nil)
	if got, err := readAll(t.Context(), s, "empty", 0, 10); err != nil || len(got) != 0 {
		t.Errorf("ReadRange(0, 10) of an empty object = %q, %v", got, err)
	}
	wantClass(t, "second Create", s.Create(t.Context(), "empty", strings.NewReader("x"), 1), archive.ErrExists)
}

// testLargeObject is above the part size of a store that writes in parts, so
// the condition must travel with the parts as well (law 7).
func testLargeObject(t *testing.T, s archive.Store) {
	data := pattern(1, 12<<20+12345)
	mustCreate(t, s, "large", data)
	other := pattern(2, 12<<20)
	wantClass(t, "second large Create", s.Create(t.Context(), "large", bytes.NewReader(other), int64(len(other))), archive.ErrExists)
	wantClass(t, "second small Create", s.Create(t.Context(), "large", strings.NewReader("x"), 1), archive.ErrExists)
	wantContent(t, s, "large", data)
	for _, off := range []int64{0, 5<<20 - 1, int64(len(data)) - 7} {
		got, err := readAll(t.Context(), s, "large", off, 14)
		want := data[off:min(off+14, int64(len(data)))]
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("ReadRange(%d, 14) = %x, %v; want %x", off, got, err, want)
		}
	}
}

// pattern is data that no compression or repetition makes equal by chance.
func pattern(seed, n int) []byte {
	data := make([]byte, n)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range data {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	return data
}

func testDelete(t *testing.T, s archive.Store) {
	mustCreate(t, s, "d/one", []byte("1"))
	mustCreate(t, s, "d/two", []byte("2"))
	if err := s.Delete(t.Context(), "d/one"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantClass(t, "second Delete", s.Delete(t.Context(), "d/one"), archive.ErrNotFound)
	if diff := cmp.Diff([]string{"d/two"}, listKeys(t, s, "", "")); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	mustCreate(t, s, "d/one", []byte("again"))
	wantContent(t, s, "d/one", []byte("again"))
}

func sorted(keys []string) []string {
	out := slices.Clone(keys)
	slices.Sort(out)
	return out
}
