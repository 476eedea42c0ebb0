package engine

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// Reader reads the state of a vshard: what is applied now, or at a Snapshot. It
// may be used by any number of goroutines while its Ref or Snapshot is held.
type Reader interface {
	// Get returns the value of a key, valid until the closer is closed, which
	// must be done. ErrNotFound when there is none.
	Get(key []byte) (value []byte, closer io.Closer, err error)

	// NewIter walks over the keys in [lower, upper), as they are at the time of
	// the call. Close it before the Ref or Snapshot.
	NewIter(lower, upper []byte) (*Iterator, error)
}

// ErrNotFound is returned by Reader.Get for a key that is not there.
var ErrNotFound = pebble.ErrNotFound

// view is what a reader may see: a moment of the vshard. Views are immutable and
// replaced as a whole.
//
// Invariant: fronts and tables together hold every applied record up to the mark,
// each perhaps twice. The tables may hold younger ones, of fronts that were
// frozen after this view was current.
type view struct {
	gen     uint64   // another whenever a front is frozen; no two vshards have the same
	replay  bool     // tables come that were no front
	active  *front   // nil: nothing was written since the last freeze
	visible uint32   // operations of active that readers see
	bytes   int      // of memory that active uses
	frozen  []*front // youngest first
	mark    mark
}

// live reads what is applied now.
type live VShard

// Get is part of Reader.
func (l *live) Get(key []byte) ([]byte, io.Closer, error) {
	return (*VShard)(l).get(l.view.Load(), key)
}

// get looks a key up in a view, and where the fronts do not decide in the tables.
func (v *VShard) get(w *view, key []byte) ([]byte, io.Closer, error) {
	h := hashOf(key)
	if value, found, err := w.find(key, h); found {
		return value, noCloser{}, err
	}
	rows := &v.shared.rows
	if o := rows.find(w.gen, key, h); o != nil {
		if o.absent {
			return nil, nil, ErrNotFound
		}
		return o.value(), noCloser{}, nil
	}
	value, closer, err := v.store.db.Get(key)
	absent := err != nil && errors.Is(err, ErrNotFound)
	if (err == nil || absent) && !w.replay {
		rows.add(w.gen, key, h, value, absent)
	}
	return value, closer, err
}

// NewIter is part of Reader.
func (l *live) NewIter(lower, upper []byte) (*Iterator, error) {
	v := (*VShard)(l)
	var tables *pebble.Iterator
	w, err := v.consistent(func() (err error) {
		tables, err = v.store.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		return err
	}, func() error { return tables.Close() })
	if err != nil {
		return nil, err
	}
	return newIterator(w, tables, lower, upper), nil
}

// find looks into the fronts. found says that they decide; err is ErrNotFound
// when the youngest operation is a delete. h is hashOf(key).
func (w *view) find(key []byte, h uint32) (value []byte, found bool, err error) {
	if w.active != nil {
		if o := w.active.find(key, h, w.visible); o != nil {
			return w.active.result(o)
		}
	}
	for _, f := range w.frozen {
		if o := f.find(key, h, f.limit); o != nil {
			return f.result(o)
		}
	}
	return nil, false, nil
}

func (f *front) result(o *op) ([]byte, bool, error) {
	if o.kind == opDelete {
		return nil, true, ErrNotFound
	}
	return f.value(o), true, nil
}

type noCloser struct{}

func (noCloser) Close() error { return nil }

// snapshotReader reads a view and the tables of the same moment.
type snapshotReader struct {
	view *view
	snap *pebble.Snapshot
}

// Get is part of Reader.
func (r *snapshotReader) Get(key []byte) ([]byte, io.Closer, error) {
	if value, found, err := r.view.find(key, hashOf(key)); found {
		return value, noCloser{}, err
	}
	return r.snap.Get(key)
}

// NewIter is part of Reader.
func (r *snapshotReader) NewIter(lower, upper []byte) (*Iterator, error) {
	it, err := r.snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	return newIterator(r.view, it, lower, upper), nil
}

// pendingReader is what the core sees while it applies a record: everything
// before it, committed or not.
type pendingReader struct{ batch *Batch }

// Get is part of Reader.
func (r pendingReader) Get(key []byte) ([]byte, io.Closer, error) {
	return r.batch.v.get(r.batch.pendingView(), key)
}

// NewIter is part of Reader.
func (r pendingReader) NewIter(lower, upper []byte) (*Iterator, error) {
	// Fronts are frozen by this goroutine only; a front that leaves meanwhile is
	// in the view and in the tables.
	w := r.batch.pendingView()
	it, err := r.batch.v.store.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	return newIterator(w, it, lower, upper), nil
}
