package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// The nodes of a store are the same by folders and by skipping from one to the
// next, whatever else lies there; and more than a page of them is no matter.
func TestNodes(t *testing.T) {
	mem, _, err := archive.OpenStore(t.Context(), "mem://x/some/prefix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mem.Close() })
	if _, ok := mem.(archive.FolderLister); !ok {
		t.Fatal("a bucket lists no folders")
	}
	var want []string
	for i := range 1100 {
		id := fmt.Sprintf("n%04d", i)
		want = append(want, id)
		for _, key := range []string{"format.json", "epoch/x"} {
			put(t, mem, archive.NodePrefix(id)+key)
		}
	}
	for _, id := range []string{"a", "a-b", "a.b"} {
		want = append(want, id)
		put(t, mem, archive.NodePrefix(id)+"x")
	}
	for _, stray := range []string{"_doctor/x", "UPPER/x", "lies-here"} {
		put(t, mem, "nodedb/v1/"+stray)
	}
	put(t, mem, "nodedb/v2/later/x")
	slices.Sort(want)
	for name, s := range map[string]archive.Store{"folders": mem, "skipping": archivetest.NewFaulty(mem, archivetest.Healthy)} {
		got, err := archive.Nodes(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if name == "skipping" {
			// An object right below the root is taken for a node by who cannot see folders.
			got = slices.DeleteFunc(got, func(id string) bool { return id == "lies-here" })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Nodes(ctx, mem); err == nil {
		t.Error("a listing that did not happen is an empty one")
	}
}

func put(t *testing.T, s archive.Store, key string) {
	t.Helper()
	if err := s.Create(t.Context(), key, bytes.NewReader([]byte("x")), 1); err != nil {
		t.Fatal(err)
	}
}
