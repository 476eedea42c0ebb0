package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	pinVersion  = 2 // 1 had no expiry, no hold and no Only
	pinBytesMax = 64 << 10
)

// PinInfo is the content of a pin object: retention and truncation must not
// pass LSN on Timeline while the object is there. A pin is taken off by
// deleting its object, and never changed.
type PinInfo struct {
	Version   int          `json:"version"`
	NodeID    string       `json:"node_id"`
	Name      string       `json:"name"`
	Timeline  wal.Timeline `json:"timeline"`
	LSN       wal.LSN      `json:"lsn"` // the oldest LSN that must stay restorable
	Reason    string       `json:"reason,omitempty"`
	CreatedAt time.Time    `json:"created_at"`

	// Only keeps LSN itself, not what was written after it.
	Only bool `json:"only,omitempty"`
	// ExpiresAt is when the pin no longer counts; zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Hold is a legal hold: it never expires, and RemovePin leaves it alone.
	Hold bool `json:"hold,omitempty"`
}

// ErrHeld: a pin is a legal hold, which is released on purpose only.
var ErrHeld = errors.New("archive: pin is a legal hold")

// Expired tells whether the pin no longer counts.
func (p *PinInfo) Expired(now time.Time) bool {
	return !p.Hold && !p.ExpiresAt.IsZero() && !now.Before(p.ExpiresAt)
}

func (p *PinInfo) valid() error {
	switch {
	case !ValidNodeID(p.NodeID):
		return errors.New("bad node id")
	case p.Timeline == 0:
		return errors.New("timeline 0")
	case p.LSN == 0:
		return errors.New("LSN 0")
	case p.Hold && !p.ExpiresAt.IsZero():
		return errors.New("a legal hold has no expiry")
	}
	return PinKey{Name: p.Name}.valid()
}

// WritePin creates a pin. ErrExists when a different pin has the name.
func WritePin(ctx context.Context, s Store, p PinInfo) error {
	p.Version = 1
	if p.Only || p.Hold || !p.ExpiresAt.IsZero() {
		p.Version = pinVersion // a program that does not know these fields must not pass over them
	}
	if err := p.valid(); err != nil {
		return fmt.Errorf("archive: invalid pin: %w", err)
	}
	data, err := encodeJSON(&p)
	if err != nil {
		return fmt.Errorf("encode pin: %w", err)
	}
	if err := createSmall(ctx, s, Join(p.NodeID, PinKey{Name: p.Name}), data); err != nil {
		return fmt.Errorf("create pin %q: %w", p.Name, err)
	}
	return nil
}

// ReadPin reads one pin; ErrNotFound when there is none of that name.
func ReadPin(ctx context.Context, s Store, nodeID, name string) (PinInfo, error) {
	k := PinKey{Name: name}
	if err := ValidKey(k); err != nil {
		return PinInfo{}, err
	}
	key := Join(nodeID, k)
	data, err := readSmall(ctx, s, key, pinBytesMax)
	if err != nil {
		return PinInfo{}, fmt.Errorf("read pin %q: %w", name, err)
	}
	p, err := decodePin(data, nodeID, name)
	if err != nil {
		return PinInfo{}, objectErr(s, key, "not a pin object", err)
	}
	return p, nil
}

func decodePin(data []byte, nodeID, name string) (PinInfo, error) {
	var p PinInfo
	if err := decodeJSON(data, pinVersion, &p); err != nil {
		return PinInfo{}, err
	}
	if err := p.valid(); err != nil {
		return PinInfo{}, err
	}
	if p.NodeID != nodeID || p.Name != name {
		return PinInfo{}, fmt.Errorf("is pin %q of node %q", p.Name, p.NodeID)
	}
	return p, nil
}

// ReadPins reads every pin of a node, ordered by name.
func ReadPins(ctx context.Context, s Store, nodeID string) ([]PinInfo, error) {
	var out []PinInfo
	for o, err := range listKeys[PinKey](ctx, s, nodeID, "pin/", "") {
		if err != nil {
			return nil, err
		}
		p, err := ReadPin(ctx, s, nodeID, o.Key.Name)
		if errors.Is(err, ErrNotFound) {
			continue // taken off since the listing
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// RemovePin takes a pin off; ErrNotFound when there is none of that name,
// ErrHeld when it is a legal hold and release does not say so.
func RemovePin(ctx context.Context, s Store, nodeID, name string, release bool) error {
	p, err := ReadPin(ctx, s, nodeID, name)
	if err != nil {
		return err
	}
	if p.Hold && !release {
		return fmt.Errorf("remove pin %q: %w: %s", name, ErrHeld, p.Reason)
	}
	if err := s.Delete(ctx, Join(nodeID, PinKey{Name: name})); err != nil {
		return fmt.Errorf("remove pin %q: %w", name, err)
	}
	return nil
}
