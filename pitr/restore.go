package pitr

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cockroachdb/errors/oserror"

	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// Result is what a restore built.
type Result struct {
	Dir      string       `json:"dir"`
	NodeID   string       `json:"node_id"`
	Reached  Position     `json:"reached"`
	Timeline wal.Timeline `json:"timeline"` // history that was followed
	NextLSN  wal.LSN      `json:"next_lsn"`
	VShards  int          `json:"vshards"`

	Digest  string `json:"digest"` // of the state at Reached
	Entries uint64 `json:"entries"`
	// ProvenBy lists what had published this very digest; empty when nothing
	// said anything about exactly this LSN.
	ProvenBy []string `json:"proven_by"`

	BaseLSN  wal.LSN       `json:"base_lsn"` // 0: replayed from LSN 1
	Segments int           `json:"segments"`
	Records  uint64        `json:"records"`
	Bytes    int64         `json:"bytes"` // fetched, by all runs of a resumed restore as planned
	Resumed  bool          `json:"resumed"`
	Duration time.Duration `json:"duration_ns"` // of this run

	// Whole is what Digest and Entries would be of, had no Shape been asked for.
	Whole *Whole `json:"whole,omitempty"`
}

const resultName = "result.json"

// restore is one run.
type restore struct {
	opts    *Options
	plan    *Plan
	stage   *stage
	meter   *meter
	shared  *engine.Shared
	vshards []*engine.VShard
	result  Result
}

// Restore builds the node that plan describes and puts it at targetDir, which
// must be empty or not exist. Until the last rename everything happens in a
// directory beside it, <target>.nodedb-restore-<id>, that a later call with
// Options.Resume goes on with.
//
// The node is not started: its first start claims a new timeline.
func Restore(ctx context.Context, plan *Plan, targetDir string, opts *Options) (*Result, error) {
	o := opts.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if plan.src == nil {
		return nil, errors.New("pitr: the plan was not made by NewPlan in this process")
	}
	begun := o.Clock()
	plan, err := plan.shapedBy(o)
	if err != nil {
		return nil, err
	}
	st, err := openStage(o, targetDir, plan)
	if err != nil {
		return nil, err
	}
	r := &restore{opts: o, plan: st.plan, stage: st}
	if st.resumed {
		o.Logger.Info("restore is resumed", "staging", st.dir, "lsn", st.plan.Reached.LSN)
	}
	r.meter = startMeter(st.plan, o)
	err = r.run(ctx)
	r.meter.close()
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	r.result.Duration, r.result.Resumed = o.Clock().Sub(begun), st.resumed
	return &r.result, nil
}

func (r *restore) run(ctx context.Context) error {
	complete, err := r.complete()
	if err != nil {
		return err
	}
	if !complete {
		if err := r.build(ctx); err != nil {
			return err
		}
	}
	r.meter.enter(PhaseActivate)
	if err := r.stage.activate(); err != nil {
		return err
	}
	if r.stage.resumed {
		if err := r.stage.removeTwins(); err != nil {
			return err
		}
	}
	r.result.Dir = r.stage.target
	r.meter.enter(PhaseDone)
	return nil
}

// complete tells whether an earlier run had written the last file, and reads
// what it found out.
func (r *restore) complete() (bool, error) {
	fs, last := r.opts.FS, engine.MetaFile
	if r.plan.Standby != nil {
		last = engine.StandbyFile
	}
	if _, err := fs.Stat(r.stage.path(last)); err != nil {
		if oserror.IsNotExist(err) {
			return false, nil
		}
		return false, fmt.Errorf("look for %s: %w", last, err)
	}
	data, err := readFile(fs, r.stage.path(stageSubdir, resultName), planBytesMax)
	if err != nil {
		return false, fmt.Errorf("read result of the earlier run: %w", err)
	}
	if err := json.Unmarshal(data, &r.result); err != nil {
		return false, fmt.Errorf("read result of the earlier run: %w", err)
	}
	return true, nil
}

// build makes everything up to and including node.json.
func (r *restore) build(ctx context.Context) error {
	done, err := r.shaped()
	if err != nil {
		return err
	}
	if done {
		return r.writeNode()
	}
	r.meter.enter(PhaseBase)
	if err := r.loadBaseOrOlder(ctx); err != nil {
		return err
	}
	if err := r.openVShards(); err != nil {
		return errors.Join(err, r.closeVShards())
	}
	r.meter.enter(PhaseReplay)
	if err := r.replay(ctx); err != nil {
		return errors.Join(err, r.closeVShards())
	}
	if r.plan.Shape != nil {
		if err := r.makeShape(ctx); err != nil {
			return errors.Join(err, r.closeVShards())
		}
	}
	return r.writeNode()
}

func (r *restore) openVShards() (err error) {
	r.shared, r.vshards, err = openAll(r.opts, r.stage.path("vshard"), r.plan.VShards)
	if err != nil {
		return err
	}
	for id, v := range r.vshards {
		if v.Applied() > r.plan.Reached.LSN {
			return fmt.Errorf("pitr: vshard %04x in %s is at LSN %d, past the target: remove the directory and start anew",
				id, r.stage.dir, uint64(v.Applied()))
		}
	}
	return nil
}

func (r *restore) closeVShards() error {
	shared, vshards := r.shared, r.vshards
	r.shared, r.vshards = nil, nil
	return closeAll(shared, vshards)
}

// replay applies the segments, then proves the state.
func (r *restore) replay(ctx context.Context) error {
	rp := newReplayer(r.opts, r.plan, r.vshards, r.meter)
	if err := rp.run(ctx); err != nil {
		return err
	}
	r.meter.enter(PhaseDigest)
	return r.prove(ctx, rp)
}

// writeNode closes the stores and writes what makes the directory a node.
func (r *restore) writeNode() error {
	if err := r.closeVShards(); err != nil {
		return fmt.Errorf("close restored stores: %w", err)
	}
	fs, p := r.opts.FS, r.plan
	if err := fs.MkdirAll(r.stage.path("wal"), 0o755); err != nil {
		return fmt.Errorf("make wal directory: %w", err)
	}
	if err := r.stage.syncDirs(r.stage.path("vshard"), r.stage.path("wal"), r.stage.dir); err != nil {
		return err
	}
	data, err := json.Marshal(r.describe())
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	if err := durable.WriteFile(fs, r.stage.path(stageSubdir), resultName, data); err != nil {
		return err
	}
	// Crash here: all is synced but the last file; a resume finds nothing left
	// to replay and comes here again.
	if p.Standby != nil {
		return engine.WriteStandby(fs, r.stage.dir, &engine.Standby{NodeID: p.NodeID, VShards: p.VShards, Created: r.opts.Clock().UTC(),
			Timeline: p.Timeline, Only: p.Standby.Only, Epoch: p.Standby.Epoch, Stores: p.Stores})
	}
	meta, err := newMeta(r.opts, p)
	if err != nil {
		return err
	}
	if s := p.Shape; s != nil {
		// The first timeline of a node that is in no archive yet; its LSNs go on,
		// so that no value has a version from the future.
		meta.NodeID, meta.VShards = s.NodeID, s.VShards
		meta.Timeline, meta.ParentTimeline, meta.ForkLSN = 1, 0, 0
		meta.RestoredFrom = fmt.Sprintf("node %s in %s", p.NodeID, meta.RestoredFrom)
	}
	if err := engine.WriteMeta(fs, r.stage.dir, meta); err != nil {
		return fmt.Errorf("write node.json: %w", err)
	}
	return nil
}

// newMeta is the node.json of a node whose first start claims a new timeline,
// which leaves the old history at what the plan reached.
func newMeta(o *Options, p *Plan) (*engine.Meta, error) {
	var raw [16]byte
	if _, err := io.ReadFull(o.Rand, raw[:]); err != nil {
		return nil, fmt.Errorf("draw incarnation: %w", err)
	}
	now := o.Clock().UTC()
	return &engine.Meta{
		NodeID: p.NodeID, VShards: p.VShards, Created: now,
		Timeline: p.NextTimeline, ParentTimeline: p.Reached.Timeline,
		ForkLSN: p.Reached.LSN, FirstLSN: p.NextLSN, Incarnation: hex.EncodeToString(raw[:]),
		RestoredFrom: fmt.Sprintf("%s (%s)", strings.Join(p.Stores, ", "), p.Target), RestoredAt: &now,
	}, nil
}

func (r *restore) describe() *Result {
	p, out := r.plan, &r.result
	out.Dir, out.NodeID, out.Reached, out.Timeline = r.stage.target, p.NodeID, p.Reached, p.Timeline
	out.NextLSN, out.VShards = p.NextLSN, p.VShards
	out.Segments, out.Records, out.Bytes = len(p.Segments), p.Records, p.Bytes
	if p.Base != nil {
		out.BaseLSN = p.Base.LSN
	}
	if p.Shape != nil {
		out.NodeID, out.VShards = p.Shape.NodeID, p.Shape.VShards
	}
	return out
}
