package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

const (
	pruneVersion  = 1
	pruneBytesMax = 64 << 20

	// PruneObjectsMax bounds the objects of one record; a larger work is
	// several records.
	PruneObjectsMax = 100_000
)

// PruneKind says what a record of the prune log tells.
type PruneKind string

// The kinds of records.
const (
	PruneMark  PruneKind = "mark"  // not needed; to be deleted after the grace period
	PruneSweep PruneKind = "sweep" // about to be deleted; written before the first deletion
	PruneDone  PruneKind = "done"  // how a sweep ended; nothing of it is deleted any more
)

// PruneRecord is one object of a node's prune log: what retention decided and
// did. The log is append-only and has no holes, so who appends record n has
// seen all before it: two pruners that see the same log cannot both go on.
type PruneRecord struct {
	Version int       `json:"version"`
	NodeID  string    `json:"node_id"`
	Seq     uint64    `json:"seq"`
	Kind    PruneKind `json:"kind"`
	ID      string    `json:"id"`             // random: two pruners never write the same bytes
	Host    string    `json:"host,omitempty"` // of the pruner, for people
	At      time.Time `json:"at"`             // by the pruner's clock, for people; ages are told by the store's clock
	Policy  string    `json:"policy,omitempty"`

	GraceSeconds int64  `json:"grace_seconds,omitempty"` // of a mark
	Sweep        uint64 `json:"sweep,omitempty"`         // of done: the sweep that it ends

	Objects  []PruneObject   `json:"objects,omitempty"`  // of mark and sweep
	Voided   []string        `json:"voided,omitempty"`   // keys whose earlier marks no longer count
	Retained []PruneRetained `json:"retained,omitempty"` // of done: the store keeps them by its own rule
	Pending  []string        `json:"pending,omitempty"`  // of done: not tried, or the answer is not known
	Deleted  int             `json:"deleted,omitempty"`  // of done
}

// PruneObject is an object as it was seen: another one under the same name is
// not meant.
type PruneObject struct {
	Key    string    `json:"key"` // below the node's prefix
	Bytes  int64     `json:"bytes"`
	Stored time.Time `json:"stored"` // by the store
	MD5    string    `json:"md5,omitempty"`
	Reason string    `json:"reason"`
}

// PruneRetained is an object that the store would not delete.
type PruneRetained struct {
	Key    string    `json:"key"`
	Until  time.Time `json:"until,omitzero"` // zero: the store did not say
	Hold   bool      `json:"hold,omitempty"` // without an end
	Reason string    `json:"reason,omitempty"`
}

// SawObject describes an object of a listing.
func SawObject(nodeID string, o Object, reason string) PruneObject {
	return PruneObject{Key: o.Key[len(NodePrefix(nodeID)):], Bytes: o.Size, Stored: o.ModTime.UTC(), MD5: hex.EncodeToString(o.MD5), Reason: reason}
}

// Is tells whether o is the very object that was seen.
func (p *PruneObject) Is(o Object) bool {
	if p.Bytes != o.Size || !p.Stored.Equal(o.ModTime) {
		return false
	}
	return p.MD5 == "" || len(o.MD5) == 0 || p.MD5 == hex.EncodeToString(o.MD5)
}

func (r *PruneRecord) valid() error {
	raw, err := hex.DecodeString(r.ID)
	switch {
	case !ValidNodeID(r.NodeID):
		return errors.New("bad node id")
	case r.Seq == 0:
		return errZeroSeq
	case err != nil || len(raw) != 16:
		return errors.New("id is not 32 hex digits")
	case r.GraceSeconds < 0:
		return errors.New("negative grace period")
	case len(r.Objects) > PruneObjectsMax:
		return fmt.Errorf("%d objects", len(r.Objects))
	case r.Kind != PruneMark && r.Kind != PruneSweep && r.Kind != PruneDone:
		return fmt.Errorf("kind %q", r.Kind)
	case (r.Kind == PruneDone) != (r.Sweep != 0) || r.Sweep >= r.Seq:
		return fmt.Errorf("record %d of kind %s ends sweep %d", r.Seq, r.Kind, r.Sweep)
	}
	for i := range r.Objects {
		k, err := ParseKey(r.Objects[i].Key)
		if err != nil {
			return err
		}
		switch k.(type) {
		case EpochKey, FormatKey, GapKey, PruneKey:
			return badKey(r.Objects[i].Key, "is never deleted")
		}
		if r.Objects[i].Bytes < 0 {
			return badKey(r.Objects[i].Key, "has a negative size")
		}
	}
	return nil
}

func decodePrune(data []byte, nodeID string, seq uint64) (PruneRecord, error) {
	var r PruneRecord
	if err := decodeJSON(data, pruneVersion, &r); err != nil {
		return PruneRecord{}, err
	}
	if err := r.valid(); err != nil {
		return PruneRecord{}, err
	}
	if r.NodeID != nodeID || r.Seq != seq {
		return PruneRecord{}, fmt.Errorf("is record %d of node %q", r.Seq, r.NodeID)
	}
	return r, nil
}

// AppendPrune appends a record. ErrExists when somebody else appended one in
// its place: read the log again and decide anew.
func AppendPrune(ctx context.Context, s Store, r PruneRecord) error {
	r.Version = pruneVersion
	if err := r.valid(); err != nil {
		return fmt.Errorf("archive: invalid prune record: %w", err)
	}
	data, err := encodeJSON(&r)
	if err != nil {
		return fmt.Errorf("encode prune record: %w", err)
	}
	if len(data) > pruneBytesMax {
		return fmt.Errorf("archive: prune record of %d bytes is above the limit of %d", len(data), pruneBytesMax)
	}
	if err := createSmall(ctx, s, Join(r.NodeID, PruneKey{Seq: r.Seq}), data); err != nil {
		return fmt.Errorf("create prune record %d: %w", r.Seq, err)
	}
	return nil
}

// ReadPrune reads one record of the log.
func ReadPrune(ctx context.Context, s Store, nodeID string, seq uint64) (PruneRecord, error) {
	key := Join(nodeID, PruneKey{Seq: seq})
	data, err := readSmall(ctx, s, key, pruneBytesMax)
	if err != nil {
		return PruneRecord{}, fmt.Errorf("read prune record: %w", err)
	}
	r, err := decodePrune(data, nodeID, seq)
	if err != nil {
		return PruneRecord{}, objectErr(s, key, "not a prune record", err)
	}
	return r, nil
}
