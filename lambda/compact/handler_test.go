package compact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/lambda/compact"
	"github.com/nodedb-go/nodedb/lambda/function"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// newStore holds the archives of nodes with ten small segments each, indexed.
func newStore(t testing.TB, nodes ...string) archive.Store {
	t.Helper()
	s, _, err := archive.OpenStore(context.Background(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, id := range nodes {
		if _, err := archive.ClaimEpoch(t.Context(), []archive.StoreConfig{{Store: s}},
			archive.Claim{NodeID: id, Timeline: 1, VShards: 4, Dir: "claims", FS: vfs.NewMem()}); err != nil {
			t.Fatal(err)
		}
		fill(t, s, id, 10)
	}
	return s
}

func fill(t testing.TB, s archive.Store, id string, n int) {
	t.Helper()
	fsys := vfs.NewMem()
	l, err := wal.Open("wal", &wal.Options{FS: fsys, NodeID: id, SegmentAge: -1})
	if err == nil {
		err = l.Start(1, 1)
	}
	for i := 0; i < n && err == nil; i++ {
		var b wal.Batch
		err = b.Add(kv.TypePut, 0, 0, nil, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: fmt.Appendf(nil, "k%d", i%3), Value: []byte{byte(i)}}))
		if err == nil {
			_, _, err = l.AppendSync(context.Background(), &b)
		}
		if err == nil {
			var seg wal.Segment
			seg, _, err = l.Seal(context.Background())
			add(t, s, fsys, seg, id)
		}
	}
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, s archive.Store, fsys vfs.FS, seg wal.Segment, id string) {
	t.Helper()
	file, err := fsys.Open(seg.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var sealed bytes.Buffer
	if _, err := archive.Seal(&sealed, io.LimitReader(file, seg.Bytes)); err != nil {
		t.Fatal(err)
	}
	k := archive.SegmentKey{Timeline: 1, First: seg.First, Last: seg.Last, Epoch: 1, SHA16: archive.Short(seg.SHA256)}
	a, err := archive.Open(s, id)
	if err == nil {
		err = s.Create(t.Context(), a.Key(k), bytes.NewReader(sealed.Bytes()), int64(sealed.Len()))
	}
	if err == nil {
		_, err = index.Build(t.Context(), a, archive.SegmentEntry{SegmentKey: k, Object: archive.Object{Key: a.Key(k), Size: int64(sealed.Len())}, From: k.First, To: k.Last},
			&index.Options{Decode: kv.Changes})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// invoke runs the handler once, and gives the line of metrics too.
func invoke(t *testing.T, s archive.Store, h compact.Handler, e compact.Event) (compact.Answer, map[string]any, error) {
	t.Helper()
	var out bytes.Buffer
	h.Archive = &function.Archive{Store: s, Name: "b/p", Out: &out, Logger: slog.New(slog.NewJSONHandler(&out, nil))}
	answer, err := h.Handle(t.Context(), e)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var doc map[string]any
	if jerr := json.Unmarshal([]byte(lines[len(lines)-1]), &doc); jerr != nil || doc["_aws"] == nil || doc["Function"] != "compact" || doc["Archive"] != "b/p" {
		t.Fatalf("no metrics in %v: %v", lines, jerr)
	}
	return answer, doc, err
}

func counts(t *testing.T, s archive.Store, id string) (packs, merged, small int) {
	t.Helper()
	a, err := archive.Open(s, id)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Segments {
		if !e.PackedOnly {
			small++
		}
	}
	return len(c.Packs), len(c.Merged), small
}

// Each node's segments become a pack and its indexes one, once; small segments go
// when that is said.
func TestHandle(t *testing.T) {
	s := newStore(t, "n1", "n2", "n3")
	answer, doc, err := invoke(t, s, compact.Handler{Nodes: []string{"n1", "n2"}}, compact.Event{Nodes: []string{"n2"}})
	if err != nil || answer.Nodes != 1 || answer.Packs != 1 || answer.New != 1 || answer.Indexes != 10 || doc["NewIndexes"] != 1. || doc["Rows"] != 10. {
		t.Errorf("%+v, %v, %v", answer, doc, err)
	}
	if answer, _, err = invoke(t, s, compact.Handler{}, compact.Event{}); err != nil || answer.Nodes != 3 || answer.Packs != 2 || answer.New != 2 {
		t.Errorf("all nodes: %+v, %v", answer, err)
	}
	if answer, _, err = invoke(t, s, compact.Handler{}, compact.Event{}); err != nil || answer.Packs+answer.New+answer.Deleted != 0 {
		t.Errorf("again: %+v, %v", answer, err)
	}
	h := compact.Handler{Segments: archive.CompactOptions{DeleteSmall: true, Grace: -1}}
	if answer, doc, err = invoke(t, s, h, compact.Event{}); err != nil || answer.Deleted != 27 || doc["DeletedSegments"] != 27. {
		t.Errorf("deleting: %+v, %v", answer, err)
	}
	for _, id := range []string{"n1", "n2", "n3"} {
		if packs, merged, small := counts(t, s, id); packs != 1 || merged != 1 || small != 1 {
			t.Errorf("%s has %d packs, %d merged indexes, %d small segments", id, packs, merged, small)
		}
	}
}

// One node's trouble is told and holds back no other; when the time is over the
// nodes that are left are named.
func TestTrouble(t *testing.T) {
	s := newStore(t, "n1", "n2")
	down := archivetest.NewFaulty(s, func(_ archivetest.Op, key string, _ int) archivetest.Fault {
		if strings.Contains(key, "/n1/") {
			return archivetest.Fail
		}
		return archivetest.None
	})
	answer, doc, err := invoke(t, down, compact.Handler{Nodes: []string{"n1", "n2", "No Node"}}, compact.Event{})
	if !errors.Is(err, archive.ErrUnreachable) || !errors.Is(err, archive.ErrBadNodeID) || answer.Nodes != 1 || len(answer.Failed) != 2 || doc["Failed"] != 2. {
		t.Errorf("%+v, %v", answer, err)
	}
	if _, merged, _ := counts(t, s, "n2"); merged != 1 {
		t.Error("the other node is not done")
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Second)) // less than is kept
	defer cancel()
	h := compact.Handler{Archive: &function.Archive{Store: s}, Clock: func() time.Time { return time.Unix(60, 0) }}
	answer, err = h.Handle(ctx, compact.Event{Nodes: []string{"n1", "n2"}})
	if err != nil || len(answer.Left) != 2 || answer.Left[0] != "n2" {
		t.Errorf("without time: %+v, %v", answer, err)
	}
}

func TestConfigure(t *testing.T) {
	env := map[string]string{"NODEDB_ARCHIVE": "mem://x/p", "NODEDB_DELETE_SMALL": "perhaps"}
	get := function.Env(func(k string) string { return env[k] })
	if _, err := compact.Configure(t.Context(), get, io.Discard); err == nil || !strings.Contains(err.Error(), "NODEDB_DELETE_SMALL") {
		t.Errorf("neither true nor false: %v", err)
	}
	env["NODEDB_DELETE_SMALL"] = "true"
	env["NODEDB_AGE_RECIPIENT"] = "nobody"
	if _, err := compact.Configure(t.Context(), get, io.Discard); err == nil || !strings.Contains(err.Error(), "NODEDB_AGE_RECIPIENT") {
		t.Errorf("no recipient: %v", err)
	}
	delete(env, "NODEDB_AGE_RECIPIENT")
	env["NODEDB_NODE"], env["NODEDB_GRACE"] = "n1,n2", "0"
	h, err := compact.Configure(t.Context(), get, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Archive.Close() }()
	if !h.Segments.DeleteSmall || h.Segments.Grace >= 0 || len(h.Nodes) != 2 || h.Archive.Name != "x/p" {
		t.Errorf("%+v", h)
	}
}
