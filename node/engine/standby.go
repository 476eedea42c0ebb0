package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
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
	path := fs.PathJoin(dir, StandbyFile)
	f, err := fs.Open(path)
	if errors.Is(err, errNotExist) {
		return nil, fmt.Errorf("%w, nor a standby: %s has no %s", ErrNotANode, dir, StandbyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", StandbyFile, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, metaBytesMax+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return decodeStandby(path, data)
}

func decodeStandby(path string, data []byte) (*Standby, error) {
	if err := checkFormat(path, data, standbyFormat); err != nil {
		return nil, err
	}
	s := new(Standby)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, &MetaError{Path: path, Err: fmt.Errorf("not valid: %w", err)}
	}
	if err := s.validate(); err != nil {
		return nil, &MetaError{Path: path, Err: err}
	}
	return s, nil
}

// WriteStandby writes standby.json in dir, durably: after a crash it is the old
// file or the new one.
func WriteStandby(fs vfs.FS, dir string, s *Standby) error {
	c := *s
	c.Format = standbyFormat
	path := fs.PathJoin(dir, StandbyFile)
	if err := c.validate(); err != nil {
		return &MetaError{Path: path, Err: err}
	}
	data, err := json.MarshalIndent(&c, "", "  ")
	if err != nil {
		return &MetaError{Path: path, Err: err}
	}
	if err := durable.WriteFile(fs, dir, StandbyFile, append(data, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", StandbyFile, err)
	}
	return nil
}
