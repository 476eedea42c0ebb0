package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/node/engine"
)

func testStandby() *engine.Standby {
	return &engine.Standby{Format: 1, NodeID: "n1", VShards: 4, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Timeline: 3, Only: true, Epoch: 9, Stores: []string{"file:///archive"}}
}

func TestStandbyRoundTrip(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := engine.ReadStandby(fs, ""); !errors.Is(err, engine.ErrNotANode) {
		t.Errorf("empty directory: got %v, want ErrNotANode", err)
	}
	want := testStandby()
	if err := engine.WriteStandby(fs, "", want); err != nil {
		t.Fatal(err)
	}
	got, err := engine.ReadStandby(fs, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, change := range []func(*engine.Standby){
		func(s *engine.Standby) { s.NodeID = "" },
		func(s *engine.Standby) { s.VShards = 0 },
		func(s *engine.Standby) { s.Timeline = 0 },
	} {
		bad := testStandby()
		change(bad)
		if err := engine.WriteStandby(fs, "", bad); err == nil {
			t.Errorf("%+v is written", bad)
		}
	}
}

// FuzzStandby: no input panics the decoder, and what it takes is written and read
// back the same.
func FuzzStandby(f *testing.F) {
	f.Add([]byte(`{"format":1,"node_id":"n1","vshards":4,"timeline":1,"epoch":2,"stores":["file:///a"]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"node_id":"n1","vshards":70000,"timeline":1}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := vfs.NewMem()
		file, err := fs.Create(engine.StandbyFile, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := engine.ReadStandby(fs, "")
		if err != nil {
			return
		}
		if err := engine.WriteStandby(fs, "", got); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := engine.ReadStandby(fs, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Error(diff)
		}
	})
}
