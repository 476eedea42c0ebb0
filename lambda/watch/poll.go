package watch

import (
	"context"
	"errors"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
)

const (
	// seenMax is how many of a node's last segments are listed again at each look,
	// since archivers send several side by side. With what is new it is less than
	// the page of a listing.
	seenMax = 256
	// freshMax is how many new segments one look takes in.
	freshMax = 1024
)

// Poll lists at each interval what is new, and indexes it. It returns nil at the
// end of ctx, and an error when the first look fails.
func (w *Watcher) Poll(ctx context.Context) error {
	tails := map[string]*tail{}
	for first := true; ; first = false {
		err := w.look(ctx, tails)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			w.log().WarnContext(ctx, "look failed, the next one tries again", "error", err.Error())
		}
		w.pause(ctx)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// look takes in what is new of all nodes. One node's trouble does not hold back
// the others.
func (w *Watcher) look(ctx context.Context, tails map[string]*tail) error {
	nodes, err := w.nodes(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range nodes {
		t := tails[id]
		if t == nil {
			if t, err = w.begin(ctx, id); err == nil {
				tails[id] = t
			}
		} else {
			err = w.follow(ctx, t)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// begin catches up with a node, and remembers where its segments end.
func (w *Watcher) begin(ctx context.Context, nodeID string) (*tail, error) {
	c, err := w.Handler.CatchUp(ctx, nodeID)
	if err != nil {
		return nil, err
	}
	t := &tail{dir: archive.NodePrefix(nodeID) + "wal/"}
	for i := range c.Segments {
		if s := &c.Segments[i]; !s.PackedOnly {
			t.add(s.Object.Key)
		}
	}
	return t, nil
}

// follow lists once, and once more for each freshMax that are new.
func (w *Watcher) follow(ctx context.Context, t *tail) error {
	for {
		fresh, err := t.list(ctx, w.Handler.Store)
		if err != nil {
			return err
		}
		for _, o := range fresh {
			c := index.Change{Bucket: w.Handler.Bucket, Key: w.Handler.Prefix + o.Key, Size: o.Size, Created: true}
			// What is refused stays what it is.
			if err := w.Handler.Object(ctx, c); err != nil && !errors.Is(err, index.ErrPoison) {
				return err
			}
			t.add(o.Key)
		}
		if len(fresh) < freshMax {
			return nil
		}
	}
}

// tail is the end of a node's segments. Names of segments sort by timeline and
// LSN, and so does what is new, but for what is late.
//
// Invariant: seen is sorted, behind after, and no longer than seenMax.
type tail struct {
	dir   string
	after string // what is looked for sorts behind it
	seen  []string
}

func (t *tail) add(key string) {
	at, ok := slices.BinarySearch(t.seen, key)
	if ok || key <= t.after {
		return
	}
	t.seen = slices.Insert(t.seen, at, key)
	if len(t.seen) > seenMax {
		t.after = t.seen[0]
		t.seen = slices.Delete(t.seen, 0, 1)
	}
}

// list gives what is new, up to freshMax.
func (t *tail) list(ctx context.Context, s archive.Store) ([]archive.Object, error) {
	var fresh []archive.Object
	for o, err := range s.List(ctx, t.dir, t.after) {
		if err != nil {
			return nil, err
		}
		if _, ok := slices.BinarySearch(t.seen, o.Key); ok {
			continue
		}
		if fresh = append(fresh, o); len(fresh) == freshMax {
			break
		}
	}
	return fresh, nil
}
