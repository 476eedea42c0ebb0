package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
)

const (
	killRounds  = 100
	killWriters = 8
	killKeys    = 37 // of each writer
)

// killOp is operation i of a writer in a round: what both processes agree on.
// Writers share no keys.
func killOp(round, writer, i int) (key, value string, remove bool) {
	key = fmt.Sprintf("w%d/%d", writer, i%killKeys)
	if i%11 == 10 {
		return key, "", true
	}
	size := (i * 7919 % 2048) + 16
	value = fmt.Sprintf("%d/%d/", round, i)
	return key, value + strings.Repeat("x", size), false
}

// TestKill kills a writing child 100 times at random moments and looks each
// time whether everything that it acknowledged is there (laws 1, 4, 6, 11): the
// next child, before it writes, tells the whole state, which must be that of
// the acknowledged operations, and of at most one more for each writer. No
// close is ever clean, segments are small, and an archive is attached, so kills
// hit rotation, checkpoints, uploads and truncation too.
//
// What was written survives SIGKILL in the page cache. So this finds errors of
// order (an acknowledgement before the write, a truncation before the proof, a
// checkpoint that is ahead of its data), and cannot find a missing fsync: the
// crash tests on a simulated file system do that.
func TestKill(t *testing.T) {
	rounds := killRounds
	if testing.Short() {
		rounds = 10
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KILL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("KILL_SEED=%d go test -run '^TestKill$' ./cmd/nodedb", seed)
	k := &killer{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 0)), want: map[string]string{}}
	for round := range rounds {
		k.round(round)
	}
	k.finish()
	t.Logf("%d rounds, %d acknowledged writes, %d that were under way survived", rounds, k.acked, k.survived)
	if k.acked < rounds {
		t.Errorf("only %d writes in %d rounds: the kills came too early to mean anything", k.acked, rounds)
	}
}

type killer struct {
	t    *testing.T
	dir  string
	rng  *rand.Rand
	want map[string]string // acknowledged state

	pending         [][2]int // by writer: round and operation that may have survived
	acked, survived int
}

// round starts a child, checks the state that it finds, lets it write for a
// random time, and kills it.
func (k *killer) round(round int) {
	k.t.Helper()
	cmd := child(k.t.Context(), "killwriter", filepath.Join(k.dir, "node"), "file://"+filepath.Join(k.dir, "archive"), strconv.Itoa(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	k.settle(round, readState(k.t, lines))
	// The child writes from here on; the timer is the random moment.
	timer := time.AfterFunc(time.Duration(k.rng.Int64N(int64(300*time.Millisecond))), func() {
		_ = cmd.Process.Kill() // Wait tells if it was gone already
	})
	k.follow(round, lines)
	timer.Stop()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		k.t.Fatalf("round %d: the child ended by itself: %v", round, err)
	}
}

// readState reads the entries that a child tells before it writes.
func readState(t *testing.T, lines *bufio.Scanner) map[string]string {
	t.Helper()
	state := map[string]string{}
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), " ", 3)
		switch f[0] {
		case "s":
			state[f[1]] = f[2]
		case "begin":
			return state
		default:
			t.Fatalf("unexpected line %.100q", lines.Text())
		}
	}
	t.Fatalf("the child did not open the node: %v", lines.Err())
	return nil
}

// settle takes survivors into the wanted state and compares.
func (k *killer) settle(round int, got map[string]string) {
	k.t.Helper()
	for writer, p := range k.pending {
		key, value, remove := killOp(p[0], writer, p[1])
		have, ok := got[key]
		if _, had := k.want[key]; remove && had && !ok {
			delete(k.want, key)
			k.survived++
		}
		if !remove && ok && have == value {
			k.want[key] = value
			k.survived++
		}
	}
	if d := cmp.Diff(k.want, got); d != "" {
		k.t.Fatalf("before round %d: acknowledged (-) and recovered (+) differ:\n%.4000s", round, d)
	}
}

// follow applies acknowledgements until the pipe ends. A line without its end
// was torn by the kill; the scanner gives it too, so it must be whole to count.
func (k *killer) follow(round int, lines *bufio.Scanner) {
	k.t.Helper()
	next := make([]int, killWriters)
	for lines.Scan() {
		var writer, i int
		var end string
		if n, err := fmt.Sscanf(lines.Text(), "a %d %d %s", &writer, &i, &end); n != 3 || err != nil || end != "." {
			continue
		}
		if i != next[writer] {
			k.t.Fatalf("round %d: writer %d acknowledged operation %d instead of %d", round, writer, i, next[writer])
		}
		next[writer]++
		k.acked++
		if key, value, remove := killOp(round, writer, i); remove {
			delete(k.want, key)
		} else {
			k.want[key] = value
		}
	}
	k.pending = k.pending[:0]
	for writer := range killWriters {
		k.pending = append(k.pending, [2]int{round, next[writer]})
	}
}

// finish looks at the node once more, in this process, and closes it cleanly.
func (k *killer) finish() {
	k.t.Helper()
	n, err := node.Open(filepath.Join(k.dir, "node"), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	got := map[string]string{}
	if err := eachEntry(k.t.Context(), n, func(key, value []byte) { got[string(key)] = string(value) }); err != nil {
		k.t.Fatal(err)
	}
	k.settle(killRounds, got)
	if err := n.Close(); err != nil {
		k.t.Fatal(err)
	}
}

func eachEntry(ctx context.Context, n *node.Node, f func(key, value []byte)) error {
	scan, err := n.Tenant(0).Scan(ctx, node.ScanOptions{Consistent: true})
	if err != nil {
		return err
	}
	for scan.Next() {
		f(scan.Key(), scan.Value())
	}
	return errors.Join(scan.Err(), scan.Close())
}

// killWriterMain is the child: killwriter DIR ARCHIVE ROUND.
func killWriterMain() {
	if err := killWriter(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "killwriter:", err)
		os.Exit(1)
	}
}

func killWriter(dir, url, roundText string) error {
	ctx := context.Background()
	round, err := strconv.Atoi(roundText)
	if err != nil {
		return err
	}
	store, _, err := archive.OpenStore(ctx, url)
	if err != nil {
		return err
	}
	n, err := node.Open(dir, &node.Options{
		NodeID: "kill", Cores: 2, SegmentBytes: 64 << 10, ArchiveTimeout: 20 * time.Millisecond,
		CheckpointInterval: 30 * time.Millisecond, MemtableBytes: 1 << 20, BallastBytes: -1,
		Stores: []archive.StoreConfig{{Store: store}},
	})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if err := eachEntry(ctx, n, func(key, value []byte) { fmt.Fprintf(out, "s %s %s\n", key, value) }); err != nil {
		return err
	}
	if _, err := out.WriteString("begin\n"); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	errs := make(chan error, killWriters)
	var mu sync.Mutex
	for w := range killWriters {
		go func() { errs <- killWrites(ctx, n.Tenant(0), &mu, os.Stdout, round, w) }()
	}
	return <-errs
}

// killWrites writes and acknowledges until the end of the process. An
// acknowledgement is one system call: once made it survives the kill.
func killWrites(ctx context.Context, db *node.DB, mu *sync.Mutex, out io.Writer, round, writer int) error {
	for i := 0; ; i++ {
		key, value, remove := killOp(round, writer, i)
		var err error
		if remove {
			_, err = db.Delete(ctx, []byte(key), nil)
		} else {
			_, err = db.Put(ctx, []byte(key), []byte(value), nil)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
		mu.Lock()
		_, err = fmt.Fprintf(out, "a %d %d .\n", writer, i)
		mu.Unlock()
		if err != nil {
			return err
		}
	}
}
