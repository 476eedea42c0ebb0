package pitr

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// FollowOptions of a standby. Nil and the zero value work.
type FollowOptions struct {
	// Restore is how the directory is made, and how segments are fetched and
	// applied later. Resume is always on; a shape is refused.
	Restore Options
	// Timeline keeps to one history. 0: the newest; when the node is restored, the
	// standby goes along if it can.
	Timeline wal.Timeline
	// Once ends when all that is archived was applied.
	Once bool

	Interval time.Duration // between polls, give or take a tenth; default 10s
	// GapTimeout is how long LSNs may be missing before archived ones until that
	// counts as a gap: segments arrive out of order. Default 5m.
	GapTimeout time.Duration

	// Planned is called with the plan of the first restore, before it begins; not
	// for a standby that is there.
	Planned func(*Plan)
	// Status is called from the goroutine of Follow at every change. It must not
	// block.
	Status func(FollowStatus)
}

const (
	followInterval   = 10 * time.Second
	followGapTimeout = 5 * time.Minute
	followPauseMin   = time.Second      // after a poll that failed, doubled each time
	followPauseMax   = 30 * time.Second // or the interval, if that is longer
	// holePolls is how many polls find a hole before the whole archive is listed:
	// gaps and packs are not in a tail.
	holePolls = 3
)

func (o *FollowOptions) withDefaults() *FollowOptions {
	var d FollowOptions
	if o != nil {
		d = *o
	}
	setDefault(&d.Interval, followInterval)
	setDefault(&d.GapTimeout, followGapTimeout)
	if d.Status == nil {
		d.Status = func(FollowStatus) {}
	}
	d.Restore.Resume = true
	return &d
}

func (o *FollowOptions) validate() error {
	r := &o.Restore
	if r.VShards != 0 || r.NewNodeID != "" || len(r.OnlyTenants)+len(r.OnlyPrefixes) > 0 {
		return errors.New("pitr: a standby holds the whole node as it is: no other vshards, no part of it")
	}
	if o.Interval < 0 || o.GapTimeout < 0 {
		return fmt.Errorf("pitr: interval %v and gap timeout %v must not be negative", o.Interval, o.GapTimeout)
	}
	return nil
}

// follower is one Follow, owned by its goroutine.
type follower struct {
	*standby
	follow   *FollowOptions
	archives []*archive.Archive
	status   FollowStatus

	epochs [][]archive.EpochInfo // by archive: all that it is known to hold
	next   Position              // the first LSN that was not there; its segment
	from   wal.LSN               // begins here at the earliest
	prev   *decoded              // last segment that was applied; nil: unknown
	full   bool                  // the next look lists the whole archive
	holes  int                   // polls that found one
	holeAt time.Time             // the first of them
	hole   *hole

	// What the last poll saw, for a promotion.
	src         *sources
	seen        *history
	lsnMax      wal.LSN
	timelineMax wal.Timeline
}

// Follow makes dir a standby of the node in the archives and keeps it one, until
// ctx ends. First it restores the newest state, or goes on with a standby that is
// there; then it asks for new segments again and again and applies them. What was
// applied is durable: a follower may be killed at any moment.
//
// It returns nil when ctx ends after the restore. A store that does not answer is
// asked again. What no time mends is an error: damage, a gap (*GapError), a
// history that left what was applied (*DivergedError).
func Follow(ctx context.Context, archives []*archive.Archive, dir string, opts *FollowOptions) (*FollowStatus, error) {
	fo := opts.withDefaults()
	o := fo.Restore.withDefaults()
	if err := errors.Join(fo.validate(), o.validate()); err != nil {
		return nil, err
	}
	if len(archives) == 0 {
		return nil, ErrNoStores
	}
	is, err := isStandby(o.FS, dir)
	if err != nil {
		return nil, err
	}
	if !is {
		if err := makeStandby(ctx, archives, dir, fo); err != nil {
			return nil, err
		}
	}
	s, err := openStandby(o, dir)
	if err != nil {
		return nil, err
	}
	f := newFollower(s, archives, fo)
	err = f.checkArchives()
	if err == nil {
		err = f.run(ctx)
	}
	f.status.State = FollowStopped
	if err != nil {
		f.status.Error = err.Error()
	}
	f.show()
	return &f.status, errors.Join(err, s.Close())
}

func newFollower(s *standby, archives []*archive.Archive, fo *FollowOptions) *follower {
	f := &follower{standby: s, follow: fo, archives: archives, full: true, epochs: make([][]archive.EpochInfo, len(archives))}
	f.status = FollowStatus{Version: followStatusVersion, NodeID: s.state.NodeID, Dir: s.dir, PID: os.Getpid()}
	return f
}

// makeStandby restores the newest state as a standby.
func makeStandby(ctx context.Context, archives []*archive.Archive, dir string, fo *FollowOptions) error {
	plan, err := NewPlan(ctx, archives, Target{Latest: true, Timeline: fo.Timeline})
	if err != nil {
		return err
	}
	epoch := wal.Epoch(0)
	for _, c := range plan.src.catalogs {
		if c != nil && len(c.Epochs) > 0 {
			epoch = max(epoch, c.Epochs[len(c.Epochs)-1].Epoch)
		}
	}
	plan.Standby = &PlanStandby{Only: fo.Timeline != 0, Epoch: epoch}
	if fo.Planned != nil {
		fo.Planned(plan)
	}
	_, err = Restore(ctx, plan, dir, &fo.Restore)
	return err
}

// checkArchives refuses to mix two nodes, or two ideas of what is followed.
func (f *follower) checkArchives() error {
	if id := f.archives[0].NodeID(); id != f.state.NodeID {
		return fmt.Errorf("pitr: %s follows node %q, not %q", f.dir, f.state.NodeID, id)
	}
	if tl := f.follow.Timeline; tl != 0 && (!f.state.Only || tl != f.state.Timeline) {
		return fmt.Errorf("pitr: %s follows timeline %d and was not begun with timeline %d: leave the timeline out, or follow into another directory",
			f.dir, uint32(f.state.Timeline), uint32(tl))
	}
	return nil
}

// run polls until ctx ends or something happens that no time mends.
func (f *follower) run(ctx context.Context) error {
	failed := 0
	for {
		err := f.poll(ctx)
		if ctx.Err() != nil {
			return nil // where it is, is on disk
		}
		if err != nil && (f.follow.Once || !mends(err)) {
			return err
		}
		if err == nil && f.follow.Once {
			f.show()
			return nil
		}
		wait := f.follow.Interval
		if failed++; err == nil {
			failed = 0
		} else {
			f.opts.Logger.Warn("poll failed", "dir", f.dir, "err", err)
			f.status.State, f.status.Error = FollowTroubled, err.Error()
			wait = min(followPauseMin<<min(failed-1, 20), max(followPauseMax, f.follow.Interval))
		}
		f.show()
		if sleep(ctx, jitter(wait)) != nil {
			return nil
		}
	}
}

// mends tells whether the next poll may do better by itself.
func mends(err error) bool {
	return archive.Retryable(err) || is[*UnreachableError](err) || errors.Is(err, engine.ErrLocked) || errors.Is(err, archive.ErrNotFound)
}

// jitter keeps many standbys from asking at the same moment.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// show tells the status to whoever listens. A file that cannot be written does
// not stop the standby.
func (f *follower) show() {
	st := &f.status
	st.Timeline, st.Applied, st.AppliedTime = f.state.Timeline, f.low, microTime(f.micros)
	st.Archived = max(st.Archived, st.Applied)
	st.LagSeconds = 0
	if st.Archived > st.Applied && !st.AppliedTime.IsZero() {
		st.LagSeconds = max(0, f.opts.Clock().Sub(st.AppliedTime).Seconds())
	}
	if err := f.writeStatus(st); err != nil {
		f.opts.Logger.Warn("status of the standby", "err", err)
	}
	f.follow.Status(*st)
}
