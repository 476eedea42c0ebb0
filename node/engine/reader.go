package engine

import (
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
	gen     uint64   // changes whenever a front is frozen or leaves
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
	w := l.view.Load()
	if w.active != nil || len(w.frozen) > 0 {
		if value, found, err := w.find(key); found {
			return value, noCloser{}, err
		}
	}
	return l.store.db.Get(key)
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
// when the youngest operation is a delete.
func (w *view) find(key []byte) (value []byte, found bool, err error) {
	h := hashOf(key)
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
	if value, found, err := r.view.find(key); found {
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
	w := r.batch.pendingView()
	if value, found, err := w.find(key); found {
		return value, noCloser{}, err
	}
	return r.batch.v.store.db.Get(key)
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
