package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"pitr-restore": main})
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

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "history": history, "digest": digest, "rm-one": removeOne, "no-node": noNode,
		},
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

// history URL NODE writes a node's life into an archive and removes the node.
// It leaves in the environment what happened: $MID and $MID_TIME are the LSN
// and time of the restore point "mid", when there were 60 entries with the
// digest $MID_DIGEST; $LAST is the last LSN and $LAST_DIGEST its digest, with
// 30 entries.
func history(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: history URL NODE")
	}
	ctx := context.Background()
	store, _, err := archive.OpenStore(ctx, args[0])
	ts.Check(err)
	dir := ts.MkAbs("history-" + args[1])
	n, err := node.Open(dir, &node.Options{
		NodeID: args[1], SegmentBytes: 4 << 10, BallastBytes: -1,
		Stores: []archive.StoreConfig{{Store: store}},
	})
	ts.Check(err)
	db := n.Tenant(0)
	for i := range 60 {
		_, err := db.Put(ctx, fmt.Appendf(nil, "key-%02d", i), fmt.Appendf(nil, "value %d", i), nil)
		ts.Check(err)
	}
	mid, err := n.Digest(ctx)
	ts.Check(err)
	lsn, at, err := n.RestorePoint(ctx, "mid")
	ts.Check(err)
	for i := range 30 {
		_, err := db.Delete(ctx, fmt.Appendf(nil, "key-%02d", 2*i), nil)
		ts.Check(err)
	}
	_, err = db.Put(ctx, []byte("key-01"), []byte("changed"), nil)
	ts.Check(err)
	last, err := n.Digest(ctx)
	ts.Check(err)
	ts.Check(n.Close())
	ts.Check(store.Close())
	ts.Check(os.RemoveAll(dir))
	ts.Setenv("MID", lsn.String())
	ts.Setenv("MID_TIME", at.UTC().Format(time.RFC3339Nano))
	ts.Setenv("MID_DIGEST", mid.Digest)
	ts.Setenv("LAST", last.LSN.String())
	ts.Setenv("LAST_DIGEST", last.Digest)
}

// digest DIR WANT opens a restored node and compares.
func digest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: digest DIR WANT")
	}
	n, err := node.Open(ts.MkAbs(args[0]), nil)
	ts.Check(err)
	d, err := n.Digest(context.Background())
	ts.Check(err)
	ts.Check(n.Close())
	if d.Digest != args[1] {
		ts.Fatalf("%s has digest %s, want %s", args[0], d.Digest, args[1])
	}
}

// no-node DIR WHY: a node that opens the directory is refused.
func noNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: no-node DIR WHY")
	}
	n, err := node.Open(ts.MkAbs(args[0]), nil)
	if err == nil {
		ts.Check(n.Close())
	}
	if err == nil || !strings.Contains(err.Error(), args[1]) {
		ts.Fatalf("open %s: %v, want %q", args[0], err, args[1])
	}
}

// rm-one DIR I removes the I-th file of a directory.
func removeOne(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: rm-one DIR I")
	}
	i, err := strconv.Atoi(args[1])
	ts.Check(err)
	files, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if i >= len(files) {
		ts.Fatalf("%s has only %d files", args[0], len(files))
	}
	ts.Check(os.Remove(filepath.Join(ts.MkAbs(args[0]), files[i].Name())))
}

// Every verb explains itself, and names the variable of a flag.
func TestEveryVerb(t *testing.T) {
	for _, v := range newApp().Verbs {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		code := newApp().Run(t.Context(), []string{v.Name, "--help"}, nil, out, os.Stderr)
		text, err := os.ReadFile(out.Name())
		if err != nil || code != int(cli.CodeOK) || len(text) == 0 {
			t.Errorf("%s --help: exit %d, %q, %v", v.Name, code, text, err)
		}
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	}
}
