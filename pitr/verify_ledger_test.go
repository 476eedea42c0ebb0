package pitr

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// readOrder is a store that tells which objects were read whole, in order.
type readOrder struct {
	*memStore
	keys []string
	stop func(key string)
}

func (k *kit) watched(t *testing.T, mem *memStore) (*readOrder, *archive.Archive) {
	order := &readOrder{memStore: mem}
	f := archivetest.NewFaulty(mem, func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpRead && (strings.Contains(key, "/wal/") || strings.Contains(key, "/obj/")) {
			order.keys = append(order.keys, key)
			if order.stop != nil {
				order.stop(key)
			}
		}
		return archivetest.None
	})
	return order, k.over(t, f).arch
}

// Oldest first, within the budget, and on with the next ones after that, by a
// ledger in the archive and in a file.
func TestVerifyBudget(t *testing.T) {
	for _, kind := range []string{"archive", "file"} {
		k, mem := small(t)
		order, a := k.watched(t, mem)
		var ledger Ledger = a
		if kind == "file" {
			ledger = &archive.LedgerFile{FS: vfs.Default, Path: filepath.Join(t.TempDir(), "l"), NodeID: kitNode}
		}
		now := k.now
		opts := VerifyOptions{Parallel: 1, Ledger: ledger, MaxBytes: 700, Clock: func() time.Time { return now }}
		all := append(mem.keys("obj/"), mem.keys("wal/")...)
		read := map[string]time.Time{}
		seen := 0
		for range 100 {
			order.keys = nil
			now = now.Add(time.Hour)
			slices.SortFunc(all, func(x, y string) int { return cmp.Or(read[x].Compare(read[y]), cmp.Compare(x, y)) })
			r, err := Verify(t.Context(), a, &opts)
			check(t, err)
			bytes := int64(0)
			for _, key := range order.keys {
				bytes += int64(len(mem.objects[key]))
			}
			if !r.OK() || len(order.keys) == 0 || bytes > opts.MaxBytes && len(order.keys) > 1 || r.Left != len(all)-len(order.keys) {
				t.Fatalf("%s: read %d bytes of %v: %+v", kind, bytes, order.keys, r)
			}
			if oldest := all[:len(order.keys)]; !slices.Equal(order.keys, oldest) {
				t.Errorf("%s: read\n%v, want the oldest\n%v", kind, order.keys, oldest)
			}
			for _, key := range order.keys {
				read[key] = now
			}
			if seen += len(order.keys); seen >= 3*len(all) {
				break
			}
		}
		if len(read) != len(all) || seen < 3*len(all) {
			t.Errorf("%s: read %d of %d objects in %d reads", kind, len(read), len(all), seen)
		}
		if n := len(mem.keys("verify/")); kind == "archive" && n != 4 || kind == "file" && n != 0 {
			t.Errorf("%s: %d snapshots in the archive", kind, n)
		}
	}
}

// A run that is stopped is gone on with: what it had verified is not read again.
func TestVerifyResume(t *testing.T) {
	k, mem := small(t)
	order, a := k.watched(t, mem)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	order.stop = func(string) {
		if len(order.keys) == 3 {
			cancel()
		}
	}
	now := k.now
	opts := VerifyOptions{Parallel: 1, Ledger: a, OlderThan: time.Hour, Clock: func() time.Time { return now }}
	if _, err := Verify(ctx, a, &opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped run: %v", err)
	}
	first := slices.Clone(order.keys[:2]) // the third was under way
	order.keys, order.stop = nil, nil
	r, err := Verify(t.Context(), a, &opts)
	check(t, err)
	total := len(mem.keys("obj/")) + len(mem.keys("wal/"))
	if r.Recent < 2 || r.Recent+len(order.keys) != total || slices.Contains(order.keys, first[0]) || slices.Contains(order.keys, first[1]) {
		t.Errorf("after %v: read %v, %+v", first, order.keys, r)
	}
}

// A bit flipped anywhere in an object is found once the object was
// verified before, and inside a frame its position is named. The ledger goes on
// reporting it.
func TestVerifyFlip(t *testing.T) {
	k, mem := small(t)
	_, err := Verify(t.Context(), k.arch, &VerifyOptions{Ledger: k.arch})
	check(t, err)
	key := mem.keys("wal/")[0]
	for at := 0; at < len(mem.objects[key]); at += 4 {
		hurt := mem.clone()
		hurt.change(key, func(b []byte) []byte { b[at] ^= 0x04; return b })
		a := k.over(t, hurt).arch
		r, err := Verify(t.Context(), a, &VerifyOptions{Ledger: a})
		check(t, err)
		if len(r.Problems) == 0 || r.Problems[0].Key != key {
			t.Fatalf("flip at %d: %+v", at, r.Problems)
		}
		if at == 40 && !strings.Contains(r.Problems[0].Where, "frame 0 is damaged: bytes 0 to ") {
			t.Errorf("flip at %d is said to be at %q", at, r.Problems[0].Where)
		}
		if at%100 == 0 {
			if r, err = Verify(t.Context(), a, &VerifyOptions{Ledger: a, OlderThan: time.Hour}); err != nil || len(r.Problems) == 0 {
				t.Errorf("flip at %d is forgotten: %+v, %v", at, r, err)
			}
		}
	}
}

// Fast reads nothing and finds what the store tells: another size.
func TestVerifyFast(t *testing.T) {
	k, mem := small(t)
	order, a := k.watched(t, mem)
	opts := VerifyOptions{Ledger: a, Fast: true}
	r, err := Verify(t.Context(), a, &opts)
	check(t, err)
	total := len(mem.keys("obj/")) + len(mem.keys("wal/"))
	if !r.OK() || r.FirstSeen+r.SizeOnly != total || len(order.keys) != 0 || r.Bytes != 0 {
		t.Errorf("first: %+v, read %v", r, order.keys)
	}
	key := mem.keys("wal/")[1]
	mem.change(key, func(b []byte) []byte { return b[:len(b)-1] })
	if r, err = Verify(t.Context(), a, &opts); err != nil || len(r.Problems) != 1 || r.Problems[0].Key != key {
		t.Errorf("cut: %+v, %v", r, err)
	}
	delete(mem.objects, key)
	if r, err = Verify(t.Context(), a, &opts); err != nil || r.Gone != 1 {
		t.Errorf("deleted: %+v, %v", r, err)
	}
}

// A ledger that the store only acknowledges, or refuses, is an error beside the
// report; two that write at once lose nothing.
func TestLedgerTrouble(t *testing.T) {
	k, mem := small(t)
	for _, fault := range []archivetest.Fault{archivetest.FalseAck, archivetest.Fail} {
		a := k.over(t, archivetest.NewFaulty(mem, archivetest.Always(fault, archivetest.OpCreate))).arch
		r, err := Verify(t.Context(), a, &VerifyOptions{Ledger: a})
		if !is[*LedgerError](err) || r == nil || !r.OK() {
			t.Errorf("%v: %+v, %v", fault, r, err)
		}
	}
	one, two := &archive.Ledger{Lines: []archive.LedgerLine{{Key: "a", Full: k.now}}}, &archive.Ledger{Lines: []archive.LedgerLine{{Key: "b", Full: k.now}}}
	for _, l := range []*archive.Ledger{one, two} {
		l.NodeID = kitNode
		check(t, k.arch.SaveLedger(t.Context(), l))
	}
	mem.change(k.arch.Key(archive.LedgerKey{Seq: 2}), func(b []byte) []byte { b[10] ^= 1; return b })
	if l, err := k.arch.LoadLedger(t.Context()); err != nil || len(l.Lines) != 1 {
		t.Errorf("damaged snapshot: %+v, %v", l, err)
	}
}
