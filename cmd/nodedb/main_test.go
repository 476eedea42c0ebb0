package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"nodedb":     main,
		"killwriter": killWriterMain,
	})
}

// leakChecked is goleak.VerifyTestMain for a runner that exits by itself.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// run is one command line in this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runWith(t.Context(), "", args...)
}

func runWith(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = newApp().Run(ctx, args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// child is this test's binary as another command, in another process.
func child(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Args = append([]string{name}, args...)
	return cmd
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: scriptSetup,
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "flip": flip, "drop": drop, "standby": standby},
	})
}

// exits CODE COMMAND... runs a command that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG]...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%q exits with %d, want %s", args[1:], got, args[0])
	}
}

// flip FILE OFFSET inverts one byte.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	path := ts.MkAbs(args[0])
	if found, err := filepath.Glob(path); err == nil && len(found) > 0 {
		path = found[0]
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	data, err := os.ReadFile(path)
	ts.Check(err)
	if at >= len(data) {
		ts.Fatalf("%s has only %d bytes", path, len(data))
	}
	data[at] ^= 0xff
	ts.Check(os.WriteFile(path, data, 0o600))
}

// drop PATTERN N removes the n-th of the files that match, by name, counted from 0.
func drop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: drop PATTERN N")
	}
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	if n >= len(found) {
		ts.Fatalf("%s matches %d files", args[0], len(found))
	}
	ts.Check(os.Remove(found[n]))
}

// scriptSetup gives scripts some of the standard library to load, and the path
// of the command for when PATH is gone.
func scriptSetup(e *testscript.Env) error {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	nodedb, err := exec.LookPath("nodedb")
	if err != nil {
		return err
	}
	e.Setenv("DEMO_SOURCE", filepath.Join(strings.TrimSpace(string(out)), "src", "encoding"))
	e.Setenv("NODEDB", nodedb)
	return nil
}

// standby URL NODE DIR follows the node's archive into DIR until all is applied.
func standby(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: standby URL NODE DIR")
	}
	ctx := context.Background()
	store, _, err := archive.OpenStore(ctx, args[0])
	ts.Check(err)
	a, err := archive.Open(store, args[1])
	ts.Check(err)
	_, err = pitr.Follow(ctx, []*archive.Archive{a}, ts.MkAbs(args[2]), &pitr.FollowOptions{Once: true})
	ts.Check(err)
	ts.Check(store.Close())
}
