package engine

import "github.com/nodedb-go/nodedb/wal"

// ApplyAhead is Apply for a record that is not durable yet: the work is done
// while the log syncs, and nothing of it can be seen or reach the disk before
// Commit, which the caller leaves until the record is durable. Reset takes it
// back.
//
// false: it cannot be done ahead, because an engine keeps state of its own that
// would show it, or because the front is full and would have to be published.
// The caller applies the record when it is durable; Apply passes over what was
// applied ahead.
func (b *Batch) ApplyAhead(r *wal.Record) (bool, error) {
	if len(b.v.states) > 0 || b.f != nil && b.f.full() {
		return false, nil
	}
	if err := b.Apply(r); err != nil {
		return false, err
	}
	return true, nil
}
