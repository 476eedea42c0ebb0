package archivetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
)

func testOddKeys(t *testing.T, s archive.Store) {
	keys := []string{
		"a b/c  d", "plus+and%25percent%", "ünïcödé/日本語", "q?x=1&y=2", "hash#frag", "semi;colon,comma",
		"quote'\"`", "paren()[]{}", "at@colon:", "tilde~-_.", "dots..in..name", "..leading", "trailing..", "tr../ailing../dots", "__0y2f__", "$&!*|<>^",
		"deep/" + strings.Repeat("x/", 50) + "end", strings.Repeat("n", 200),
	}
	for i, key := range keys {
		mustCreate(t, s, "odd/"+key, fmt.Appendf(nil, "content %d", i))
	}
	want := []string{}
	for i, key := range keys {
		wantContent(t, s, "odd/"+key, fmt.Appendf(nil, "content %d", i))
		want = append(want, "odd/"+key)
	}
	if diff := cmp.Diff(sorted(want), listKeys(t, s, "odd/", "")); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	for _, key := range keys {
		if err := s.Delete(t.Context(), "odd/"+key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
}

func testHostileKeys(t *testing.T, s archive.Store) {
	for _, key := range []string{
		"", "/", "/abs", "trailing/", "a//b", ".", "..", "../up", "a/../../b", "a/./b", "a/..", "nul\x00", "new\nline",
		"back\\slash", "bad\xffutf8", strings.Repeat("k", 1025), strings.Repeat("e", 256), ".nodedb-tmp-x", "a/.nodedb-tmp-x", "esc__0x2f__ape",
	} {
		wantClass(t, fmt.Sprintf("Create %.20q", key), s.Create(t.Context(), key, strings.NewReader("x"), 1), archive.ErrBadKey)
		_, err := s.Stat(t.Context(), key)
		wantClass(t, fmt.Sprintf("Stat %.20q", key), err, archive.ErrBadKey)
		_, err = s.ReadRange(t.Context(), key, 0, -1)
		wantClass(t, fmt.Sprintf("ReadRange %.20q", key), err, archive.ErrBadKey)
		wantClass(t, fmt.Sprintf("Delete %.20q", key), s.Delete(t.Context(), key), archive.ErrBadKey)
	}
	if got := listKeys(t, s, "", ""); len(got) > 0 {
		t.Errorf("hostile keys left %q", got)
	}
}

func testList(t *testing.T, s archive.Store) {
	// "-" and "." sort before "/", "0" after it: an order of names within a
	// directory is not the order of keys.
	keys := sorted([]string{"a", "b-c", "b.d", "b/a", "b/c/d", "b/c-d", "b/c.d", "b0", "b0/x", "c", "c1/d2/e3", "c1/d2/e4", "c1/d3", "é/x", "é/y"})
	files := make(map[string]bool)
	for _, key := range keys {
		if key == "b0" {
			continue // also a directory below, which a file system cannot hold
		}
		files[key] = true
		mustCreate(t, s, key, []byte(key))
	}
	for _, prefix := range []string{"", "a", "b", "b/", "b/c", "b/c/", "b-", "b0/", "c1/d", "c1/d2/", "c1/d2/e4", "é", "é/", "nothing", "nothing/at/all"} {
		for _, after := range append([]string{"", "0", "b/c", "b/c/", "b/zzz", "c1/d2", "zzz", "\U0010ffff"}, keys...) {
			want := []string{}
			for _, key := range keys {
				if files[key] && strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			if diff := cmp.Diff(want, listKeys(t, s, prefix, after)); diff != "" {
				t.Errorf("List(%q, %q) (-want +got):\n%s", prefix, after, diff)
			}
		}
	}
	for o, err := range s.List(t.Context(), "", "") {
		if err != nil || o.Size != int64(len(o.Key)) || o.ModTime.IsZero() {
			t.Errorf("listed %+v, %v; want size %d and a time", o, err, len(o.Key))
		}
		if o.Key == "b/a" {
			break // an early end must not hang or panic
		}
	}
}

// testListMany is more than two pages of any store.
func testListMany(t *testing.T, s archive.Store) {
	const n, workers = 2500, 8
	want := make([]string, n)
	next := make(chan int, n)
	for i := range n {
		want[i] = fmt.Sprintf("many/%02d/%016x", i/500, i)
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				if err := s.Create(t.Context(), want[i], strings.NewReader("x"), 1); err != nil {
					t.Errorf("Create(%q): %v", want[i], err)
				}
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(want, listKeys(t, s, "many/", "")); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	for _, i := range []int{0, 999, 1000, 1001, 2000, n - 2, n - 1} {
		if diff := cmp.Diff(append([]string{}, want[i+1:]...), listKeys(t, s, "many/", want[i])); diff != "" {
			t.Errorf("List after %q (-want +got):\n%s", want[i], diff)
		}
	}
}
