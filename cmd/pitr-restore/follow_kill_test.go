package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

// TestFollowKill kills a follower again and again at random moments, from its
// first restore on, while the node writes and archives. Promoted in the end, the
// standby is what the node was.
func TestFollowKill(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 4
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KILL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("KILL_SEED=%d go test -run '^TestFollowKill$' ./cmd/pitr-restore", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	url, warm := "file://"+filepath.Join(t.TempDir(), "archive"), filepath.Join(t.TempDir(), "warm")
	store, _, err := archive.OpenStore(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	n, err := node.Open(t.TempDir(), &node.Options{NodeID: "n1", BallastBytes: -1, SegmentBytes: 64 << 10,
		ArchiveTimeout: 20 * time.Millisecond, Stores: []archive.StoreConfig{{Store: store}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			key := fmt.Appendf(nil, "key-%d", i%500)
			// Each is waited for: one given up may still happen, after the digest.
			if _, err := n.Tenant(0).Put(t.Context(), key, fmt.Appendf(nil, "%d %0200d", i, i), nil); err != nil {
				t.Errorf("put: %v", err)
				return
			}
		}
	})
	follow := []string{"restore", "--follow", "--interval", "5ms", "--archive", url, "--node-id", "n1", "--target-dir", warm}
	killed := 0
	for range rounds {
		cmd := exec.CommandContext(t.Context(), "pitr-restore", follow...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The first runs find no archive, or die in the restore.
		timer := time.AfterFunc(time.Duration(rng.Int64N(int64(250*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
			killed++
		} else if _, serr := os.Stat(warm); serr == nil {
			t.Fatalf("the follower ended by itself: %v", err)
		}
	}
	stop()
	writer.Wait()
	want, err := n.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	// Where the kills came early, this is the first run that gets anywhere.
	if out, err := exec.CommandContext(t.Context(), "pitr-restore", append(follow, "--once")...).CombinedOutput(); err != nil {
		t.Fatalf("follow: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "pitr-restore", "promote", "--json", "--archive", url, "--dir", warm).Output()
	if err != nil {
		t.Fatalf("promote: %v", err)
	}
	var p pitr.Promotion
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	if p.Digest != want.Digest || p.Entries != want.Entries || len(p.ProvenBy) == 0 {
		t.Errorf("promoted: %+v, the node was %+v", p, want)
	}
	t.Logf("killed %d times, ends at %s", killed, p.Reached)
}
