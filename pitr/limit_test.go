package pitr

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// All fetches together keep to the limit, by a clock that only they move.
func TestLimit(t *testing.T) {
	k, target := crashKit(t)
	synctest.Test(t, func(t *testing.T) {
		k := k.over(t, k.store)
		plan, err := NewPlan(t.Context(), k.archives(), target)
		check(t, err)
		const limit = 1000
		begun := time.Now()
		_, err = Restore(t.Context(), plan, "/data/node", k.options(newStageFS(t), &Options{Parallel: 4, LimitBytes: limit, ProgressInterval: time.Minute}))
		check(t, err)
		took := time.Since(begun)
		m, err := plan.src.manifest(t.Context(), &base{key: plan.Base.Key, stores: plan.Base.Stores})
		check(t, err)
		_, _, fetched := m.Totals()
		for _, s := range plan.Segments {
			fetched += s.Bytes
		}
		// The first second is free: the bucket is full.
		least := time.Duration(fetched-limit)*time.Second/limit - time.Microsecond // rounded
		if took < least || took > 2*least || least < time.Second {
			t.Errorf("%d bytes at %d a second took %v, want at least %v", fetched, limit, took, least)
		}
	})
}

// fullFS has no room.
type fullFS struct {
	vfs.FS
	left uint64
}

func (f fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.left}, nil
}

func TestSpace(t *testing.T) {
	k, target := crashKit(t)
	plan, err := NewPlan(t.Context(), k.archives(), target)
	check(t, err)
	need := uint64(plan.diskBytes())
	fs := fullFS{newStageFS(t), need - 1}
	_, err = Restore(t.Context(), plan, "/data/deep/down/node", k.options(fs, nil))
	space, ok := errors.AsType[*SpaceError](err)
	if !ok || space.Dir != "/data" || !strings.Contains(err.Error(), "nothing was fetched") {
		t.Fatalf("one byte too few gives %v", err)
	}
	if names, err := fs.List("/data"); err != nil || len(names) > 0 {
		t.Errorf("left behind: %q, %v", names, err)
	}
	_, err = Restore(t.Context(), plan, "/data/node", k.options(fs, &Options{IgnoreSpace: true}))
	check(t, err)
	fs = fullFS{newStageFS(t), need}
	if _, err = Restore(t.Context(), plan, "/data/node", k.options(fs, &Options{VShards: 9})); err == nil {
		t.Error("a copy takes twice the room, and was let through")
	}
	_, err = Restore(t.Context(), plan, "/data/node", k.options(fs, nil))
	check(t, err)
}

// The pace of this run decides, not what an earlier one had done.
func TestETA(t *testing.T) {
	for _, c := range []struct{ elapsed, total, done, skipped, want float64 }{
		{10, 100, 50, 0, 10}, {10, 100, 90, 80, 10}, {10, 100, 80, 80, -1}, {10, 100, 100, 100, 0}, {0, 0, 0, 0, 0},
	} {
		if got := eta(c.elapsed, c.total, c.done, c.skipped); got != c.want {
			t.Errorf("%+v gives %v", c, got)
		}
	}
}
