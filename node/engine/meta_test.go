package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/node/engine"
)

func testMeta() *engine.Meta {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &engine.Meta{
		Format: 1, NodeID: "n1", VShards: 4, Created: at, Timeline: 2, ParentTimeline: 1, ForkLSN: 99,
		FirstLSN: 1000, Incarnation: "00112233445566778899aabbccddeeff", RestoredFrom: "file:///archive", RestoredAt: &at,
	}
}

func TestMetaRoundTrip(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := engine.ReadMeta(fs, ""); !errors.Is(err, engine.ErrNotANode) {
		t.Errorf("empty directory: got %v, want ErrNotANode", err)
	}
	want := testMeta()
	if err := engine.WriteMeta(fs, "", want); err != nil {
		t.Fatal(err)
	}
	got, err := engine.ReadMeta(fs, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMetaRefuses(t *testing.T) {
	tests := []struct {
		name, content string
		want          error // nil: *MetaError
	}{
		{"empty", "", nil},
		{"garbage", "\x00\x01\x02", nil},
		{"cut", `{"format":1,"node_id":"n1","vsh`, nil},
		{"no format", `{"node_id":"n1","vshards":4,"timeline":1,"first_lsn":1}`, nil},
		{"format zero", `{"format":0}`, nil},
		{"wrong type", `{"format":1,"node_id":7}`, nil},
		{"newer", `{"format":2,"something":"else"}`, engine.ErrNewerFormat},
		{"no id", `{"format":1,"vshards":4,"timeline":1,"first_lsn":1}`, nil},
		{"no vshards", `{"format":1,"node_id":"n1","timeline":1,"first_lsn":1}`, nil},
		{"too many vshards", `{"format":1,"node_id":"n1","vshards":65535,"timeline":1,"first_lsn":1}`, nil},
		{"no timeline", `{"format":1,"node_id":"n1","vshards":4,"first_lsn":1}`, nil},
		{"no first lsn", `{"format":1,"node_id":"n1","vshards":4,"timeline":1}`, nil},
		{"huge", `{"format":1,"node_id":"` + strings.Repeat("n", 2<<20) + `"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := vfs.NewMem()
			write(t, fs, engine.MetaFile, []byte(tt.content))
			_, err := engine.ReadMeta(fs, "")
			var me *engine.MetaError
			if tt.want == nil && !errors.As(err, &me) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
			if tt.want != nil && errors.As(err, &me) {
				t.Error("a newer format is mixed with damage")
			}
			if err != nil && !strings.Contains(err.Error(), engine.MetaFile) {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
	if err := engine.WriteMeta(vfs.NewMem(), "", &engine.Meta{}); err == nil {
		t.Error("an empty Meta was written")
	}
}

// TestMetaCrash: at every operation of a write the old file or the new one is
// there, whole; after it, the new one.
func TestMetaCrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	old, fresh := testMeta(), testMeta()
	old.FirstLSN, fresh.FirstLSN = 1, 2
	if err := engine.WriteMeta(mem, "", old); err != nil {
		t.Fatal(err)
	}
	crashes := 0
	check := func(allowOld bool) {
		crashes++
		m, err := engine.ReadMeta(mem.CrashClone(vfs.CrashCloneCfg{}), "")
		if err != nil {
			t.Errorf("crash %d: %v", crashes, err)
		} else if m.FirstLSN == 1 && !allowOld {
			t.Errorf("crash %d: the new file is lost", crashes)
		}
	}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			check(true)
		}
		return nil
	}))
	if err := engine.WriteMeta(fs, "", fresh); err != nil {
		t.Fatal(err)
	}
	check(false)
	if crashes < 5 {
		t.Errorf("only %d crashes", crashes)
	}
}

// TestMetaErrors: an error at any operation is returned, and a file is there.
func TestMetaErrors(t *testing.T) {
	for n := 0; ; n++ {
		mem := vfs.NewMem()
		if err := engine.WriteMeta(mem, "", testMeta()); err != nil {
			t.Fatal(err)
		}
		f := &fault{at: n, err: errors.New("injected")}
		err := engine.WriteMeta(errorfs.Wrap(mem, f), "", testMeta())
		if !f.reached() {
			if n < 4 {
				t.Errorf("only %d operations", n)
			}
			return
		}
		if err == nil {
			t.Errorf("operation %d: no error", n)
		}
		if _, err := engine.ReadMeta(mem, ""); err != nil {
			t.Errorf("operation %d: %v", n, err)
		}
	}
}
