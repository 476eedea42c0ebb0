package node

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const ballastName = "ballast"

// A ballast is a file of zeroes that is given up when the disk is full: a
// checkpoint can then still flush and free the log. It comes back at the next
// open that has room.
type ballast struct{ bytes int64 }

func (n *Node) openBallast() error {
	if n.opts.BallastBytes < 0 {
		return nil
	}
	path := n.path(ballastName)
	if info, err := n.opts.FS.Stat(path); err == nil && info.Size() >= n.opts.BallastBytes {
		n.ballast.bytes = info.Size()
		return nil
	}
	if err := writeZeroes(n.opts.FS, path, n.opts.BallastBytes); err != nil {
		// A node must start on a full disk: it may be the one to free it.
		n.logger.Warn("no room for the ballast file", "path", path, "bytes", n.opts.BallastBytes, "err", err)
		return n.dropBallast()
	}
	n.ballast.bytes = n.opts.BallastBytes
	return nil
}

// dropBallast frees the ballast's space.
func (n *Node) dropBallast() error {
	n.ballast.bytes = 0
	err := n.opts.FS.Remove(n.path(ballastName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give up the ballast file: %w", err)
	}
	return nil
}

func writeZeroes(fs vfs.FS, path string, size int64) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	chunk := make([]byte, 256<<10)
	for left := size; err == nil && left > 0; left -= int64(len(chunk)) {
		_, err = f.Write(chunk[:min(left, int64(len(chunk)))])
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
