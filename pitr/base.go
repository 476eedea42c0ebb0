package pitr

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/errors/oserror"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/durable"
)

// baseDoneName marks, in restore/, that all files of the base are complete and
// synced. From then on they belong to the stores, which change them; before it
// no store was opened. An interrupted load keeps the files that are right.
const baseDoneName = "base-done"

// loadBaseOrOlder loads the plan's base. One that is damaged is given up for an
// older one, if that leads to the same position.
func (r *restore) loadBaseOrOlder(ctx context.Context) error {
	for {
		err := r.loadBase(ctx)
		lost := errors.Is(err, archive.ErrCorrupt) || errors.Is(err, archive.ErrNotFound)
		if err == nil || !lost {
			return err
		}
		next, perr := r.plan.withoutBase(ctx, err)
		if perr != nil {
			return err
		}
		r.opts.Logger.Warn("base is damaged, an older way is taken", "base", r.plan.Base.Key, "err", err)
		if err := r.stage.replan(next); err != nil {
			return err
		}
		r.plan = next
		r.meter.restart(next)
	}
}

// loadBase brings the files of the base, if the plan has one.
func (r *restore) loadBase(ctx context.Context) error {
	fs, p := r.opts.FS, r.plan
	if p.Base == nil {
		return r.makeVShardDir()
	}
	_, err := fs.Stat(r.stage.path(stageSubdir, baseDoneName))
	if err == nil {
		r.meter.skip(p.Base.Bytes, 0, 0)
		return nil
	}
	if !oserror.IsNotExist(err) {
		return fmt.Errorf("look for loaded base: %w", err)
	}
	if err := r.makeVShardDir(); err != nil {
		return err
	}
	m, err := p.src.manifest(ctx, &base{key: p.Base.Key, stores: p.Base.Stores})
	if err != nil {
		return err
	}
	from := r.meter.bytes.Load()
	stores := p.src.contentStores(p.Base.Stores)
	err = archive.FetchBase(ctx, p.src.archives[stores[0]].Store(), m, r.stage.dir, &archive.FetchOptions{
		Parallel: r.opts.Parallel, FS: fs, Logger: r.opts.Logger,
		From: func(ctx context.Context, f *archive.ManifestFile, ask archive.Ask) error {
			return p.src.baseFile(ctx, r.opts, stores, f, ask)
		},
		Progress: func(bp archive.BaseProgress) {
			r.meter.bytes.Store(from + scale(p.Base.Bytes, bp.Bytes, bp.BytesTotal))
		},
	})
	if err != nil {
		return fmt.Errorf("fetch base at LSN %d: %w", uint64(p.Base.LSN), err)
	}
	// Crash here: all files are there; the next run reads them once more.
	return durable.WriteFile(fs, r.stage.path(stageSubdir), baseDoneName, nil)
}

func (r *restore) makeVShardDir() error {
	if err := r.opts.FS.MkdirAll(r.stage.path("vshard"), 0o755); err != nil {
		return fmt.Errorf("make directory of vshards: %w", err)
	}
	return durable.SyncDir(r.opts.FS, r.stage.dir)
}

// scale is the share done/total of whole.
func scale(whole, done, total int64) int64 {
	if total <= 0 {
		return whole
	}
	return int64(float64(whole) * float64(done) / float64(total))
}
