package e2e_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

// A standby of a node whose archive is encrypted: no node opens it while it
// follows; promoted, it holds what the node held, and its first start takes the
// archive over. Law 8: the old node is fenced. Law 9: the LSNs go on above all.
// Another standby goes along to the new timeline.
func TestStandby_Promoted(t *testing.T) {
	fs, store := vfs.NewMem(), openFileStore(t, t.TempDir())
	public, ids := keyPair(t)
	o := archived(fs, archive.StoreConfig{Store: store})
	o.Recipients = recipients(t, public)
	old := openNode(t, "/old", o)
	put(t, old, "a", 30)
	if _, err := old.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, old, "b", 30)
	sealArchived(t, old)

	follow := func(dir string, ids *archive.Identities) (*pitr.FollowStatus, error) {
		a, err := archive.Open(store, "n1")
		if err != nil {
			t.Fatal(err)
		}
		return pitr.Follow(t.Context(), []*archive.Archive{a.WithIdentities(ids)}, dir,
			&pitr.FollowOptions{Once: true, Restore: pitr.Options{FS: fs}})
	}
	if _, err := follow("/blind", nil); !errors.Is(err, archive.ErrKeyMissing) {
		t.Fatalf("follow without the key: %v", err)
	}
	for _, dir := range []string{"/warm", "/second"} {
		if _, err := follow(dir, ids); err != nil {
			t.Fatal(err)
		}
	}
	c := *o
	c.NodeID, c.VShards = "", 0
	if n, err := node.Open("/warm", &c); !errors.Is(err, node.ErrStandby) {
		t.Fatalf("Open of a standby = %v, %v, want ErrStandby", n, err)
	}
	put(t, old, "c", 20)
	sealArchived(t, old)
	if st, err := follow("/warm", ids); err != nil || st.Segments == 0 {
		t.Fatalf("follow: %+v, %v", st, err)
	}
	put(t, old, "d", 10)
	want := digest(t, old)
	sealArchived(t, old)
	before := objects(t, store)

	a, err := archive.Open(store, "n1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := pitr.Promote(t.Context(), []*archive.Archive{a.WithIdentities(ids)}, "/warm", &pitr.PromoteOptions{Restore: pitr.Options{FS: fs}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Digest != want.Digest || p.Entries != want.Entries || len(p.ProvenBy) != 1 {
		t.Fatalf("promoted: %+v, the node had %+v", p, want)
	}
	next := openNode(t, "/warm", &c)
	if got := digest(t, next); got.Digest != want.Digest {
		t.Fatalf("digest of the promoted node = %+v, want %+v", got, want)
	}
	if st := next.Status(); st.Timeline != 2 || st.Watermarks.Durable < p.Reached.LSN {
		t.Fatalf("status of the promoted node: %+v", st)
	}
	lost := put(t, old, "lost", 10)
	if err := old.WaitArchived(t.Context(), lost); !errors.Is(err, archive.ErrFenced) {
		t.Fatalf("the old node archives on: %v", err)
	}
	put(t, next, "e", 10)
	want = digest(t, next)
	sealArchived(t, next)
	wantKept(t, before, objects(t, store))
	if err := old.Close(); !errors.Is(err, archive.ErrFenced) {
		t.Fatalf("Close of the old node = %v, want ErrFenced", err)
	}
	closeNode(t, next)

	if st, err := follow("/second", ids); err != nil || st.Timeline != 2 {
		t.Fatalf("the other standby: %+v, %v", st, err)
	}
	p, err = pitr.Promote(t.Context(), []*archive.Archive{a.WithIdentities(ids)}, "/second", &pitr.PromoteOptions{Restore: pitr.Options{FS: fs}})
	if err != nil || p.Digest != want.Digest || p.Timeline != 3 {
		t.Fatalf("the other standby promoted: %+v, %v, want %+v", p, err, want)
	}
}

// A standby is read as the state at one LSN. Who reads and who follows take
// turns.
func TestStandby_Read(t *testing.T) {
	fs, store := vfs.NewMem(), openFileStore(t, t.TempDir())
	n := openNode(t, "/node", archived(fs, archive.StoreConfig{Store: store}))
	put(t, n, "a", 30)
	want := digest(t, n)
	sealArchived(t, n)
	a, err := archive.Open(store, "n1")
	if err != nil {
		t.Fatal(err)
	}
	o := &node.Options{FS: fs}
	if _, err := node.OpenStandby(t.Context(), "/warm", o); !errors.Is(err, node.ErrNotANode) {
		t.Fatalf("OpenStandby of nothing: %v", err)
	}
	if _, err := node.OpenStandby(t.Context(), "/node", o); !errors.Is(err, node.ErrNotANode) {
		t.Fatalf("OpenStandby of a node: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	states, done := make(chan pitr.FollowStatus), make(chan error)
	go func() {
		_, err := pitr.Follow(ctx, []*archive.Archive{a}, "/warm", &pitr.FollowOptions{
			Interval: time.Millisecond, Restore: pitr.Options{FS: fs},
			Status: func(s pitr.FollowStatus) {
				select {
				case states <- s:
				case <-ctx.Done():
				}
			},
		})
		done <- err
	}()
	until := func(ok func(pitr.FollowStatus) bool) {
		t.Helper()
		await(t, "the follower", func() bool { return ok(<-states) })
	}
	until(func(s pitr.FollowStatus) bool { return s.State == pitr.FollowCurrent })

	s, err := node.OpenStandby(t.Context(), "/warm", o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Digest(t.Context())
	if err != nil || d.Digest != want.Digest || d.Entries != want.Entries || s.ID() != "n1" {
		t.Errorf("digest of the standby %s: %+v, %v, want %+v", s.ID(), d, err, want)
	}
	if v, err := s.Tenant(tenant).Get(t.Context(), []byte("a7")); err != nil || len(v) != 1<<10 {
		t.Errorf("Get: %d bytes, %v", len(v), err)
	}
	if _, err := s.Tenant(tenant).Get(t.Context(), []byte("b0")); !errors.Is(err, node.ErrNotFound) {
		t.Errorf("Get of what is not there: %v", err)
	}
	scan, err := s.Tenant(tenant).Scan(t.Context(), node.ScanOptions{Prefix: []byte("a1")})
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for scan.Next() {
		keys++
	}
	if err := errors.Join(scan.Err(), scan.Close()); err != nil || keys != 11 {
		t.Errorf("a scan finds %d keys, %v, want 11", keys, err)
	}
	if lsn, _ := s.LSN(); scan.LSN() != lsn {
		t.Errorf("the scan is at LSN %d, the standby at %d", scan.LSN(), lsn)
	}

	// The follower waits for the reader, a second reader for nobody.
	put(t, n, "b", 3)
	sealArchived(t, n)
	until(func(s pitr.FollowStatus) bool {
		return s.State == pitr.FollowTroubled && strings.Contains(s.Error, "held by")
	})
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := node.OpenStandby(now, "/warm", o); !errors.Is(err, node.ErrLocked) {
		t.Errorf("OpenStandby while another reads: %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tenant(tenant).Get(t.Context(), []byte("a7")); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}
	until(func(s pitr.FollowStatus) bool { return s.State == pitr.FollowCurrent && s.Segments > 0 })
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)
	s, err = node.OpenStandby(t.Context(), "/warm", o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tenant(tenant).Get(t.Context(), []byte("b2")); err != nil {
		t.Errorf("Get of what came meanwhile: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
