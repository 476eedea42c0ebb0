//go:build unix

package wal

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// truncateFile gives back what lies behind the logical end, where the file
// system has real files. Readers go by the logical length, so failing costs
// space only.
func truncateFile(f vfs.File, size int64) bool {
	fd := f.Fd()
	return fd != vfs.InvalidFd && unix.Ftruncate(int(fd), size) == nil
}
