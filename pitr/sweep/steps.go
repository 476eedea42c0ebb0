package sweep

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
)

// index builds indexes that are missing, until the time is over.
func (s *sweeper) index(ctx context.Context) {
	r := s.report
	missing := index.Missing(s.in.Catalog)
	sum := &index.Summary{Store: r.Store, Segments: len(missing), Problems: []index.Problem{}}
	r.Index = sum
	cold := 0
	defer func() { s.unindexed(sum, cold) }()
	if s.opts.NoIndex {
		r.skip("index", "it is not asked for")
		return
	}
	for i, e := range missing {
		if s.late(ctx, "index") {
			return
		}
		s.opts.Progress("index", int64(i), int64(len(missing)))
		if e.Class.Cold() {
			cold++ // to bring it back costs money, and somebody's word
			continue
		}
		if err := sum.Build(ctx, s.a, e, s.opts.Index); err != nil {
			s.undone(ctx, "index "+e.Object.Key, err)
			return
		}
	}
	s.opts.Progress("index", int64(len(missing)), int64(len(missing)))
}

// unindexed says what still has no index. Encrypted segments that are not to be
// revealed should have none, and those in cold storage cannot get one.
func (s *sweeper) unindexed(sum *index.Summary, cold int) {
	r := s.report
	for _, p := range sum.Problems {
		r.add(Finding{Kind: Unindexed, Severity: Problem, Key: p.Key, Text: p.Reason, Err: archive.ErrCorrupt})
	}
	r.Unindexed = sum.Segments - sum.Indexed - sum.Existed - sum.Gone - sum.Encrypted - cold
	if left := r.Unindexed - len(sum.Problems); left > 0 {
		r.add(Finding{Kind: Unindexed, Severity: Notice, Text: fmt.Sprintf("%d segments have no index yet", left)})
	}
	if cold > 0 {
		r.add(Finding{Kind: Unindexed, Severity: Notice, Text: fmt.Sprintf("%d segments in cold storage have no index", cold)})
	}
}

// snapshot writes the names down when enough are new.
func (s *sweeper) snapshot(ctx context.Context) {
	if s.opts.NoSnapshot {
		s.report.skip("snapshot", "it is not asked for")
		return
	}
	if why := s.snapshotNotDue(); why != "" {
		s.report.skip("snapshot", why)
		return
	}
	if s.late(ctx, "snapshot") {
		return
	}
	k, info, err := archive.WriteSnapshot(ctx, s.a, &archive.SnapshotOptions{Clock: s.opts.Clock,
		Progress: func(done, total int) { s.opts.Progress("snapshot", int64(done), int64(total)) }})
	if err != nil {
		s.undone(ctx, "write a snapshot of the catalog", err)
		return
	}
	s.report.Snapshot = &Snapshot{Key: k.String(), Objects: info.Objects}
}

func (s *sweeper) snapshotNotDue() string {
	c := s.in.Catalog
	if c.Snapshot == nil {
		return "" // none, or none that can be used
	}
	fresh := c.SnapshotNames() - c.Snapshot.Objects
	age := s.opts.Clock().Sub(c.Snapshot.CreatedAt)
	switch {
	case fresh == 0:
		return "nothing came since the last"
	case abs(fresh) < s.opts.SnapshotNames && age < s.opts.SnapshotAge:
		return fmt.Sprintf("the last is %v old, and differs by %d of %d names", age.Round(time.Second), abs(fresh), c.Snapshot.Objects)
	}
	return ""
}

func abs(n int) int { return max(n, -n) }
