package archive

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	formatVersion  = 1
	formatBytesMax = 64 << 10
)

// FormatInfo is the content of format.json: the layout of everything below
// the node's prefix. It is created by the first claim.
type FormatInfo struct {
	Version   int       `json:"version"`
	NodeID    string    `json:"node_id"`
	CreatedAt time.Time `json:"created_at"`
}

// ReadFormat reads format.json; ErrNotFound when nobody claimed the archive
// yet, ErrVersion when a later program laid it out.
func ReadFormat(ctx context.Context, s Store, nodeID string) (FormatInfo, error) {
	key := Join(nodeID, FormatKey{})
	data, err := readSmall(ctx, s, key, formatBytesMax)
	if err != nil {
		return FormatInfo{}, fmt.Errorf("read archive format: %w", err)
	}
	var f FormatInfo
	if err := decodeJSON(data, formatVersion, &f); err != nil {
		return FormatInfo{}, objectErr(s, key, "not a format object", err)
	}
	if f.NodeID != nodeID {
		return FormatInfo{}, objectErr(s, key, fmt.Sprintf("is of node %q", f.NodeID), nil)
	}
	return f, nil
}

// settleFormat makes sure that the archive is laid out as this program knows.
func (r *claimRun) settleFormat(ctx context.Context, s Store) error {
	_, err := ReadFormat(ctx, s, r.NodeID)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	data, err := encodeJSON(&FormatInfo{Version: formatVersion, NodeID: r.NodeID, CreatedAt: r.Clock().UTC()})
	if err != nil {
		return fmt.Errorf("encode archive format: %w", err)
	}
	err = createSmall(ctx, s, Join(r.NodeID, FormatKey{}), data)
	if errors.Is(err, ErrExists) {
		_, err = ReadFormat(ctx, s, r.NodeID) // somebody was faster
	}
	if err != nil {
		return fmt.Errorf("create archive format: %w", err)
	}
	return nil
}
