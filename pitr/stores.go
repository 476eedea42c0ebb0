package pitr

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// openAll opens, or makes, the vshards 0 to n-1 below dir. What it opened must be
// closed by closeAll, also after an error.
func openAll(o *Options, dir string, n int) (*engine.Shared, []*engine.VShard, error) {
	shared, err := engine.NewShared(&engine.Options{
		FS: o.FS, Logger: o.Logger, Engines: o.Engines, ReplayBytes: o.ReplayBytes,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("prepare stores: %w", err)
	}
	var out []*engine.VShard
	for id := range n {
		v, err := engine.OpenVShard(shared, o.FS.PathJoin(dir, fmt.Sprintf("%04x", id)), uint16(id))
		if err != nil {
			return shared, out, fmt.Errorf("open restored vshard: %w", err)
		}
		out = append(out, v)
	}
	return shared, out, nil
}

func closeAll(shared *engine.Shared, vshards []*engine.VShard) error {
	var errs []error
	for _, v := range vshards {
		errs = append(errs, v.Close())
	}
	if shared != nil {
		errs = append(errs, shared.Close())
	}
	return errors.Join(errs...)
}

// digestAll reads the whole state, all vshards of which must be at lsn.
func digestAll(ctx context.Context, workers int, vshards []*engine.VShard, lsn wal.LSN) (*engine.Digest, error) {
	parts := make([]engine.Digest, len(vshards))
	err := parallel(ctx, workers, len(vshards), func(ctx context.Context, i int) error {
		snap, err := vshards[i].Snapshot()
		if err != nil {
			return fmt.Errorf("read restored vshard: %w", err)
		}
		parts[i], err = snap.Digest(ctx)
		if cerr := snap.Close(); err == nil {
			err = cerr
		}
		if err == nil && snap.Applied() != lsn {
			err = fmt.Errorf("pitr: vshard %04x ended at LSN %d, not at %d", i, uint64(snap.Applied()), uint64(lsn))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("digest of restored state: %w", err)
	}
	var sum engine.Digest
	for i := range parts {
		sum.Merge(&parts[i])
	}
	return &sum, nil
}
