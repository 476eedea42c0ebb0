// Package durable has the two steps with which a file survives a crash: its
// directory is synced after a name in it changed, and a file is replaced as a
// whole. Both act on the file system that they are given, so that tests can
// make them fail.
package durable

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TempSuffix ends the name under which WriteFile prepares a file.
const TempSuffix = ".tmp"

// SyncDir makes the names in dir durable: files created, linked, renamed and
// removed before the call.
func SyncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory %s to sync it: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// WriteFile creates or replaces dir/name. After a crash the old bytes, or the
// new ones, are there whole. When it returns nil the new ones are durable.
func WriteFile(fsys vfs.FS, dir, name string, data []byte) error {
	path := fsys.PathJoin(dir, name)
	tmp := path + TempSuffix
	if err := writeSynced(fsys, tmp, data); err != nil {
		if rerr := fsys.Remove(tmp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr) // it stays; the next write replaces it
		}
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	// Crash here: the old file is in force, and the temporary one is left. The
	// next write replaces the latter.
	if err := fsys.Rename(tmp, path); err != nil {
		return fmt.Errorf("rename %s: %w", tmp, err)
	}
	// Crash here: the old or the new file is there.
	return SyncDir(fsys, dir)
}

func writeSynced(fsys vfs.FS, path string, data []byte) error {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
