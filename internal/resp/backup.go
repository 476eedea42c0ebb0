package resp

import (
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// baseView is a base backup as nodedb backup --json prints it.
type baseView struct {
	Manifest   string        `json:"manifest"`
	LSN        wal.LSN       `json:"lsn"`
	Files      int           `json:"files"`
	Bytes      int64         `json:"bytes"`
	NewObjects int           `json:"new_objects"`
	NewBytes   int64         `json:"new_bytes"`
	Took       time.Duration `json:"duration_ns"`
}

// backupNow writes a base backup to the archive of the node.
func backupNow(c *conn, _ [][]byte, out *reply) error {
	b, err := c.s.opts.Node.Backup(c.ctx)
	if err != nil {
		return err
	}
	return out.json(baseView{b.Key.String(), b.LSN, b.Files, b.Bytes, b.NewObjects, b.NewBytes, b.Duration})
}
