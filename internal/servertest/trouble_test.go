package servertest

import (
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

// A fifth of all requests meets trouble, on the way to the archive and on the
// way back. Nothing is lost, nothing is overwritten, and the state comes back
// equal (laws 6 and 7).
func TestNodeThroughTrouble(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p, err := NewProxy(server.Endpoint, seed, 0.2, 50*time.Millisecond, Throttle, Broken, LostAck, CutBody, Slow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	b := bucket(t)
	s := open(t, "s3://"+b+"?endpoint="+url.QueryEscape(p.URL))
	root := t.TempDir()
	n, err := node.Open(filepath.Join(root, "node"), nodeOptions(s))
	for range 10 { // a start may be refused, saying why; it must not be half done
		if err == nil {
			break
		}
		t.Logf("open: %v", err)
		n, err = node.Open(filepath.Join(root, "node"), nodeOptions(s))
	}
	if err != nil {
		t.Fatal(err)
	}
	load(t, n, 1)
	d := digestOf(t, n)
	archiveAll(t, n)
	before := etags(t, b)
	load(t, n, 2)
	last := digestOf(t, n)
	archiveAll(t, n)
	shutDown(t, n)
	after := etags(t, b)
	for key, tag := range before {
		if after[key] != tag {
			t.Errorf("Law 7: %s was %s, is %s", key, tag, after[key])
		}
	}
	if err := os.RemoveAll(n.Dir()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]node.DigestResult{"first": d, "last": last} {
		if r := restoreTo(t, s, pitr.Target{LSN: want.LSN}, filepath.Join(root, name)); r.Digest != want.Digest {
			t.Errorf("%s: digest %s, want %s", name, r.Digest, want.Digest)
		}
	}
	for _, kind := range []Trouble{Throttle, Broken, LostAck, CutBody, Slow} {
		t.Logf("%s: %d", kind, p.Count(kind))
	}
	if p.Count(LostAck)+p.Count(CutBody)+p.Count(Broken)+p.Count(Throttle) == 0 {
		t.Error("no request met any trouble")
	}
}
