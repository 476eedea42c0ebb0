package archive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// announce tells retention that bases are going to be in the target, and then
// lists it once more: a content that is there after that stays, or the sweep
// that deletes it is known. One announcement, under an id of its own, stands
// for all of them; nobody takes it off, so it ages.
func (r *copyRun) announce(ctx context.Context) error {
	var newest BaseKey
	var epoch wal.Epoch
	for _, it := range r.items {
		_, there := r.there[it.path]
		switch k := it.key.(type) {
		case BaseKey:
			if !there && k.LSN >= newest.LSN {
				newest = k
			}
		case EpochKey:
			epoch = max(epoch, k.Epoch)
		}
	}
	if newest.LSN == 0 {
		return nil
	}
	err := r.again(ctx, func() error {
		var id [8]byte // another one each time: a lost answer is no conflict
		if _, err := io.ReadFull(rand.Reader, id[:]); err != nil {
			return fmt.Errorf("draw id of an announcement: %w", err)
		}
		newest.ID = hex.EncodeToString(id[:])
		within, cancel := r.within(ctx, 0)
		defer cancel()
		var err error
		r.guard, err = BeginBase(within, r.to, r.nodeID, newest, max(epoch, 1), time.Now)
		return err
	})
	if err != nil {
		return err
	}
	return r.again(ctx, func() error { return r.listTarget(ctx) })
}

// guarded refuses what a sweep of the target is deleting, and a manifest that
// comes too late.
func (r *copyRun) guarded(k Key) error {
	if r.guard == nil {
		return nil
	}
	switch k := k.(type) {
	case ObjKey:
		return r.guard.Use(k)
	case BaseKey:
		return r.guard.Finish()
	}
	return nil
}
