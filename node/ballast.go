package node

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

const ballastName = "ballast"

// A ballast is a file of zeroes that is given up when the disk is full: a
// checkpoint can then still flush and free the log. It comes back at the next
// open that has room.
type ballast struct{ bytes atomic.Int64 } // 0: none is held

func (n *Node) openBallast() error {
	if n.opts.BallastBytes < 0 {
		return nil
	}
	path := n.path(ballastName)
	if info, err := n.opts.FS.Stat(path); err == nil && info.Size() >= n.opts.BallastBytes {
		n.ballast.bytes.Store(info.Size())
		return nil
	}
	if err := writeZeroes(n.opts.FS, path, n.opts.BallastBytes); err != nil {
		// A node must start on a full disk: it may be the one to free it.
		n.logger.Warn("no room for the ballast file", "path", path, "bytes", n.opts.BallastBytes, "err", err)
		return n.dropBallast()
	}
	n.ballast.bytes.Store(n.opts.BallastBytes)
	return nil
}

// dropBallast frees the ballast's space.
func (n *Node) dropBallast() error {
	n.ballast.bytes.Store(0)
	err := n.opts.FS.Remove(n.path(ballastName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give up the ballast file: %w", err)
	}
	return nil
}

// giveUpBallast frees the ballast's space because the disk is full, and reports
// whether there was one.
func (n *Node) giveUpBallast() bool {
	bytes := n.ballast.bytes.Swap(0)
	if bytes == 0 {
		return false
	}
	n.logger.Warn("disk full: the ballast file is given up", "bytes", bytes)
	if err := n.dropBallast(); err != nil {
		n.logger.Error("disk full", "err", err)
		return false
	}
	return true
}

// isDiskFull tells whether an error means that there is no space left.
func isDiskFull(err error) bool {
	return errors.Is(err, wal.ErrDiskFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// noteDiskFull has the checkpoint goroutine free what it can, if err says that
// the disk is full. It never blocks.
func (n *Node) noteDiskFull(err error) {
	if !isDiskFull(err) {
		return
	}
	select {
	case n.diskFull <- struct{}{}:
	default:
	}
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
