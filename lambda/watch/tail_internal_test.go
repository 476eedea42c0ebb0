package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/archive"
)

// What a tail remembers is bounded, and what it lists is new: all that sorts
// behind the last seenMax, and what is missing among them.
func TestTail(t *testing.T) {
	s, _, err := archive.OpenStore(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 3 * seenMax
	name := func(i int) string { return fmt.Sprintf("d/%06d", i) }
	put := func(i int) {
		if err := s.Create(t.Context(), name(i), strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	x := &tail{dir: "d/"}
	late := map[int]bool{5: true, n - 7: true}
	for i := range n {
		if !late[i] {
			put(i)
			x.add(name(i))
		}
	}
	if len(x.seen) != seenMax || !slices.IsSorted(x.seen) || x.after >= x.seen[0] {
		t.Fatalf("remembers %d from %s, after %s", len(x.seen), x.seen[0], x.after)
	}
	for i := range late {
		put(i)
	}
	put(n)
	fresh, err := x.list(context.Background(), s)
	if err != nil || len(fresh) != 2 || fresh[0].Key != name(n-7) || fresh[1].Key != name(n) {
		t.Errorf("new are %v, %v; want %s and %s", fresh, err, name(n-7), name(n))
	}
}
