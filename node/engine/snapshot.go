package engine

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/wal"
)

// Snapshot is the state of a vshard at one LSN. It holds the vshard open; close
// it soon, since what it sees cannot be compacted away.
type Snapshot struct {
	v       *VShard
	ref     Ref
	snap    *pebble.Snapshot
	applied wal.LSN
	time    int64
}

// Snapshot returns the state as it is now. Taken by the core between batches, its
// LSN is the core's Applied; taken by anyone else it is that of some batch.
func (v *VShard) Snapshot() (*Snapshot, error) {
	ref, err := v.Acquire()
	if err != nil {
		return nil, err
	}
	s := &Snapshot{v: v, ref: ref, snap: v.store.db.NewSnapshot()}
	// The LSN in the snapshot is the one that belongs to it; VShard.Applied may
	// be behind or ahead by a batch.
	s.applied, s.time, err = readApplied(s.snap)
	if err != nil {
		_ = s.Close()
		return nil, v.Damage(fmt.Errorf("read applied lsn of snapshot: %w", err))
	}
	return s, nil
}

// Applied returns the LSN of the snapshot.
func (s *Snapshot) Applied() wal.LSN { return s.applied }

// AppliedTime returns the time of the record at Applied, µs since the epoch.
func (s *Snapshot) AppliedTime() int64 { return s.time }

// VShard returns whose snapshot it is.
func (s *Snapshot) VShard() *VShard { return s.v }

// Reader reads the snapshot.
func (s *Snapshot) Reader() pebble.Reader { return s.snap }

// Digest adds up all live entries in the store. It reads everything.
func (s *Snapshot) Digest(ctx context.Context) (Digest, error) {
	var d Digest
	for _, e := range s.v.shared.opts.Engines {
		if err := e.AddDigest(ctx, s.snap, &d); err != nil {
			return Digest{}, s.v.Damage(fmt.Errorf("digest of %s: %w", e.Name(), err))
		}
	}
	return d, nil
}

// Close releases the snapshot; exactly once.
func (s *Snapshot) Close() error {
	err := s.snap.Close()
	s.ref.Release()
	return err
}
