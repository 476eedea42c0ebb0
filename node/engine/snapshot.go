package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// Snapshot is the state of a vshard at one LSN. It holds the vshard open; close
// it soon, since what it sees cannot be compacted away.
type Snapshot struct {
	v      *VShard
	ref    Ref
	reader snapshotReader
	mark   mark
}

// Snapshot returns the state as it is now. Taken by the core between batches, its
// LSN is the core's Applied; taken by anyone else it is that of some batch.
func (v *VShard) Snapshot() (*Snapshot, error) {
	ref, err := v.Acquire()
	if err != nil {
		return nil, err
	}
	s := &Snapshot{v: v, ref: ref}
	s.reader.view, err = v.consistent(func() error {
		s.reader.snap = v.store.db.NewSnapshot()
		return nil
	}, func() error { return s.reader.snap.Close() })
	if err != nil {
		ref.Release()
		return nil, err
	}
	lsn, micros, err := readApplied(s.reader.snap)
	if err != nil {
		return nil, errors.Join(v.Damage(fmt.Errorf("read applied lsn of snapshot: %w", err)), s.Close())
	}
	// During a replay the tables are ahead of the view, which holds no fronts.
	s.mark = s.reader.view.mark
	if uint64(lsn) > s.mark.lsn {
		s.mark = mark{lsn: uint64(lsn), time: micros}
	}
	return s, nil
}

// Applied returns the LSN of the snapshot.
func (s *Snapshot) Applied() wal.LSN { return wal.LSN(s.mark.lsn) }

// AppliedTime returns the time of the record at Applied, µs since the epoch.
func (s *Snapshot) AppliedTime() int64 { return s.mark.time }

// VShard returns whose snapshot it is.
func (s *Snapshot) VShard() *VShard { return s.v }

// Reader reads the snapshot.
func (s *Snapshot) Reader() Reader { return &s.reader }

// Digest adds up all live entries in the store. It reads everything.
func (s *Snapshot) Digest(ctx context.Context) (Digest, error) {
	var d Digest
	for _, e := range s.v.shared.opts.Engines {
		if err := e.AddDigest(ctx, s.Reader(), &d); err != nil {
			return Digest{}, s.v.Damage(fmt.Errorf("digest of %s: %w", e.Name(), err))
		}
	}
	return d, nil
}

// Close releases the snapshot; exactly once.
func (s *Snapshot) Close() error {
	err := s.reader.snap.Close()
	s.ref.Release()
	return err
}
