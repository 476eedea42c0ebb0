package node_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// rotating are the options of a small node in memory that does nothing by itself.
func rotating(fs vfs.FS) *node.Options {
	return &node.Options{
		NodeID: "n1", FS: fs, VShards: 4, Cores: 2, BallastBytes: -1, SegmentBytes: 8 << 10,
		MaintainInterval: -1, CheckpointInterval: -1, CheckpointBytes: 1 << 40, ArchiveTimeout: -1,
		MemtableBytes: 1 << 20, CacheBytes: 1 << 20,
	}
}

// crashed is the disk of a node that wrote keys and was never closed.
func crashed(t *testing.T, keys int, before func(n *node.Node)) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	n, err := node.Open("/db", rotating(fs))
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		mustPut(t, n.Tenant(0), fmt.Sprintf("k%d", i), strings.Repeat("v", 512))
	}
	if before != nil {
		before(n)
	}
	disk := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

func segmentsOf(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List("/db/wal")
	if err != nil {
		t.Fatal(err)
	}
	var segments []string
	for _, name := range names {
		if strings.HasSuffix(name, ".wal") {
			segments = append(segments, "/db/wal/"+name)
		}
	}
	slices.Sort(segments)
	return segments
}

func readAll(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

func writeAll(t *testing.T, fs vfs.FS, path string, data []byte) {
	t.Helper()
	if err := fs.MkdirAll(fs.PathDir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// dump is every file's content, to see that a refused open changes nothing.
func dump(t *testing.T, fs vfs.FS, dir string, into map[string]string) map[string]string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			dump(t, fs, path, into)
		} else if name != "LOCK" && name != "PID" {
			into[path] = string(readAll(t, fs, path))
		}
	}
	return into
}

// Law 14: a directory that cannot be opened is refused with what is wrong and
// where, and stays as it was.
func TestOpen_Refuses(t *testing.T) {
	tests := []struct {
		name    string
		damage  func(t *testing.T, fs *vfs.MemFS, o *node.Options)
		is      error
		says    []string
		changes bool // log and stores are opened, which tidies up
	}{
		{"not a node", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			if err := fs.RemoveAll("/db"); err != nil {
				t.Fatal(err)
			}
			writeAll(t, fs, "/db/holiday.jpg", []byte("x"))
		}, node.ErrNotANode, []string{"/db", "holiday.jpg", "empty directory"}, false},
		{"newer format", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			meta := readAll(t, fs, "/db/node.json")
			writeAll(t, fs, "/db/node.json", []byte(strings.Replace(string(meta), `"format": 1`, `"format": 9`, 1)))
		}, node.ErrNewerFormat, []string{"/db/node.json", "format 9", "reads 1"}, false},
		{"damaged node.json", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			writeAll(t, fs, "/db/node.json", readAll(t, fs, "/db/node.json")[:40])
		}, nil, []string{"/db/node.json", "not valid"}, false},
		{"empty node.json", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			writeAll(t, fs, "/db/node.json", nil)
		}, nil, []string{"/db/node.json", "not valid"}, false},
		{"wrong node id", func(_ *testing.T, _ *vfs.MemFS, o *node.Options) { o.NodeID = "other" },
			nil, []string{`"n1"`, `"other"`}, false},
		{"bad node id", func(_ *testing.T, _ *vfs.MemFS, o *node.Options) { o.NodeID = "../up" },
			nil, []string{`"../up"`}, false},
		{"wrong number of vshards", func(_ *testing.T, _ *vfs.MemFS, o *node.Options) { o.VShards = 8 },
			nil, []string{"4 vshards", "not 8"}, false},
		{"oldest segment deleted", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			remove(t, fs, segmentsOf(t, fs)[0])
		}, node.ErrMissingLog, []string{"/db/wal", "begins at"}, true},
		{"middle segment deleted", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			remove(t, fs, segmentsOf(t, fs)[2])
		}, wal.ErrCorrupt, []string{"/db/wal/", "LSN"}, true},
		{"log deleted", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			if err := fs.RemoveAll("/db/wal"); err != nil {
				t.Fatal(err)
			}
		}, node.ErrMissingLog, []string{"/db/wal", "archive"}, true},
		{"vshard deleted after truncation", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			if err := fs.RemoveAll("/db/vshard/0001"); err != nil {
				t.Fatal(err)
			}
		}, node.ErrMissingLog, []string{"restore"}, true},
		{"vshard of another number", func(t *testing.T, fs *vfs.MemFS, _ *node.Options) {
			if err := errors.Join(fs.RemoveAll("/db/vshard/0001"), fs.Rename("/db/vshard/0002", "/db/vshard/0001")); err != nil {
				t.Fatal(err)
			}
		}, engine.ErrWrongVShard, []string{"0001", "0002"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Some of it checkpointed and truncated, some of it only in the log.
			fs := crashed(t, 40, func(n *node.Node) {
				if _, err := n.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i := range 80 {
					mustPut(t, n.Tenant(0), fmt.Sprintf("l%d", i), strings.Repeat("v", 512))
				}
			})
			o := rotating(fs)
			tt.damage(t, fs, o)
			before := dump(t, fs, "/db", map[string]string{})
			for range 2 {
				n, err := node.Open("/db", o)
				if err == nil {
					_ = n.Close()
					t.Fatal("opened")
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("error = %v, want %v", err, tt.is)
				}
				for _, want := range tt.says {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("error %q does not say %q", err, want)
					}
				}
			}
			if tt.changes {
				return
			}
			after := dump(t, fs, "/db", map[string]string{})
			for path, data := range before {
				if after[path] != data {
					t.Errorf("a refused open changed %s", path)
				}
			}
			if len(after) != len(before) {
				t.Errorf("a refused open made files: %d, before %d", len(after), len(before))
			}
		})
	}
}

func remove(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	if err := fs.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// A vshard's directory that is gone while the log still holds everything is
// rebuilt from that.
func TestOpen_RebuildsVShardFromLog(t *testing.T) {
	fs := crashed(t, 40, nil)
	if err := fs.RemoveAll("/db/vshard/0001"); err != nil {
		t.Fatal(err)
	}
	n := open(t, "/db", rotating(fs))
	for i := range 40 {
		wantGet(t, n.Tenant(0), fmt.Sprintf("k%d", i), strings.Repeat("v", 512))
	}
}

// Law 11: a byte that is wrong before the end of the log stops the start with
// path, offset and LSN, wherever it is; in the torn tail nothing is lost that was
// acknowledged before.
func TestOpen_FlippedByteInLog(t *testing.T) {
	fs := crashed(t, 60, nil)
	segments := segmentsOf(t, fs)
	if len(segments) < 4 {
		t.Fatalf("%d segments", len(segments))
	}
	for _, path := range segments[:len(segments)-1] {
		good := readAll(t, fs, path)
		for at := 13; at < len(good); at += len(good)/5 + 1 {
			bad := []byte(string(good))
			bad[at] ^= 0x40
			writeAll(t, fs, path, bad)
			n, err := node.Open("/db", rotating(fs))
			if err == nil {
				_ = n.Close()
				t.Fatalf("opened with byte %d of %s flipped", at, path)
			}
			var corrupt *wal.CorruptError
			switch {
			case errors.As(err, &corrupt):
				if corrupt.Path != path || corrupt.FirstLSN == 0 || corrupt.Offset < 0 {
					t.Errorf("byte %d of %s: %+v", at, path, corrupt)
				}
				for _, want := range []string{path, "offset", "LSN"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("byte %d of %s: error %q does not say %q", at, path, err, want)
					}
				}
			case !errors.Is(err, wal.ErrCorrupt) && !errors.Is(err, wal.ErrVersion):
				t.Errorf("byte %d of %s: %v", at, path, err)
			}
		}
		writeAll(t, fs, path, good)
	}
	n := open(t, "/db", rotating(fs))
	for i := range 60 {
		wantGet(t, n.Tenant(0), fmt.Sprintf("k%d", i), strings.Repeat("v", 512))
	}
}

// A clock that goes back moves neither the log's time nor what expires with it.
func TestOpen_ClockGoesBack(t *testing.T) {
	clock, fs := newClock(), vfs.NewMem()
	o := rotating(fs)
	o.Clock = clock.Now
	var last time.Time
	for round := range 3 {
		n, err := node.Open("/db", o)
		if err != nil {
			t.Fatal(err)
		}
		for step := range 3 {
			mustPut(t, n.Tenant(0), fmt.Sprintf("k%d-%d", round, step), "v")
			_, at, err := n.RestorePoint(t.Context(), fmt.Sprintf("p%d-%d", round, step))
			if err != nil {
				t.Fatal(err)
			}
			if at.Before(last) {
				t.Fatalf("round %d: the log's time went from %s back to %s", round, last, at)
			}
			last = at
			clock.advance(-time.Hour)
		}
		if _, err := n.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n := open(t, "/db", o)
	for round := range 3 {
		wantGet(t, n.Tenant(0), fmt.Sprintf("k%d-0", round), "v")
	}
}

// A directory is open once: the second Open in a process is refused, under
// whatever name, and the refusal leaves the first one's lock alone.
func TestOpen_LockedInProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	n, err := node.Open(dir, &node.Options{BallastBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(wd, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, rel, link, dir + "/../db/."} {
		second, err := node.Open(name, &node.Options{BallastBytes: -1})
		if err == nil {
			_ = second.Close()
		}
		if !errors.Is(err, node.ErrLocked) || !strings.Contains(fmt.Sprint(err), fmt.Sprintf("pid %d", os.Getpid())) {
			t.Fatalf("Open(%q) = %v, want ErrLocked by pid %d", name, err, os.Getpid())
		}
	}
	mustPut(t, n.Tenant(0), "k", "v")
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	wantGet(t, open(t, dir, &node.Options{BallastBytes: -1}).Tenant(0), "k", "v")
}

const holdEnv = "NODE_TEST_HOLD_DIR"

// TestHelper_Hold is the other process of TestOpen_LockedByProcess.
func TestHelper_Hold(t *testing.T) {
	dir := os.Getenv(holdEnv)
	if dir == "" {
		return // run by itself there is nothing to hold
	}
	n, err := node.Open(dir, &node.Options{BallastBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("holding")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// A directory that another process holds is refused with its pid; when that
// process is killed the lock goes with it.
func TestOpen_LockedByProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelper_Hold$", "-test.v")
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "holding" {
	}
	_, err = node.Open(dir, &node.Options{BallastBytes: -1})
	if !errors.Is(err, node.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", cmd.Process.Pid)) {
		t.Errorf("Open = %v, want ErrLocked by pid %d", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	open(t, dir, &node.Options{BallastBytes: -1})
}
