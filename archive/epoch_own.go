package archive

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	claimsName     = "claims.log"
	claimsBytesMax = 16 << 20
	claimsKept     = 256
)

// claimLine records that this node's directory was about to create an epoch.
type claimLine struct {
	Epoch       wal.Epoch `json:"epoch"`
	Incarnation string    `json:"incarnation"`
}

// claims is the file by which a node knows its own epoch objects again after
// a crash between creating one and using it. One checked line per claim,
// rewritten whole (a claim happens once per start).
type claims struct {
	fs    vfs.FS
	dir   string
	lines []claimLine
}

// openClaims reads the record. Damaged lines are left out: the claims they
// held look foreign then, and the node refuses where it could have gone on.
func openClaims(fsys vfs.FS, dir string) (*claims, error) {
	c := &claims{fs: fsys, dir: dir}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make claims directory: %w", err)
	}
	data, err := readFileMax(fsys, fsys.PathJoin(dir, claimsName), claimsBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	readLines(data, func(l claimLine) { c.lines = append(c.lines, l) })
	return c, nil
}

// add makes the claim durable before anything is created in a store.
func (c *claims) add(l claimLine) error {
	c.lines = append(c.lines, l)
	if len(c.lines) > claimsKept {
		c.lines = c.lines[len(c.lines)-claimsKept:]
	}
	var data []byte
	for _, l := range c.lines {
		data = appendLine(data, l)
	}
	if err := durable.WriteFile(c.fs, c.dir, claimsName, data); err != nil {
		return fmt.Errorf("record claim: %w", err)
	}
	return nil
}

func (c *claims) newest() (newest wal.Epoch) {
	for _, l := range c.lines {
		newest = max(newest, l.Epoch)
	}
	return newest
}

func (c *claims) has(e EpochInfo) bool {
	for _, l := range c.lines {
		if l.Epoch == e.Epoch && l.Incarnation == e.Incarnation {
			return true
		}
	}
	return false
}

// contradicts tells whether the record knows the number with another owner.
func (c *claims) contradicts(e EpochInfo) bool {
	known := false
	for _, l := range c.lines {
		if l.Epoch == e.Epoch {
			known = true
			if l.Incarnation == e.Incarnation {
				return false
			}
		}
	}
	return known
}

// oldest is the lowest number on record, or own when there is none.
func (c *claims) oldest(own wal.Epoch) wal.Epoch {
	for _, l := range c.lines {
		own = min(own, l.Epoch)
	}
	return own
}
