package pitr

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
)

// Restore without any base, from LSN 1, over a real file store.
func TestRestoreFromLSN1(t *testing.T) {
	store, err := archive.NewFileStore(t.TempDir())
	check(t, err)
	k := newKit(t, t.Context(), store)
	l := k.begin()
	l.put("a", "1")
	l.put("b", "2")
	l.seal()
	l.del("a")
	l.puts(20, "k", "v")
	l.end()

	fs, res := k.mustRestore(Target{Latest: true}, nil)
	if diff := cmp.Diff(k.model[Position{Timeline: 1, LSN: l.last}], k.content(fs, "/data/node"), cmp.AllowUnexported(modelEntry{})); diff != "" {
		t.Errorf("content (-model +restored):\n%s", diff)
	}
	if res.BaseLSN != 0 || res.Segments != 2 || res.Records != uint64(l.last) {
		t.Errorf("result: %+v", res)
	}
	meta, err := engine.ReadMeta(fs, "/data/node")
	check(t, err)
	if meta.TimelineClaimed || meta.Timeline != 2 || meta.FirstLSN != l.last+1 || meta.ForkLSN != l.last || meta.VShards != kitVShards {
		t.Errorf("node.json: %+v", meta)
	}
	names, err := fs.List("/data")
	check(t, err)
	if diff := cmp.Diff([]string{"node"}, names); diff != "" {
		t.Errorf("left beside the target (-want +got):\n%s", diff)
	}
}
