package engine

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Names of the files by which a directory is held.
const (
	LockFile = "LOCK"
	PIDFile  = "PID"
)

// LockDir takes the lock of a node's directory, or of a standby's: who holds it
// may open the vshards. The holder's process id stands in a file beside it, only
// to name it in the error of the next one that tries: the lock itself goes with
// its process. Error: ErrLocked when another has it.
func LockDir(fs vfs.FS, dir string) (io.Closer, error) {
	path := filepath.Join(dir, LockFile)
	if fs == vfs.Default {
		// Within one process the lock goes by the file's name: there must be one
		// name only.
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		dir, path = abs, filepath.Join(abs, LockFile)
	}
	lock, err := fs.Lock(path)
	if _, ok := errors.AsType[*iofs.PathError](err); ok { // the file cannot be opened: nobody was asked who holds it
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	if err != nil {
		if pid, ok := readPID(fs, dir); ok {
			return nil, fmt.Errorf("%w: %s is held by pid %d, stop it first: %w", ErrLocked, dir, pid, err)
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrLocked, dir, err)
	}
	if err := writePID(fs, dir); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

func readPID(fs vfs.FS, dir string) (int, bool) {
	f, err := fs.Open(filepath.Join(dir, PIDFile))
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil && pid > 0
}

// writePID needs no sync: a stale or torn number is only a worse message.
func writePID(fs vfs.FS, dir string) error {
	f, err := fs.Create(filepath.Join(dir, PIDFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write process id: %w", err)
	}
	_, err = f.Write([]byte(strconv.Itoa(os.Getpid()) + "\n"))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write process id: %w", err)
	}
	return nil
}
