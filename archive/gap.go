package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	gapVersion  = 1
	gapBytesMax = 64 << 10
)

// GapInfo is the content of a gap object: the LSNs First to Last (inclusive)
// of a timeline are declared lost to this store. Where a segment is there all
// the same, the segment wins.
type GapInfo struct {
	Version    int          `json:"version"`
	NodeID     string       `json:"node_id"`
	Timeline   wal.Timeline `json:"timeline"`
	First      wal.LSN      `json:"first_lsn"`
	Last       wal.LSN      `json:"last_lsn"`
	Epoch      wal.Epoch    `json:"epoch"` // writer that declared it
	Reason     string       `json:"reason"`
	DeclaredAt time.Time    `json:"declared_at"`
}

func (g *GapInfo) key() GapKey { return GapKey{Timeline: g.Timeline, First: g.First, Last: g.Last} }

func (g *GapInfo) valid() error {
	switch {
	case !ValidNodeID(g.NodeID):
		return errors.New("bad node id")
	case g.Epoch == 0:
		return errors.New("epoch 0")
	}
	return g.key().valid()
}

// WriteGap declares a range lost. A gap object that is there already for the
// same range says the same thing, whoever wrote it: that is success.
func WriteGap(ctx context.Context, s Store, g GapInfo) error {
	g.Version = gapVersion
	if err := g.valid(); err != nil {
		return fmt.Errorf("archive: invalid gap: %w", err)
	}
	data, err := encodeJSON(&g)
	if err != nil {
		return fmt.Errorf("encode gap: %w", err)
	}
	err = createSmall(ctx, s, Join(g.NodeID, g.key()), data)
	if err == nil || !errors.Is(err, ErrExists) {
		return err
	}
	_, err = ReadGap(ctx, s, g.NodeID, g.key())
	return err
}

// ReadGap reads one gap object.
func ReadGap(ctx context.Context, s Store, nodeID string, k GapKey) (GapInfo, error) {
	key := Join(nodeID, k)
	data, err := readSmall(ctx, s, key, gapBytesMax)
	if err != nil {
		return GapInfo{}, fmt.Errorf("read gap: %w", err)
	}
	g, err := decodeGap(data, nodeID, k)
	if err != nil {
		return GapInfo{}, objectErr(s, key, "not a gap object", err)
	}
	return g, nil
}

func decodeGap(data []byte, nodeID string, k GapKey) (GapInfo, error) {
	var g GapInfo
	if err := decodeJSON(data, gapVersion, &g); err != nil {
		return GapInfo{}, err
	}
	if err := g.valid(); err != nil {
		return GapInfo{}, err
	}
	if g.NodeID != nodeID || g.key() != k {
		return GapInfo{}, fmt.Errorf("declares %s of node %q", g.key(), g.NodeID)
	}
	return g, nil
}

// ReadGaps reads every gap object of a node, ordered by timeline and LSN.
func ReadGaps(ctx context.Context, s Store, nodeID string) ([]GapInfo, error) {
	var out []GapInfo
	for o, err := range listKeys[GapKey](ctx, s, nodeID, "gap/", "") {
		if err != nil {
			return nil, err
		}
		g, err := ReadGap(ctx, s, nodeID, o.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}
