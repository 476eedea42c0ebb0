package pitr

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/errors/oserror"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/node/engine"
)

// Shape is the form of a node that is not the one that was archived: another
// number of vshards, or a part of the entries. Such a node cannot go on with the
// history of the old one, whose records name vshards and entries that it does
// not have. So it is a new node, with an ID and an archive history of its own,
// which begins with a base.
//
// The whole state is restored and proven first; then what is kept of it is
// copied, and the copy is read back and compared.
type Shape struct {
	NodeID   string   `json:"node_id"`
	VShards  int      `json:"vshards"` // 0 in a wish: as before
	Tenants  []uint32 `json:"tenants,omitempty"`
	Prefixes [][]byte `json:"prefixes,omitempty"`
}

// Whole is the state that was restored and proven before a part of it, or all
// of it in other vshards, was copied.
type Whole struct {
	NodeID   string   `json:"node_id"`
	VShards  int      `json:"vshards"`
	Digest   string   `json:"digest"`
	Entries  uint64   `json:"entries"`
	ProvenBy []string `json:"proven_by"`
}

const (
	shapeDirName = "shape"       // in restore/: vshards of the copy, while it is made
	shapedName   = "shaped.json" // in restore/: the copy is complete and compared; holds the result
)

// shape is what the options ask for, nil when it is the node as it was.
func (o *Options) shape(p *Plan) (*Shape, error) {
	s := &Shape{NodeID: o.NewNodeID, VShards: o.VShards, Tenants: slices.Clone(o.OnlyTenants), Prefixes: slices.Clone(o.OnlyPrefixes)}
	slices.Sort(s.Tenants)
	slices.SortFunc(s.Prefixes, bytes.Compare)
	if s.VShards == 0 {
		s.VShards = p.VShards
	}
	if s.VShards == p.VShards && !s.partial() {
		if s.NodeID != "" {
			return nil, errors.New("pitr: a new node ID goes with another number of vshards, or with a part of the state")
		}
		return nil, nil
	}
	if s.NodeID == p.NodeID {
		return nil, fmt.Errorf("pitr: the node would have another shape than %q in the archive, so it needs an ID of its own", p.NodeID)
	}
	if s.NodeID != "" && !archive.ValidNodeID(s.NodeID) {
		return nil, fmt.Errorf("%w: %q", archive.ErrBadNodeID, s.NodeID)
	}
	return s, nil
}

func (s *Shape) partial() bool { return len(s.Tenants) > 0 || len(s.Prefixes) > 0 }

// asks tells whether a stored shape is what is wished for.
func (s *Shape) asks(stored *Shape) bool {
	if s == nil || stored == nil {
		return s == nil && stored == nil
	}
	return (s.NodeID == "" || s.NodeID == stored.NodeID) && s.VShards == stored.VShards &&
		slices.Equal(s.Tenants, stored.Tenants) && slices.EqualFunc(s.Prefixes, stored.Prefixes, bytes.Equal)
}

// shapedBy is the plan with the shape that the options ask for.
func (p *Plan) shapedBy(o *Options) (*Plan, error) {
	s, err := o.shape(p)
	if err != nil {
		return nil, err
	}
	c := *p
	c.Shape = s
	return &c, nil
}

// name gives the new node an ID if nobody did.
func (p *Plan) name(random io.Reader) error {
	if p.Shape == nil || p.Shape.NodeID != "" {
		return nil
	}
	var raw [3]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return fmt.Errorf("draw a node ID: %w", err)
	}
	id := p.NodeID + "-" + hex.EncodeToString(raw[:])
	if !archive.ValidNodeID(id) {
		return fmt.Errorf("%w: %q: give the new node an ID", archive.ErrBadNodeID, id)
	}
	named := *p.Shape
	named.NodeID = id
	p.Shape = &named
	return nil
}

// shaped tells whether an earlier run had made the copy, and puts it in place.
func (r *restore) shaped() (bool, error) {
	data, err := readFile(r.opts.FS, r.stage.path(stageSubdir, shapedName), planBytesMax)
	if oserror.IsNotExist(err) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r.result)
	}
	if err != nil {
		return false, fmt.Errorf("read result of the earlier run: %w", err)
	}
	return true, r.placeShape()
}

// makeShape copies the proven state into its new form, proves the copy, and
// puts it where the whole state was.
func (r *restore) makeShape(ctx context.Context) error {
	r.meter.enter(PhaseShape)
	fs, dir := r.opts.FS, r.stage.path(stageSubdir, shapeDirName)
	if err := fs.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove an unfinished copy: %w", err)
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory of the copy: %w", err)
	}
	sum, err := r.copyState(ctx, dir)
	if err != nil {
		return err
	}
	out := &r.result
	out.Whole = &Whole{NodeID: r.plan.NodeID, VShards: r.plan.VShards, Digest: out.Digest, Entries: out.Entries, ProvenBy: out.ProvenBy}
	out.Digest, out.Entries = sum.String(), sum.Entries()
	if r.plan.Shape.partial() {
		out.ProvenBy = []string{}
	} else if out.Digest != out.Whole.Digest || out.Entries != out.Whole.Entries {
		return r.copyDiffers(sum, out.Whole.Digest, out.Whole.Entries)
	}
	if err := r.closeVShards(); err != nil {
		return fmt.Errorf("close restored stores: %w", err)
	}
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	// The copy's own name too: the mark must not be there without it.
	if err := r.stage.syncDirs(dir, r.stage.path(stageSubdir)); err != nil {
		return err
	}
	// Crash here: the copy is made again from the whole state.
	if err := durable.WriteFile(fs, r.stage.path(stageSubdir), shapedName, data); err != nil {
		return err
	}
	return r.placeShape()
}

// copyState copies and compares: what was read and kept against what is in the
// new stores.
func (r *restore) copyState(ctx context.Context, dir string) (_ *engine.Digest, err error) {
	shared, to, err := openAll(r.opts, dir, r.plan.Shape.VShards)
	defer func() { err = errors.Join(err, closeAll(shared, to)) }()
	if err != nil {
		return nil, err
	}
	var from []*engine.Snapshot
	defer func() {
		for _, s := range from {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, v := range r.vshards {
		s, err := v.Snapshot()
		if err != nil {
			return nil, fmt.Errorf("read restored vshard: %w", err)
		}
		from = append(from, s)
	}
	p := r.plan
	kept, err := engine.Spread(ctx, from, to, &engine.Selection{VShards: p.Shape.VShards, Tenants: p.Shape.Tenants, Prefixes: p.Shape.Prefixes},
		p.Reached.LSN, p.Reached.Time.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("copy the restored state: %w", err)
	}
	got, err := digestAll(ctx, r.opts.Workers, to, p.Reached.LSN)
	if err != nil {
		return nil, err
	}
	if got.String() != kept.String() || got.Entries() != kept.Entries() {
		return nil, r.copyDiffers(got, kept.String(), kept.Entries())
	}
	return got, nil
}

func (r *restore) copyDiffers(got *engine.Digest, want string, entries uint64) error {
	return &DigestError{LSN: r.plan.Reached.LSN, Got: got.String(), GotEntries: got.Entries(),
		Want: want, WantEntries: entries, Source: "the state that it was copied from"}
}

// placeShape puts a complete copy where the whole state was. Every step may be
// done again.
func (r *restore) placeShape() error {
	fs, dir, whole := r.opts.FS, r.stage.path(stageSubdir, shapeDirName), r.stage.path("vshard")
	_, err := fs.Stat(dir)
	if oserror.IsNotExist(err) {
		return nil // an earlier run came as far
	}
	if err != nil {
		return fmt.Errorf("look for the copy: %w", err)
	}
	if err := fs.RemoveAll(whole); err != nil {
		return fmt.Errorf("remove the state that was copied from: %w", err)
	}
	// Crash here: a part of the whole state is left, or none; the copy is complete.
	if err := fs.Rename(dir, whole); err != nil {
		return fmt.Errorf("put the copy in place: %w", err)
	}
	// The new name first: once the old one is durably gone, it must be there.
	return r.stage.syncDirs(r.stage.dir, r.stage.path(stageSubdir))
}
