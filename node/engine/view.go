package engine

import "slices"

// The view is replaced by two: the core, which shows what it applied and freezes
// fronts, and the spiller, which takes fronts away that have become tables. Both
// hold viewMu while they do; readers load the pointer.

// show lets readers see all operations of f, and the mark.
func (v *VShard) show(f *front, m mark) {
	v.viewMu.Lock()
	w := *v.view.Load()
	w.active, w.mark = f, m
	if f != nil {
		w.visible, w.bytes = f.nOps, f.used
	}
	v.view.Store(&w)
	v.viewMu.Unlock()
	v.applied.Store(m.lsn)
	v.appliedTime.Store(m.time)
}

// freeze ends the active front, as far as it is visible, and hands it to the
// spiller. Without an active front it hands over an empty one, which carries the
// mark.
func (v *VShard) freeze(job *spillJob) {
	if job == nil {
		job = new(spillJob)
	}
	v.viewMu.Lock()
	w := *v.view.Load()
	f := w.active
	if f == nil {
		f = newFront()
	} else {
		f.limit = w.visible
	}
	f.mark = w.mark
	w.gen = v.shared.generation.Add(1)
	w.active, w.visible, w.bytes = nil, 0, 0
	w.frozen = append([]*front{f}, w.frozen...)
	v.view.Store(&w)
	v.viewMu.Unlock()
	v.shared.frozen.Add(int64(f.used))
	v.front = nil
	job.f = f
	v.spill(job)
}

// dropPending forgets operations that no view shows.
func (v *VShard) dropPending() {
	w := v.view.Load()
	switch {
	case v.front == nil || v.front == w.active && v.front.nOps == w.visible:
	case v.front == w.active:
		// Readers walk over the dropped operations, so their memory is not used
		// again: the front ends here.
		v.freeze(nil)
	default:
		v.front = nil
	}
}

// leave takes a front away whose content is in the tables.
func (v *VShard) leave(f *front) {
	v.viewMu.Lock()
	defer v.viewMu.Unlock()
	w := *v.view.Load()
	w.frozen = slices.DeleteFunc(slices.Clone(w.frozen), func(o *front) bool { return o == f })
	v.view.Store(&w)
	v.shared.frozen.Add(-int64(f.used))
}

// replaying says whether a replay adds tables. Readers keep no rows of them meanwhile.
func (v *VShard) replaying(on bool) {
	v.viewMu.Lock()
	defer v.viewMu.Unlock()
	w := *v.view.Load()
	w.gen, w.replay = v.shared.generation.Add(1), on
	v.view.Store(&w)
}

// consistent pairs a view with the tables of the same moment. open takes hold of
// the tables, undo lets go of them again when a front was frozen meanwhile: then
// they may hold what the view does not show.
func (v *VShard) consistent(open, undo func() error) (*view, error) {
	for {
		w := v.view.Load()
		if err := open(); err != nil {
			return w, err
		}
		if v.view.Load().gen == w.gen {
			return w, nil
		}
		if err := undo(); err != nil {
			return w, err
		}
	}
}
