package watch_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
	"github.com/nodedb-go/nodedb/lambda/watch"
)

func poll(ctx context.Context, w *watch.Watcher) error {
	w.Handler.NodeID = nodeID
	return w.Poll(ctx)
}

// What was there before, what comes, what comes late and what is damaged are each
// told once; looks that find nothing cost one listing and nothing else.
func TestPoll(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 4)
	s.put(t, all[0])
	r := start(t, s, poll)
	r.want(t, all[0], index.Indexed)

	s.put(t, all[2])
	r.want(t, all[2], index.Indexed)
	s.put(t, all[1]) // a slower upload of the same archiver
	r.want(t, all[1], index.Indexed)
	all[3].data = []byte("no segment")
	s.put(t, all[3])
	r.want(t, all[3], index.Refused)

	// Listings of a look that is under way may come before the first idle one.
	<-s.listed
	<-s.listed
	s.taken()
	for range 20 {
		<-s.listed
	}
	if ops := s.taken(); len(ops) < 20 || slices.ContainsFunc(ops, func(op string) bool { return op != "list" }) {
		t.Errorf("idle looks cost %v, want listings only", ops)
	}
	if err := r.stop(); err != nil || len(r.told) > 0 {
		t.Errorf("ended with %v, and %d more results", err, len(r.told))
	}
}

// Without a name all nodes are watched, also those that come later.
func TestPollAllNodes(t *testing.T) {
	s, one, two := fileStore(t), segments(t, "n1", 2), segments(t, "n2", 1)
	s.put(t, one[0])
	r := start(t, s, func(ctx context.Context, w *watch.Watcher) error { return w.Poll(ctx) })
	r.want(t, one[0], index.Indexed)
	s.put(t, two[0])
	r.want(t, two[0], index.Indexed)
	s.put(t, one[1])
	r.want(t, one[1], index.Indexed)
}

// Trouble of the store is an error at the start only; later the segment waits.
func TestPollTrouble(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 2)
	s.trouble(unreachable)
	if err := poll(t.Context(), &watch.Watcher{Handler: &index.Handler{Store: s}}); !errors.Is(err, archive.ErrUnreachable) {
		t.Errorf("unreachable at the start: %v", err)
	}
	s.trouble(nil)
	s.put(t, all[0])
	r := start(t, s, poll)
	r.want(t, all[0], index.Indexed)
	s.trouble(unreachable)
	s.put(t, all[1])
	for range 5 {
		<-s.listed
	}
	s.trouble(nil)
	r.want(t, all[1], index.Indexed)
}
