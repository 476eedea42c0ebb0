package pitr

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/errors/oserror"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// PromoteOptions of a promotion. Nil and the zero value work.
type PromoteOptions struct {
	Restore Options // how what has arrived since is fetched and applied
	// AsIs leaves the archive alone: the node begins from what was applied. What
	// was archived behind that stays out of its history.
	AsIs bool
}

// Promotion is what became of a standby.
type Promotion struct {
	Dir      string       `json:"dir"`
	NodeID   string       `json:"node_id"`
	Reached  Position     `json:"reached"`
	Timeline wal.Timeline `json:"timeline"` // that its first start claims, or a higher one
	NextLSN  wal.LSN      `json:"next_lsn"` // or higher
	VShards  int          `json:"vshards"`

	Digest  string `json:"digest"` // of the state at Reached
	Entries uint64 `json:"entries"`
	// ProvenBy lists what had published this very digest; empty when nothing said
	// anything about this state.
	ProvenBy []string `json:"proven_by"`

	Segments uint64        `json:"segments"` // applied by the promotion itself
	Records  uint64        `json:"records"`
	Duration time.Duration `json:"duration_ns"`

	// Finished: an earlier promotion had made the node; only its cleaning was left.
	Finished bool `json:"finished,omitempty"`
}

// Promote makes a node of a standby: it applies what has arrived, proves the
// state as far as something was published about it, and writes node.json. As
// after a restore the node's first start claims a new timeline, which fences
// whoever wrote the archive before.
//
// Nobody may follow into dir meanwhile: ErrFollowed. A promotion that was cut off
// leaves a standby or a node; calling it again finishes it.
func Promote(ctx context.Context, archives []*archive.Archive, dir string, opts *PromoteOptions) (*Promotion, error) {
	var po PromoteOptions
	if opts != nil {
		po = *opts
	}
	o := po.Restore.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	begun := o.Clock()
	if done, err := finishPromotion(o, dir); done != nil || err != nil {
		return done, err
	}
	s, err := openStandby(o, dir)
	if err != nil {
		return nil, err
	}
	f := newFollower(s, archives, (&FollowOptions{Restore: po.Restore, Once: true}).withDefaults())
	out, err := f.promote(ctx, po.AsIs)
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	out.Duration = o.Clock().Sub(begun)
	return out, nil
}

func (f *follower) promote(ctx context.Context, asIs bool) (*Promotion, error) {
	if !asIs {
		if err := f.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	if f.low != f.high {
		return nil, fmt.Errorf("pitr: the vshards of %s are between LSN %d and %d, since a replay was cut off there: promote with the archive, which has what is missing",
			f.dir, uint64(f.low), uint64(f.high))
	}
	plan, err := f.promotionPlan(ctx, asIs)
	if err != nil {
		return nil, err
	}
	out := &Promotion{Dir: f.dir, NodeID: plan.NodeID, Reached: plan.Reached, Timeline: plan.NextTimeline, NextLSN: plan.NextLSN,
		VShards: plan.VShards, Segments: f.status.Segments, Records: f.status.Records}
	err = f.withStores(func(_ *engine.Shared, vshards []*engine.VShard) error {
		r := &restore{opts: f.opts, plan: plan, vshards: vshards}
		if err := r.prove(ctx, &replayer{}); err != nil {
			return err
		}
		out.Digest, out.Entries, out.ProvenBy = r.result.Digest, r.result.Entries, r.result.ProvenBy
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, f.becomeNode(plan)
}

// catchUp applies all that is archived. What is missing in front of it is a gap
// here: nobody can wait.
func (f *follower) catchUp(ctx context.Context) error {
	if len(f.archives) == 0 {
		return ErrNoStores
	}
	if err := f.checkArchives(); err != nil {
		return err
	}
	if err := f.run(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.hole != nil {
		return f.gap(f.seen, f.hole)
	}
	return nil
}

// promotionPlan is what a restore to the state as it is would have for a plan.
func (f *follower) promotionPlan(ctx context.Context, asIs bool) (*Plan, error) {
	p := &Plan{NodeID: f.state.NodeID, VShards: f.state.VShards, Timeline: f.state.Timeline, Target: Target{Latest: true},
		Reached: Position{Timeline: f.state.Timeline, LSN: f.low, Time: microTime(f.micros)}, Stores: f.state.Stores,
		NextLSN: f.low + 1, NextTimeline: f.state.Timeline + 1, src: f.src}
	if asIs {
		st, err := ReadFollowStatus(f.opts.FS, f.dir)
		if err == nil && st != nil {
			p.NextLSN = max(p.NextLSN, st.Archived+1) // the claim knows better
		}
		p.Target = Target{LSN: f.low, Timeline: f.state.Timeline}
		return p, nil
	}
	p.NextLSN, p.NextTimeline = max(p.NextLSN, f.lsnMax+1), f.timelineMax+1
	p.Stores, p.Reached.Timeline = f.src.urls(), f.seen.owner(f.state.Timeline, f.low)
	pl := &planner{src: f.src, h: f.seen, look: newLookup(f.src), plan: p}
	if err := pl.addDigests(ctx, resolved{leaf: p.Timeline, owner: p.Reached.Timeline, lsn: f.low}); err != nil {
		return nil, err
	}
	return p, f.addLoggedDigests(ctx, p)
}

// proofSegments bounds how many segments are read for a digest: those that a node
// writes as it stops hold little more than a record.
const proofSegments = 4

// addLoggedDigests finds digest records that speak of the state as it is: behind
// their LSN come only records that change no vshard. It goes back to the first
// segment that changed something.
func (f *follower) addLoggedDigests(ctx context.Context, p *Plan) error {
	var found []wal.Digest
	b, upTo, changed := f.seen.branches[p.Reached.Timeline], f.low, wal.LSN(0)
	for range proofSegments {
		sg := b.segmentWith(upTo)
		if sg == nil || changed != 0 {
			break
		}
		err := f.src.scan(ctx, sg, func(rec *wal.Record) bool {
			if rec.LSN > upTo {
				return false
			}
			if rec.VShard != wal.VShardNone {
				changed = rec.LSN
			}
			if rec.Type == wal.TypeDigest {
				if d, err := wal.DecodeDigest(rec.Payload); err == nil {
					found = append(found, d)
				}
			}
			return true
		})
		if err != nil {
			f.opts.Logger.Warn("segment cannot be read for digests", "key", sg.name, "err", err)
			return context.Cause(ctx)
		}
		upTo = sg.lo - 1
	}
	for _, d := range found {
		if d.LSN >= max(changed, upTo) {
			p.Digests = append(p.Digests, PlanDigest{Sum: hex.EncodeToString(d.Sum[:]), Entries: d.Entries, Source: anyDigestRecord})
		}
	}
	return nil
}

// becomeNode makes the directory a node. The lock of the stores is held, so that
// no node opens it before all is done.
func (f *follower) becomeNode(p *Plan) (err error) {
	meta, err := newMeta(f.opts, p)
	if err != nil {
		return err
	}
	lock, err := engine.LockDir(f.opts.FS, f.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	fs := f.opts.FS
	if err := fs.MkdirAll(f.path("wal"), 0o755); err != nil {
		return fmt.Errorf("make wal directory: %w", err)
	}
	if err := durable.SyncDir(fs, f.dir); err != nil {
		return err
	}
	// Crash here: it is a standby still; the next promotion does all again.
	if err := engine.WriteMeta(fs, f.dir, meta); err != nil {
		return fmt.Errorf("write node.json: %w", err)
	}
	// Crash here: it is a node, with files in it that nobody needs; the next
	// promotion removes them.
	if err := f.Close(); err != nil {
		return err
	}
	return removeStandby(f.opts, f.dir)
}

func removeStandby(o *Options, dir string) error {
	if err := o.FS.RemoveAll(o.FS.PathJoin(dir, followSubdir)); err != nil {
		return fmt.Errorf("remove files of the follower: %w", err)
	}
	if err := o.FS.Remove(o.FS.PathJoin(dir, engine.StandbyFile)); err != nil && !oserror.IsNotExist(err) {
		return fmt.Errorf("remove %s: %w", engine.StandbyFile, err)
	}
	return durable.SyncDir(o.FS, dir)
}

// finishPromotion cleans up after a promotion that was cut off behind its last
// step. Nil and no error: there was none.
func finishPromotion(o *Options, dir string) (*Promotion, error) {
	fs := o.FS
	for _, name := range []string{engine.MetaFile, engine.StandbyFile} {
		if _, err := fs.Stat(fs.PathJoin(dir, name)); err != nil {
			if oserror.IsNotExist(err) {
				return nil, nil
			}
			return nil, fmt.Errorf("look for %s: %w", name, err)
		}
	}
	lock, err := engine.LockDir(fs, dir)
	if err != nil {
		return nil, err
	}
	meta, err := engine.ReadMeta(fs, dir)
	if err == nil {
		err = removeStandby(o, dir)
	}
	if err = errors.Join(err, lock.Close()); err != nil {
		return nil, err
	}
	return &Promotion{Dir: dir, NodeID: meta.NodeID, Reached: Position{Timeline: meta.ParentTimeline, LSN: meta.ForkLSN},
		Timeline: meta.Timeline, NextLSN: meta.FirstLSN, VShards: meta.VShards, ProvenBy: []string{}, Finished: true}, nil
}
