package engine

import "context"

// SetRunBytes makes the fronts of a replay smaller than its options allow.
func SetRunBytes(r *Replay, n int) { r.runBytes = n }

// Compact merges all tables of a vshard.
func Compact(v *VShard) error {
	return v.store.db.Compact(context.Background(), []byte{0x00}, []byte{0xff}, true)
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
