package engine

import (
	"context"
	"fmt"
)

// Compact merges the tables into one level, so that a read looks into one table.
// It takes part in the limit of Options.Compactions and may run while the vshard
// is used. What is not flushed yet stays in memory.
func (v *VShard) Compact(ctx context.Context) error {
	ref, err := v.Acquire()
	if err != nil {
		return err
	}
	defer ref.Release()
	return v.compact(ctx)
}

// compact is Compact for those that hold the store already. The keys of engines
// and the store's own lie below 0xff.
func (v *VShard) compact(ctx context.Context) error {
	if err := v.store.db.Compact(ctx, []byte{0x00}, []byte{0xff}, true); err != nil {
		return v.Damage(fmt.Errorf("compact: %w", err))
	}
	return nil
}
