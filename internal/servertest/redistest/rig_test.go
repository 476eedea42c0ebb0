package redistest

import (
	"context"
	"flag"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/internal/resp"
	"github.com/nodedb-go/nodedb/node"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	flag.Parse()
	os.Exit(m.Run())
}

// open gives a node on the file system as its package's defaults have it, but small.
func open(dir string) (*node.Node, error) {
	return node.Open(dir, &node.Options{NodeID: "shop", VShards: 4, SegmentBytes: 1 << 20, CheckpointInterval: -1, BallastBytes: -1})
}

// serve serves a new node on the listeners until the test ends.
func serve(t *testing.T, o resp.Options, listeners ...net.Listener) *node.Node {
	t.Helper()
	n, err := open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Node = n
	s := resp.New(o)
	done := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { done <- s.Serve(l) }()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		for range listeners {
			if err := <-done; err != nil {
				t.Errorf("serve: %v", err)
			}
		}
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func listen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	return listen(t, "tcp", "127.0.0.1:0")
}
