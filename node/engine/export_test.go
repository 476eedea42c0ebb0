package engine

// SetRunBytes makes the runs of a replay smaller than its options allow.
func SetRunBytes(r *Replay, n int) { r.runBytes = n }
