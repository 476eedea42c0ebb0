package pitr

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// DrillOptions of a drill. The zero value drills a random LSN.
type DrillOptions struct {
	// Target to rebuild. nil: a random LSN of everything that can be restored,
	// drawn with Seed.
	Target *Target
	Seed   uint64
	// Timeline restricts the random choice; 0 is any.
	Timeline wal.Timeline
	// SearchSegments bounds how many segments are read in search of a published
	// digest; default 16.
	SearchSegments int

	// Dir is where a directory for the rebuilt node is made; it must exist.
	Dir  string
	Keep bool // leave the rebuilt node there

	// NoWrite makes no proof object: for credentials that can only read.
	NoWrite bool
	Tool    string // program and version, for the proof
	Host    string

	Restore Options // Resume is ignored
}

// DrillReport is what a drill did and found.
type DrillReport struct {
	archive.ProofInfo
	Asked   Position `json:"asked"`         // what the target, or the draw, meant
	Why     string   `json:"why,omitempty"` // why another LSN than that was rebuilt
	Written []string `json:"written"`       // stores that hold the proof
	Dir     string   `json:"dir,omitempty"` // of the rebuilt node, if it was kept
	Key     string   `json:"key"`           // of the proof object
}

const drillSearchDefault = 16

// drill is one run.
type drill struct {
	archives []*archive.Archive
	opts     DrillOptions
	src      *sources
	h        *history
	report   *DrillReport
}

// Drill restores into a temporary directory and compares the digest of what was
// rebuilt with the one that the node published: in a base's manifest or in a
// digest record of the log. Only at an LSN with a published digest is there
// anything to compare, so the nearest such LSN at or before the target is taken,
// or else the nearest behind it, and the report says why.
//
// A state that differs is no error: it is the report's verdict. With an error
// the report is nil, unless only the proof could not be written.
func Drill(ctx context.Context, archives []*archive.Archive, o *DrillOptions) (*DrillReport, error) {
	d := &drill{archives: archives}
	if o != nil {
		d.opts = *o
	}
	setDefault(&d.opts.SearchSegments, drillSearchDefault)
	d.opts.Restore = *d.opts.Restore.withDefaults()
	d.opts.Restore.Resume = false
	var err error
	if d.src, d.h, err = survey(ctx, archives, archive.SnapshotContents); err != nil {
		return nil, err
	}
	plan, err := d.choose(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.rebuild(ctx, plan); err != nil {
		return nil, err
	}
	if d.opts.NoWrite {
		return d.report, nil
	}
	return d.report, d.write(ctx)
}

// choose finds the LSN and the plan to it, and what was published about it.
func (d *drill) choose(ctx context.Context) (*Plan, error) {
	asked, err := d.asked(ctx)
	if err != nil {
		return nil, err
	}
	d.report = &DrillReport{Asked: asked.Reached, Written: []string{}}
	d.report.Seed, d.report.Target = d.opts.Seed, asked.Target.String()
	if d.opts.Target == nil {
		d.report.Target = fmt.Sprintf("random, seed %d", d.opts.Seed)
	}
	found, err := d.published(ctx, asked)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		plan, err := NewPlan(ctx, d.archives, Target{LSN: p.at.LSN, Timeline: asked.Timeline})
		if is[*OutOfWindowError](err) || is[*GapError](err) {
			continue // its digest is known, the way to it is not
		}
		if err != nil {
			return nil, err
		}
		plan.Digests = append(plan.Digests, p.PlanDigest)
		if p.at.LSN != asked.Reached.LSN {
			d.report.Why = fmt.Sprintf("the node published no digest of LSN %d; LSN %d is the nearest one that has one",
				uint64(asked.Reached.LSN), uint64(p.at.LSN))
		}
		return plan, nil
	}
	d.report.Why = fmt.Sprintf("no base and none of the %d segments around LSN %d holds a digest, so there is nothing to compare with",
		d.opts.SearchSegments, uint64(asked.Reached.LSN))
	return asked, nil
}

// asked is the plan to what was asked for.
func (d *drill) asked(ctx context.Context) (*Plan, error) {
	if d.opts.Target != nil {
		return NewPlan(ctx, d.archives, *d.opts.Target)
	}
	t, err := d.draw()
	if err != nil {
		return nil, err
	}
	return NewPlan(ctx, d.archives, t)
}

// rebuild restores, takes what came out into the report, and cleans up.
func (d *drill) rebuild(ctx context.Context, plan *Plan) (err error) {
	o := &d.opts.Restore
	var raw [4]byte
	if _, err := io.ReadFull(o.Rand, raw[:]); err != nil {
		return fmt.Errorf("draw a name: %w", err)
	}
	begun := o.Clock()
	r := d.report
	r.ID = fmt.Sprintf("%012x%s", begun.UnixMilli(), hex.EncodeToString(raw[:]))
	room := o.FS.PathJoin(d.opts.Dir, "nodedb-drill-"+r.ID)
	if err := o.FS.MkdirAll(room, 0o755); err != nil {
		return fmt.Errorf("make a directory for the drill: %w", err)
	}
	// Crash here: the directory stays; its name says what it is.
	defer func() {
		if d.opts.Keep && err == nil {
			return
		}
		if rerr := o.FS.RemoveAll(room); rerr != nil {
			err = errors.Join(err, fmt.Errorf("remove what the drill rebuilt: %w", rerr))
		}
	}()
	res, err := Restore(ctx, plan, o.FS.PathJoin(room, "node"), o)
	wrong := as[*DigestError](err)
	if err != nil && wrong == nil {
		return err
	}
	d.describe(plan, begun)
	if wrong != nil {
		r.Verdict, r.Digest, r.Entries = archive.VerdictDifferent, wrong.Got, wrong.GotEntries
		r.Published, r.Sources = wrong.Want, []string{wrong.Source}
		return nil
	}
	r.Digest, r.Entries, r.Verdict = res.Digest, res.Entries, archive.VerdictUnproven
	r.Sources = []string{}
	for _, s := range res.ProvenBy {
		if !slices.Contains(r.Sources, s) && (s != anyDigestRecord || len(r.Sources) == 0) {
			r.Sources = append(r.Sources, s)
		}
	}
	if len(res.ProvenBy) > 0 {
		r.Verdict, r.Published = archive.VerdictEqual, res.Digest
	}
	if d.opts.Keep {
		r.Dir = res.Dir
	}
	return nil
}

func (d *drill) describe(plan *Plan, begun time.Time) {
	r := d.report
	r.NodeID, r.Timeline, r.LSN, r.Time = plan.NodeID, plan.Reached.Timeline, plan.Reached.LSN, plan.Reached.Time
	r.Segments, r.Records, r.Bytes, r.Stores = len(plan.Segments), plan.Records, plan.Bytes, plan.Stores
	if plan.Base != nil {
		r.BaseLSN = plan.Base.LSN
	}
	r.Tool, r.Host, r.StartedAt = d.opts.Tool, d.opts.Host, begun.UTC()
	r.Seconds = d.opts.Restore.Clock().Sub(begun).Seconds()
	r.Key = r.ProofInfo.Key().String()
}

// write puts the proof into every store of the archive.
func (d *drill) write(ctx context.Context) error {
	var errs []error
	for _, a := range d.archives {
		if err := archive.WriteProof(ctx, a.Store(), d.report.ProofInfo); err != nil {
			errs = append(errs, err)
			continue
		}
		d.report.Written = append(d.report.Written, a.Store().URL())
	}
	return errors.Join(errs...)
}
