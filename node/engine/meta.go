package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// MetaFile is the name of the file that makes a directory a node.
const MetaFile = "node.json"

const (
	metaFormat   = 1
	metaBytesMax = 1 << 20
)

// Meta says who a node is: content of node.json.
type Meta struct {
	// Format of the file and of the directory around it. WriteMeta sets it.
	Format int `json:"format"`

	NodeID  string    `json:"node_id"`
	VShards int       `json:"vshards"` // fixed when the node is created
	Created time.Time `json:"created"`

	// Timeline of the history that the node writes. TimelineClaimed is false
	// from a restore until the first start has claimed it in the archive.
	Timeline        wal.Timeline `json:"timeline"`
	TimelineClaimed bool         `json:"timeline_claimed"`
	ParentTimeline  wal.Timeline `json:"parent_timeline,omitempty"`
	// ForkLSN is the last LSN of the parent that belongs to this history.
	ForkLSN wal.LSN `json:"fork_lsn,omitempty"`
	// FirstLSN is the first LSN that this timeline's WAL may write: above every
	// LSN that was ever archived.
	FirstLSN wal.LSN `json:"first_lsn"`

	// Incarnation is random and new with each life of the directory, 32 hex digits.
	Incarnation string `json:"incarnation"`

	// RestoredFrom is where the data came from, for people; empty for a node that
	// was born here.
	RestoredFrom string     `json:"restored_from,omitempty"`
	RestoredAt   *time.Time `json:"restored_at,omitempty"`
}

// MetaError says that node.json is there and cannot be used.
type MetaError struct {
	Path string
	Err  error
}

func (e *MetaError) Error() string { return fmt.Sprintf("engine: %s: %v", e.Path, e.Err) }

func (e *MetaError) Unwrap() error { return e.Err }

func (m *Meta) validate() error {
	var errs []error
	if m.NodeID == "" {
		errs = append(errs, errors.New("node_id is empty"))
	}
	if m.VShards < 1 || m.VShards >= int(wal.VShardNone) {
		errs = append(errs, fmt.Errorf("vshards must be 1 to %d: %d", int(wal.VShardNone)-1, m.VShards))
	}
	if m.Timeline == 0 {
		errs = append(errs, errors.New("timeline is zero"))
	}
	if m.FirstLSN == 0 {
		errs = append(errs, errors.New("first_lsn is zero"))
	}
	return errors.Join(errs...)
}

// ReadMeta reads the node.json of dir. Errors: ErrNotANode when there is none,
// ErrNewerFormat, *MetaError, and those of the file system.
func ReadMeta(fs vfs.FS, dir string) (*Meta, error) {
	return readDocument[Meta](fs, dir, MetaFile, metaFormat, "%w: %s has no %s")
}

// WriteMeta writes node.json in dir, durably: after a crash it is the old file or
// the new one.
func WriteMeta(fs vfs.FS, dir string, m *Meta) error {
	c := *m
	c.Format = metaFormat
	return writeDocument(fs, dir, MetaFile, &c)
}
