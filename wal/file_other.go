//go:build !unix

package wal

import "github.com/cockroachdb/pebble/v2/vfs"

// truncateFile does nothing here: files keep what lies behind the logical end.
func truncateFile(vfs.File, int64) bool { return false }
