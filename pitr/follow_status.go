package pitr

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// FollowState is what a follower is at.
type FollowState string

// States of a follower.
const (
	FollowReplaying FollowState = "replaying" // segments are applied
	FollowCurrent   FollowState = "current"   // all that is archived was applied
	FollowWaiting   FollowState = "waiting"   // LSNs are missing that come before archived ones
	FollowTroubled  FollowState = "troubled"  // the last poll failed; the next may not
	FollowStopped   FollowState = "stopped"   // nobody follows now
)

// FollowStatus is where a standby is.
type FollowStatus struct {
	Version int         `json:"version"`
	NodeID  string      `json:"node_id"`
	Dir     string      `json:"dir"`
	PID     int         `json:"pid,omitempty"`
	State   FollowState `json:"state"`
	Error   string      `json:"error,omitempty"` // of the last poll, or why it stopped

	Timeline    wal.Timeline `json:"timeline"`    // whose end is followed
	Applied     wal.LSN      `json:"applied_lsn"` // all vshards have it, on disk
	AppliedTime time.Time    `json:"applied_time,omitzero"`
	Archived    wal.LSN      `json:"archived_lsn"`           // the newest on that timeline at the last poll
	MissingFrom wal.LSN      `json:"missing_from,omitempty"` // with FollowWaiting
	MissingTo   wal.LSN      `json:"missing_to,omitempty"`
	// LagSeconds is the age of the last applied record while newer ones are
	// known, 0 when there are none. What the node has not archived yet comes on
	// top: up to its archive timeout.
	LagSeconds float64 `json:"lag_seconds"`

	PolledAt time.Time `json:"polled_at,omitzero"` // the last poll that was answered
	Polls    uint64    `json:"polls"`              // by this process, as are the rest
	Segments uint64    `json:"segments"`
	Records  uint64    `json:"records"`
	Bytes    int64     `json:"bytes"` // fetched
}

const (
	followStatusVersion  = 1
	followStatusName     = "status.json"
	followStatusBytesMax = 64 << 10
)

// ReadFollowStatus reads what the follower of a standby wrote last, nil when none
// ever did.
func ReadFollowStatus(fs vfs.FS, dir string) (*FollowStatus, error) {
	data, err := readFile(fs, fs.PathJoin(dir, followSubdir, followStatusName), followStatusBytesMax)
	if oserror.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read status of the follower: %w", err)
	}
	return decodeFollowStatus(data)
}

func decodeFollowStatus(data []byte) (*FollowStatus, error) {
	var s FollowStatus
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read status of the follower: %w", err)
	}
	if s.Version < 1 || s.Version > followStatusVersion {
		return nil, fmt.Errorf("read status of the follower: version %d: %w", s.Version, archive.ErrVersion)
	}
	return &s, nil
}

// writeStatus replaces the file as a whole, without a sync: after a crash of the
// machine it may be old or gone, and nothing depends on it.
func (s *standby) writeStatus(st *FollowStatus) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	fs, path := s.opts.FS, s.path(followSubdir, followStatusName)
	f, err := fs.Create(path+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.Rename(path+".tmp", path)
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}
