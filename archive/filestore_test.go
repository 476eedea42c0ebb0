package archive_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodedb-go/nodedb/archive"
)

// childEnv makes the test binary play a second process on the same directory.
const childEnv = "NODEDB_TEST_FILESTORE_DIR"

// TestFileStoreChild is the second process. For each line on stdin it creates
// the object of that name and answers "created", "exists" or the error; the
// body of "slow" objects stalls after its first bytes.
func TestFileStoreChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return // only a child has work to do
	}
	s, err := archive.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		key := in.Text()
		data := fmt.Appendf(nil, "by %d: %s", os.Getpid(), strings.Repeat("x", 100_000))
		var body io.ReaderAt = bytes.NewReader(data)
		size := int64(len(data))
		if strings.HasPrefix(key, "slow/") {
			body, size = stallingBody{}, 4<<20
		}
		switch err := s.Create(t.Context(), key, body, size); {
		case err == nil:
			fmt.Println("created")
		case errors.Is(err, archive.ErrExists):
			fmt.Println("exists")
		default:
			fmt.Println(err)
		}
	}
}

// stallingBody gives one buffer, then says so and waits to be killed.
type stallingBody struct{}

func (stallingBody) ReadAt(p []byte, off int64) (int, error) {
	if off == 0 {
		return len(p), nil
	}
	fmt.Println("stalled")
	select {}
}

type childProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChild(t *testing.T, dir string) *childProcess {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFileStoreChild$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &childProcess{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	c.want(t, "ready")
	return c
}

func (c *childProcess) line(t *testing.T) string {
	t.Helper()
	if !c.out.Scan() {
		t.Fatalf("child ended: %v", c.out.Err())
	}
	return c.out.Text()
}

func (c *childProcess) want(t *testing.T, want string) {
	t.Helper()
	if got := c.line(t); got != want {
		t.Fatalf("child says %q, want %q", got, want)
	}
}

// Law 7 between processes: of two on one directory, one creates each object.
func TestFileStoreTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	const keys = 100
	a, b := startChild(t, dir), startChild(t, dir)
	var lines strings.Builder
	for i := range keys {
		fmt.Fprintf(&lines, "dir-%d/key-%d\n", i%7, i)
	}
	for _, c := range []*childProcess{a, b} {
		go func() {
			_, _ = io.WriteString(c.in, lines.String())
			_ = c.in.Close()
		}()
	}
	s, err := archive.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	wins := map[*childProcess]int{}
	for i := range keys {
		got := []string{a.line(t), b.line(t)}
		winner := a
		if got[1] == "created" {
			winner = b
		}
		wins[winner]++
		if diff := cmp.Diff(map[string]bool{"created": true, "exists": true}, map[string]bool{got[0]: true, got[1]: true}); diff != "" {
			t.Fatalf("key %d (-want +got):\n%s", i, diff)
		}
		body := content(t, s, fmt.Sprintf("dir-%d/key-%d", i%7, i))
		if want := fmt.Sprintf("by %d: ", winner.cmd.Process.Pid); !bytes.HasPrefix(body, []byte(want)) || len(body) != len(want)+100_000 {
			t.Errorf("key %d holds %d bytes %.20q, want %q from the winner", i, len(body), body, want)
		}
	}
	for _, c := range []*childProcess{a, b} {
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	}
	t.Logf("the children won %d and %d", wins[a], wins[b])
	wantNoTemps(t, dir)
}

func temps(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".nodedb-tmp-") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantNoTemps(t *testing.T, dir string) {
	t.Helper()
	if found := temps(t, dir); len(found) > 0 {
		t.Errorf("temporary files are left: %q", found)
	}
}

// A process that is killed in the middle of Create leaves a temporary file:
// never an object, never in a listing, and swept by the next one. A living
// process's temporary file is left alone.
func TestFileStoreKilled(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir)
	if _, err := io.WriteString(c.in, "slow/object\n"); err != nil {
		t.Fatal(err)
	}
	c.want(t, "stalled")
	create := func(key string) {
		t.Helper()
		s, err := archive.NewFileStore(dir) // a new store looks at each directory afresh
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Create(t.Context(), key, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for o, err := range s.List(t.Context(), "slow/", "") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, o.Key)
		}
		for _, k := range keys {
			if k == "slow/object" && key != k || strings.Contains(k, "tmp") {
				t.Errorf("listing shows %q", k)
			}
		}
	}
	create("slow/one")
	if found := temps(t, dir); len(found) != 1 {
		t.Errorf("with the writer alive: temporary files %q, want its one", found)
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
	create("slow/two")
	wantNoTemps(t, dir)
	create("slow/object")
}

// mountTmpfs gives a file system of its own, which can be full or read-only.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a tmpfs needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a tmpfs is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestFileStoreFull(t *testing.T) {
	for name, options := range map[string]string{"bytes": "size=1m", "inodes": "size=8m,nr_inodes=40"} {
		t.Run(name, func(t *testing.T) {
			dir := mountTmpfs(t, options)
			s, err := archive.NewFileStore(filepath.Join(dir, "store"))
			if err != nil {
				t.Fatal(err)
			}
			data := bytes.Repeat([]byte("d"), 100<<10)
			var kept []string
			for i := range 100 {
				key := fmt.Sprintf("d%d/key", i)
				err = s.Create(t.Context(), key, bytes.NewReader(data), int64(len(data)))
				if err != nil {
					break
				}
				kept = append(kept, key)
			}
			if !errors.Is(err, archive.ErrStoreFull) || !archive.Retryable(err) {
				t.Fatalf("after %d objects: %v, want ErrStoreFull", len(kept), err)
			}
			wantNoTemps(t, dir)
			for _, key := range kept {
				if !bytes.Equal(content(t, s, key), data) {
					t.Errorf("%s differs", key)
				}
			}
			if err := s.Delete(t.Context(), kept[0]); err != nil {
				t.Fatalf("Delete in a full store: %v", err)
			}
			if err := s.Create(t.Context(), kept[0], bytes.NewReader(data), int64(len(data))); err != nil {
				t.Errorf("Create after room was made: %v", err)
			}
		})
	}
}

func TestFileStoreReadOnly(t *testing.T) {
	dir := mountTmpfs(t, "size=1m")
	s, err := archive.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "a/b", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/c", "new/dir"} {
		if err := s.Create(t.Context(), key, strings.NewReader("x"), 1); !errors.Is(err, archive.ErrDenied) {
			t.Errorf("Create(%q): %v, want ErrDenied", key, err)
		}
	}
	if err := s.Create(t.Context(), "a/b", strings.NewReader("x"), 1); !errors.Is(err, archive.ErrExists) {
		t.Errorf("Create of what is there: %v, want ErrExists", err)
	}
	if err := s.Delete(t.Context(), "a/b"); !errors.Is(err, archive.ErrDenied) {
		t.Errorf("Delete: %v, want ErrDenied", err)
	}
	if got := string(content(t, s, "a/b")); got != "x" {
		t.Errorf("content %q", got)
	}
	if _, err := s.Stat(t.Context(), "a/c"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("Stat: %v, want ErrNotFound", err)
	}
}

// The store's directory and its parents come with the first object; until
// then reading finds nothing, and makes nothing.
func TestFileStoreMakesItsDirectory(t *testing.T) {
	parent := t.TempDir()
	s, err := archive.NewFileStore(filepath.Join(parent, "a/b/c"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "x"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("Stat: %v", err)
	}
	for o, err := range s.List(t.Context(), "", "") {
		t.Errorf("listed %v, %v", o, err)
	}
	if _, err := os.Stat(filepath.Join(parent, "a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading made the directory: %v", err)
	}
	if err := s.Create(t.Context(), "x/y", strings.NewReader("1"), 1); err != nil {
		t.Fatal(err)
	}
	// Whoever removes the directories of an open store does not break it.
	if err := os.RemoveAll(filepath.Join(parent, "a")); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "x/y", strings.NewReader("2"), 1); err != nil {
		t.Errorf("Create after removal: %v", err)
	}
}

// A store never leaves its directory, nor takes for an object what is none.
func TestFileStoreStrangeFiles(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s, err := archive.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": outside, "file": filepath.Join(outside, "secret")} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"link/secret", "file", "pipe", "dir"} {
		if r, err := s.ReadRange(t.Context(), key, 0, -1); err == nil {
			t.Errorf("ReadRange(%q) succeeded", key)
			_ = r.Close()
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("Delete(%q) succeeded", key)
		}
		if err := s.Create(t.Context(), key, strings.NewReader("x"), 1); err == nil || errors.Is(err, archive.ErrExists) {
			t.Errorf("Create(%q): %v, want an error that is not ErrExists", key, err)
		}
	}
	if err := s.Create(t.Context(), "link/new", strings.NewReader("x"), 1); err == nil {
		t.Error("Create through a link succeeded")
	}
	for o, err := range s.List(t.Context(), "", "") {
		t.Errorf("listed %v, %v", o, err)
	}
	if names, err := os.ReadDir(outside); err != nil || len(names) != 1 {
		t.Errorf("outside: %v, %v", names, err)
	}
	notDir, err := archive.NewFileStore(filepath.Join(outside, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := notDir.Create(t.Context(), "x", strings.NewReader("x"), 1); !errors.Is(err, archive.ErrNoStore) {
		t.Errorf("Create in a file: %v, want ErrNoStore", err)
	}
	for _, err := range notDir.List(t.Context(), "", "") {
		if !errors.Is(err, archive.ErrNoStore) {
			t.Errorf("List in a file: %v, want ErrNoStore", err)
		}
	}
}

// A file that shrinks under its reader is an error, not a shorter object.
func TestFileStoreCutWhileRead(t *testing.T) {
	dir := t.TempDir()
	s, err := archive.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "k", strings.NewReader("0123456789"), 10); err != nil {
		t.Fatal(err)
	}
	r, err := s.ReadRange(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "k"), 5); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, archive.ErrUnreachable) || string(got) != "01234" {
		t.Errorf("read %q, %v; want an unexpected end", got, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A mount that does not answer costs a caller its deadline, not its life:
// here a body that blocks stands for a write that does.
func TestFileStoreHang(t *testing.T) {
	dir := t.TempDir()
	s, err := archive.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	release := make(chan struct{})
	go func() {
		<-ctx.Done()
		close(release)
	}()
	body := readAtFunc(func(p []byte, _ int64) (int, error) { <-release; return len(p), nil })
	if err := s.Create(ctx, "k", body, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Create: %v, want the deadline", err)
	}
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("Stat: %v, want ErrNotFound", err)
	}
}

type readAtFunc func([]byte, int64) (int, error)

func (f readAtFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
