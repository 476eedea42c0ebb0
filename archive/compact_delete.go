package archive

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"time"
)

type hashCounter struct {
	hash.Hash
	n int64
}

func (h *hashCounter) add(p []byte) {
	h.Write(p) // never fails
	h.n += int64(len(p))
}

// Covered lists the segments of a catalog whose own objects are no longer
// needed, because a pack holds them that was read again just now, every byte of
// it, and is at least grace old. A pack that is not right covers nothing, and
// is passed to damaged, which may be nil. An error is the store's.
func (a *Archive) Covered(ctx context.Context, c *Catalog, now time.Time, grace time.Duration, damaged func(PackEntry, error)) ([]SegmentEntry, error) {
	proven := make(map[PackKey]bool)
	var out []SegmentEntry
	for _, s := range c.Segments {
		if s.Packed == nil || s.PackedOnly || grace > 0 && now.Sub(s.Packed.Pack.ModTime) < grace {
			continue
		}
		k := s.Packed.Pack.PackKey
		ok, known := proven[k]
		if !known {
			err := a.VerifyPack(ctx, s.Packed.Pack)
			if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrVersion) {
				return nil, fmt.Errorf("verify pack: %w", err)
			}
			if err != nil && damaged != nil {
				damaged(s.Packed.Pack, err)
			}
			ok = err == nil
			proven[k] = ok
		}
		if ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// deleteSmall deletes what packs cover. It looks only at packs that were there
// before this run, or at new ones with Grace below zero.
func (c *compactRun) deleteSmall(ctx context.Context, catalog *Catalog) error {
	if c.Grace < 0 && c.report.PackN > 0 {
		var err error
		if catalog, err = c.a.Catalog(ctx); err != nil {
			return err
		}
	}
	covered, err := c.a.Covered(ctx, catalog, c.Clock(), c.Grace, func(p PackEntry, err error) {
		c.report.Problems = append(c.report.Problems, CopyProblem{Key: p.Object.Key, Reason: err.Error(), Err: err})
	})
	if err != nil {
		return err
	}
	for _, s := range covered {
		// Crash here: fewer small objects; each is in a proven pack.
		err := c.a.store.Delete(ctx, s.Object.Key)
		switch {
		case err == nil:
			c.report.Deleted++
		case errors.Is(err, ErrNotFound): // another compaction was faster
		case errors.Is(err, ErrDenied), errors.Is(err, ErrRefused):
			c.report.Retained++
		default:
			return fmt.Errorf("delete merged segment: %w", err)
		}
	}
	return nil
}
