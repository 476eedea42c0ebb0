package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

func walVerb() *cli.Verb {
	return &cli.Verb{
		Name: "wal", Category: careCategory, Usage: "look into the log's files",
		Description: "These work on the files of a node, without opening it. --dir may also be the\ndirectory of the log itself.",
		Verbs:       []*cli.Verb{walListVerb(), walDumpVerb(), walVerifyVerb(), walSalvageVerb()},
	}
}

// logDir is the directory of the log, and of the node around it ("" when --dir
// is the log itself).
func logDir(c *cli.Call) (log, nodeDir string, err error) {
	dir := c.String("dir")
	if dir == "" {
		return "", "", cli.Hint(cli.Usagef("no directory given"), "name it with --dir DIR or NODEDB_DIR")
	}
	if _, err := os.Stat(dir); err != nil {
		return "", "", fmt.Errorf("%w: %w", node.ErrNotANode, err)
	}
	if exists(filepath.Join(dir, engine.MetaFile)) {
		return filepath.Join(dir, "wal"), dir, nil
	}
	files, err := segmentFiles(dir)
	if err != nil {
		return "", "", err
	}
	if len(files) == 0 {
		return "", "", fmt.Errorf("%w: %s has neither %s nor segments", node.ErrNotANode, dir, engine.MetaFile)
	}
	return dir, "", nil
}

// segmentFiles are the segment files of a log, by first LSN.
func segmentFiles(dir string) ([]string, error) {
	names, err := os.ReadDir(dir) // sorted by name, which is by LSN
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if _, ok := wal.ParseSegmentName(n.Name()); ok {
			out = append(out, filepath.Join(dir, n.Name()))
		}
	}
	return out, nil
}

// holdLog keeps other processes out while a log is read as a whole. Without it
// a running node would look like a torn tail. A directory that cannot be
// locked, like a copy on a read-only disk, is read all the same.
func holdLog(nodeDir string, must bool) (io.Closer, error) {
	if nodeDir == "" || (!must && !exists(filepath.Join(nodeDir, "LOCK"))) {
		return io.NopCloser(nil), nil
	}
	lock, err := vfs.Default.Lock(filepath.Join(nodeDir, "LOCK"))
	if err == nil {
		return lock, nil
	}
	if errors.Is(err, os.ErrPermission) && !must {
		return io.NopCloser(nil), nil
	}
	if pid, ok := heldBy(nodeDir); ok {
		return nil, cli.Hint(fmt.Errorf("%w: %s is held by pid %d", node.ErrLocked, nodeDir, pid), "stop it first, or look with wal ls and wal dump")
	}
	return nil, fmt.Errorf("%w: %s: %w", node.ErrLocked, nodeDir, err)
}

// heldBy reads the process id that the holder of a directory left.
func heldBy(dir string) (int, bool) {
	text, err := os.ReadFile(filepath.Join(dir, "PID"))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil && pid > 0
}
