package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// StandbyFile is the name of the file that makes a directory a standby: the
// vshards of a node whose archive is followed. Where there is a node.json too, a
// promotion was cut off while it cleaned up: the directory is a node.
const StandbyFile = "standby.json"

const standbyFormat = 1

// Standby says what a directory follows: content of standby.json.
type Standby struct {
	// Format of the file. WriteStandby sets it.
	Format int `json:"format"`

	NodeID  string    `json:"node_id"`
	VShards int       `json:"vshards"`
	Created time.Time `json:"created"`

	// Timeline is the end of the history that is followed. What was applied lies
	// on it or on one of its ancestors.
	Timeline wal.Timeline `json:"timeline"`
	// Only keeps it: no later timeline is followed.
	Only bool `json:"only,omitempty"`
	// Epoch is the newest claim of the archive that was taken into account in
	// what was applied. A later one may make void what is here.
	Epoch wal.Epoch `json:"epoch"`

	// Stores are where the archive is, for people.
	Stores []string `json:"stores"`
}

func (s *Standby) validate() error {
	var errs []error
	if s.NodeID == "" {
		errs = append(errs, errors.New("node_id is empty"))
	}
	if s.VShards < 1 || s.VShards >= int(wal.VShardNone) {
		errs = append(errs, fmt.Errorf("vshards must be 1 to %d: %d", int(wal.VShardNone)-1, s.VShards))
	}
	if s.Timeline == 0 {
		errs = append(errs, errors.New("timeline is zero"))
	}
	return errors.Join(errs...)
}

// ReadStandby reads the standby.json of dir. Errors: ErrNotANode when there is
// none, ErrNewerFormat, *MetaError, and those of the file system.
func ReadStandby(fs vfs.FS, dir string) (*Standby, error) {
	return readDocument[Standby](fs, dir, StandbyFile, standbyFormat, "%w, nor a standby: %s has no %s")
}

// WriteStandby writes standby.json in dir, durably: after a crash it is the old
// file or the new one.
func WriteStandby(fs vfs.FS, dir string, s *Standby) error {
	c := *s
	c.Format = standbyFormat
	return writeDocument(fs, dir, StandbyFile, &c)
}
