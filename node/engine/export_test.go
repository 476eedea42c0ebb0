package engine

// SetRunOps makes the fronts of a replay smaller than its options allow.
func SetRunOps(r *Replay, n int) { r.runOps = uint32(n) }

// Consistent exports the loop that pairs views with tables.
func (v *VShard) Consistent(open, undo func() error) (lsn uint64, err error) {
	w, err := v.consistent(open, undo)
	return w.mark.lsn, err
}

// StateOf returns the state of a Stateful engine.
func StateOf(v *VShard, name string) State {
	for _, s := range v.states {
		if s.engine.Name() == name {
			return s.state
		}
	}
	return nil
}
