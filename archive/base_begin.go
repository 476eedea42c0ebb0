package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	begunVersion  = 1
	begunBytesMax = 64 << 10
)

// ErrPruning: a sweep that has not ended names an object that a base wants to
// use. Try again when it is over.
var ErrPruning = errors.New("archive: object is being pruned")

// baseFinishWithin is when the writer of a base gives up, well before
// retention stops waiting for it.
const baseFinishWithin = BaseUnderWayFor - 4*time.Hour

// BaseBegun is the content of an announcement. It is for people; retention goes
// by the object's name and by the time that the store gave it.
type BaseBegun struct {
	Version int       `json:"version"`
	NodeID  string    `json:"node_id"`
	Epoch   wal.Epoch `json:"epoch"`
	BegunAt time.Time `json:"begun_at"`
}

// ReadBegun reads one announcement.
func ReadBegun(ctx context.Context, s Store, nodeID string, k BegunKey) (BaseBegun, error) {
	key := Join(nodeID, k)
	data, err := readSmall(ctx, s, key, begunBytesMax)
	if err != nil {
		return BaseBegun{}, fmt.Errorf("read announcement of base: %w", err)
	}
	b, err := decodeBegun(data, nodeID)
	if err != nil {
		return BaseBegun{}, objectErr(s, key, "not an announcement of a base", err)
	}
	return b, nil
}

func decodeBegun(data []byte, nodeID string) (BaseBegun, error) {
	var b BaseBegun
	if err := decodeJSON(data, begunVersion, &b); err != nil {
		return BaseBegun{}, err
	}
	if b.NodeID != nodeID || b.Epoch == 0 {
		return BaseBegun{}, fmt.Errorf("is of node %q, epoch %d", b.NodeID, b.Epoch)
	}
	return b, nil
}

// BaseGuard keeps retention from deleting contents that a base under way is
// going to name.
//
// The writer announces the base, then reads the sweeps; the pruner announces
// its sweep, then lists what is announced. Whoever comes second sees the
// other: the pruner leaves every content alone, or the writer uses none that
// the sweep names.
type BaseGuard struct {
	clock   func() time.Time
	began   time.Time
	key     BaseKey
	blocked map[string]uint64 // key below the node's prefix → sweep
}

// BeginBase announces a base before its writer looks which contents are
// there. Whoever writes a manifest by other means does the same.
func BeginBase(ctx context.Context, s Store, nodeID string, k BaseKey, epoch wal.Epoch, clock func() time.Time) (*BaseGuard, error) {
	g := &BaseGuard{clock: clock, began: clock(), key: k}
	data, err := encodeJSON(&BaseBegun{Version: begunVersion, NodeID: nodeID, Epoch: epoch, BegunAt: g.began.UTC()})
	if err != nil {
		return nil, fmt.Errorf("encode announcement of base: %w", err)
	}
	key := Join(nodeID, BegunKey(k))
	// Crash here, or anywhere before the manifest: the announcement ages.
	if err := createSmall(ctx, s, key, data); err != nil {
		return nil, fmt.Errorf("announce base: %w", err)
	}
	log, err := ReadPruneLog(ctx, s, nodeID)
	if err != nil {
		return nil, err
	}
	open := log.Open()
	if len(open) == 0 {
		return g, nil
	}
	own, err := s.Stat(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("announce base: %w", err)
	}
	g.blocked = make(map[string]uint64)
	for _, r := range open {
		if own.ModTime.Sub(r.Stored) > PruneSweepOver {
			continue // whoever began it is gone
		}
		for _, o := range r.Objects {
			g.blocked[o.Key] = r.Seq
		}
	}
	return g, nil
}

// Use refuses a content that is being deleted.
func (g *BaseGuard) Use(k ObjKey) error {
	if seq, ok := g.blocked[k.String()]; ok {
		return fmt.Errorf("%w: %s, by record %d of the prune log", ErrPruning, k, seq)
	}
	return nil
}

// Finish refuses to go on to the manifest when the base took so long that
// retention may have stopped waiting.
func (g *BaseGuard) Finish() error {
	if took := g.clock().Sub(g.began); took > baseFinishWithin {
		return fmt.Errorf("archive: base %s took %s, more than %s: what it names may be pruned; begin it again", g.key, took.Round(time.Second), baseFinishWithin)
	}
	return nil
}
