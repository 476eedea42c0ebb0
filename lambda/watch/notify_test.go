package watch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
	"github.com/nodedb-go/nodedb/lambda/watch"
)

// script is a listener that does, connection after connection, what it is given.
type script chan func(up func(), each func(index.Change)) error

func (s script) Listen(ctx context.Context, up func(), each func(index.Change)) error {
	select {
	case f := <-s:
		return f(up, each)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s script) notify(ctx context.Context, w *watch.Watcher) error {
	w.Handler.NodeID = nodeID
	return w.Notify(ctx, s)
}

func created(s sealed) index.Change {
	return index.Change{Key: s.key, Size: int64(len(s.data)), Created: true}
}

var errBroken = errors.New("connection reset")

// What is there, what is told, and what came while the connection was broken.
func TestNotify(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 4)
	s.put(t, all[0])
	l := make(script)
	r := start(t, s, l.notify)
	r.want(t, all[0], index.Indexed)

	l <- func(up func(), each func(index.Change)) error {
		up()
		s.put(t, all[1])
		each(created(all[1]))
		return errBroken
	}
	r.want(t, all[1], index.Indexed)
	s.put(t, all[2]) // nobody tells of it
	l <- func(func(), func(index.Change)) error { return errBroken }
	l <- func(up func(), _ func(index.Change)) error { up(); return errBroken }
	r.until(all[2]) // all[1] may be told once more, when the first listing came late

	// Trouble of the store keeps nothing back for ever.
	s.trouble(unreachable)
	s.put(t, all[3])
	l <- func(_ func(), each func(index.Change)) error { each(created(all[3])); return nil }
	for range 3 {
		<-s.listed // it tries to catch up
	}
	s.trouble(nil)
	r.until(all[3])
}

// More events than fit are found by a listing: none is lost, none is waited for.
func TestNotifyOverflow(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 2)
	s.hold()
	l := make(script)
	r := start(t, s, l.notify)
	l <- func(_ func(), each func(index.Change)) error {
		s.put(t, all[0])
		s.put(t, all[1])
		each(created(all[0]))
		<-s.entered // the worker is busy
		for range 5000 {
			each(index.Change{Key: all[0].key})
		}
		each(created(all[1]))
		close(s.held)
		return errBroken
	}
	r.until(all[1])
}

// What can have no index is told once, however often a listing finds it.
func TestNotifyLeft(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 2)
	all[0].data = []byte("no segment")
	s.put(t, all[0])
	l := make(script)
	r := start(t, s, l.notify)
	r.want(t, all[0], index.Refused)
	l <- func(up func(), _ func(index.Change)) error {
		s.put(t, all[1])
		up()
		return errBroken
	}
	r.want(t, all[1], index.Indexed)
}

func TestNotifyRefused(t *testing.T) {
	s := fileStore(t)
	l := make(script, 1)
	l <- func(func(), func(index.Change)) error { return watch.ErrNoNotifications }
	w := &watch.Watcher{Handler: &index.Handler{Store: s}}
	if err := l.notify(t.Context(), w); !errors.Is(err, watch.ErrNoNotifications) {
		t.Errorf("a store that tells nothing: %v", err)
	}
	s.trouble(unreachable)
	if err := l.notify(t.Context(), w); !errors.Is(err, archive.ErrUnreachable) {
		t.Errorf("unreachable at the start: %v", err)
	}
}
