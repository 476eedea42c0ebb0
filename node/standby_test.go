package node_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// standbyAt makes a standby whose vshards have applied the given LSNs.
func standbyAt(t *testing.T, fs vfs.FS, dir string, applied ...wal.LSN) {
	t.Helper()
	shared, err := engine.NewShared(&engine.Options{FS: fs, Engines: []engine.Engine{kv.New(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	for id, lsn := range applied {
		path := fs.PathJoin(dir, "vshard", fmt.Sprintf("%04x", id))
		if err := fs.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		v, err := engine.OpenVShard(shared, path, uint16(id))
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.NewReplay(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Finish(lsn, 1_000_000), v.Close()); err != nil {
			t.Fatal(err)
		}
	}
	err = engine.WriteStandby(fs, dir, &engine.Standby{NodeID: "n1", VShards: len(applied), Timeline: 1, Epoch: 1})
	if err := errors.Join(err, shared.Close()); err != nil {
		t.Fatal(err)
	}
}

// Vshards at different LSNs are no state that the node ever had.
func TestOpenStandby_Torn(t *testing.T) {
	fs := vfs.NewMem()
	standbyAt(t, fs, "/torn", 5, 3)
	o := &node.Options{FS: fs}
	for range 2 { // the lock is given back
		if _, err := node.OpenStandby(t.Context(), "/torn", o); !errors.Is(err, node.ErrStandbyTorn) {
			t.Fatalf("OpenStandby = %v, want ErrStandbyTorn", err)
		}
	}
	standbyAt(t, fs, "/whole", 5, 5)
	s, err := node.OpenStandby(t.Context(), "/whole", o)
	if err != nil {
		t.Fatal(err)
	}
	lsn, at := s.LSN()
	d, err := s.Digest(t.Context())
	if err != nil || lsn != 5 || at.Unix() != 1 || d.LSN != 5 || d.Entries != 0 {
		t.Errorf("standby at LSN %d of %s, digest %+v, %v", lsn, at, d, err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Digest(t.Context()); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Digest after Close: %v", err)
	}
}
