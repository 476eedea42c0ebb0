package sweep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/lambda/function"
	"github.com/nodedb-go/nodedb/lambda/sweep"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	fleet "github.com/nodedb-go/nodedb/pitr/sweep"
	"github.com/nodedb-go/nodedb/wal"
)

var at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// node archives two segments of one record each.
func node(t *testing.T, s archive.Store, id string) {
	t.Helper()
	fsys := vfs.NewMem()
	clock := func() time.Time { return at }
	e, err := archive.ClaimEpoch(t.Context(), []archive.StoreConfig{{Store: s}}, archive.Claim{NodeID: id, Timeline: 1, VShards: 1, Dir: "claims", FS: fsys, Clock: clock})
	check(t, err)
	l, err := wal.Open("wal", &wal.Options{FS: fsys, NodeID: id, SegmentBytes: 64 << 10, SegmentAge: -1, SpareSegments: -1, Clock: clock})
	check(t, err)
	check(t, l.Start(e.Timeline, e.Epoch))
	for range 2 {
		var b wal.Batch
		check(t, b.Add(kv.TypePut, 0, 0, nil, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte("k"), Value: []byte("v")})))
		_, _, err := l.AppendSync(t.Context(), &b)
		check(t, err)
		seg, _, err := l.Seal(t.Context())
		check(t, err)
		f, err := fsys.Open(seg.Path)
		check(t, err)
		var sealed bytes.Buffer
		_, err = archive.Seal(&sealed, io.LimitReader(f, seg.Bytes))
		check(t, err)
		check(t, f.Close())
		key := archive.Join(id, archive.SegmentKey{Timeline: 1, First: seg.First, Last: seg.Last, Epoch: seg.Epoch, SHA16: archive.Short(seg.SHA256)})
		check(t, s.Create(t.Context(), key, bytes.NewReader(sealed.Bytes()), int64(sealed.Len())))
	}
	check(t, l.Close())
}

// invoke gives the answer, the lines of metrics, and the log.
func invoke(t *testing.T, ctx context.Context, s archive.Store, h sweep.Handler, e sweep.Event) (sweep.Answer, []map[string]any, string, error) {
	t.Helper()
	var metrics, log bytes.Buffer
	h.Archive = &function.Archive{Store: s, Name: "b/p", Logger: slog.New(slog.NewJSONHandler(&log, nil)), Out: &metrics}
	if h.Options.Clock == nil {
		h.Options.Clock = func() time.Time { return at.Add(time.Minute) }
	}
	answer, err := h.Handle(ctx, e)
	var lines []map[string]any
	d := json.NewDecoder(&metrics)
	for d.More() {
		var line map[string]any
		check(t, d.Decode(&line))
		lines = append(lines, line)
	}
	return answer, lines, log.String(), err
}

func open(t *testing.T, ids ...string) archive.Store {
	t.Helper()
	s, _, err := archive.OpenStore(t.Context(), "mem://")
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	for _, id := range ids {
		node(t, s, id)
	}
	return s
}

// seriesOf are the dimensions of a line, with their values, and how many metrics each has.
func seriesOf(line map[string]any) map[string]int {
	out := map[string]int{}
	for _, d := range line["_aws"].(map[string]any)["CloudWatchMetrics"].([]any) {
		directive := d.(map[string]any)
		name := ""
		for _, dim := range directive["Dimensions"].([]any)[0].([]any) {
			name += dim.(string) + "=" + line[dim.(string)].(string) + " "
		}
		out[name] = len(directive["Metrics"].([]any))
	}
	return out
}

// All nodes are swept, one that cannot be listed stops none, and what was found is in
// metrics under the archive's and the node's name, and in the log.
func TestHandle(t *testing.T) {
	s := open(t, "n1", "n2", "n3")
	check(t, s.Create(t.Context(), archive.NodePrefix("n1")+"stray", bytes.NewReader(nil), 0))
	faulty := archivetest.NewFaulty(s, func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if strings.HasPrefix(key, archive.NodePrefix("n2")) {
			return archivetest.Fail
		}
		return archivetest.None
	})
	answer, lines, log, err := invoke(t, t.Context(), &named{faulty, []string{"n1", "n2", "n3"}}, sweep.Handler{NodeMetrics: true}, sweep.Event{})
	check(t, err)
	want := sweep.Answer{Nodes: 3, Failed: []string{"n2"}, Left: []string{}, Problems: 2}
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines of metrics: %v", len(lines), lines)
	}
	wantMetrics(t, lines[0], map[string]float64{"Foreign": 1, "Failed": 0, "Problems": 1, "Indexed": 2, "Unindexed": 0, "Gaps": 0,
		"WindowEndLSN": 2, "WindowEndAgeSeconds": 60, "Segments": 2})
	wantMetrics(t, lines[1], map[string]float64{"Failed": 1, "Problems": 1})
	if _, ok := lines[1]["Gaps"]; ok {
		t.Error("of a node that could not be listed it is said how many gaps it has")
	}
	wantMetrics(t, lines[3], map[string]float64{"Left": 0})
	dims := seriesOf(lines[0])
	if len(dims) != 2 || dims["Function=sweep Archive=b/p "] < 9 || dims["Function=sweep Archive=b/p Node=n1 "] != 5 {
		t.Errorf("series %v", dims)
	}
	for _, words := range []string{`"kind":"foreign"`, `"level":"ERROR"`, "could not list the archive", `"node":"n3"`} {
		if !strings.Contains(log, words) {
			t.Errorf("the log does not say %s:\n%s", words, log)
		}
	}
	_, lines, _, err = invoke(t, t.Context(), s, sweep.Handler{}, sweep.Event{Nodes: []string{"n3"}})
	check(t, err)
	if len(lines) != 2 || len(seriesOf(lines[0])) != 1 {
		t.Errorf("one node, without metrics of its own: %v", lines)
	}
}

// named is a store that finds its nodes although it is faulty.
type named struct {
	archive.Store
	ids []string
}

func (s *named) Folders(context.Context, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, id := range s.ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

func wantMetrics(t *testing.T, line map[string]any, want map[string]float64) {
	t.Helper()
	for name, n := range want {
		if got, ok := line[name].(float64); !ok || got != n {
			t.Errorf("metric %s is %v, want %v", name, line[name], n)
		}
	}
}

// An invocation that cannot find its nodes fails, and says so to who looks at metrics.
func TestNothing(t *testing.T) {
	down := archivetest.NewFaulty(open(t), archivetest.Always(archivetest.Fail))
	_, lines, log, err := invoke(t, t.Context(), down, sweep.Handler{}, sweep.Event{})
	if err == nil || len(lines) != 1 || !strings.Contains(log, "nothing could be swept") {
		t.Errorf("%v, %v, %s", err, lines, log)
	}
	wantMetrics(t, lines[0], map[string]float64{"Failed": 1})
}

// When the time is over the nodes that are left are named; another minute begins with
// another node.
func TestTime(t *testing.T) {
	s := open(t, "n1", "n2", "n3")
	first := map[string]bool{}
	for minute := range 3 {
		now := at.Add(time.Duration(minute) * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		h := sweep.Handler{Options: fleet.Options{Clock: func() time.Time {
			now = now.Add(20 * time.Minute) // each look at the clock
			return now
		}}}
		answer, lines, _, err := invoke(t, ctx, s, h, sweep.Event{})
		cancel()
		check(t, err)
		if answer.Nodes != 1 || len(answer.Left) != 2 {
			t.Fatalf("%+v", answer)
		}
		wantMetrics(t, lines[1], map[string]float64{"Left": 2})
		first[lines[0]["Node"].(string)] = true
		if slices.Contains(answer.Left, lines[0]["Node"].(string)) {
			t.Errorf("%+v, and swept was %v", answer, lines[0]["Node"])
		}
	}
	if len(first) != 3 {
		t.Errorf("first was always one of %v", first)
	}
}

func TestConfigure(t *testing.T) {
	env := map[string]string{"NODEDB_ARCHIVE": "mem://x/p"}
	get := func(k string) string { return env[k] }
	h, err := sweep.Configure(t.Context(), get, io.Discard)
	check(t, err)
	check(t, h.Archive.Close())
	if h.Archive.Name != "x/p" || len(h.Nodes) != 0 || !h.NodeMetrics || h.Options.VerifyBytes != 1<<30 || h.Options.DrillBytes != 0 || h.Options.StaleAfter != 0 {
		t.Errorf("%+v", h)
	}
	for k, v := range map[string]string{"NODEDB_NODE": "a,b", "NODEDB_STALE_AFTER": "1h", "NODEDB_VERIFY_BYTES": "7", "NODEDB_DRILL_BYTES": "9", "NODEDB_NODE_METRICS": "false"} {
		env[k] = v
	}
	h, err = sweep.Configure(t.Context(), get, io.Discard)
	check(t, err)
	check(t, h.Archive.Close())
	if !slices.Equal(h.Nodes, []string{"a", "b"}) || h.NodeMetrics || h.Options.VerifyBytes != 7 || h.Options.DrillBytes != 9 || h.Options.StaleAfter != time.Hour {
		t.Errorf("%+v", h)
	}
	for _, name := range []string{"NODEDB_STALE_AFTER", "NODEDB_VERIFY_BYTES", "NODEDB_VERIFY_EVERY", "NODEDB_VERIFY_OLDER_THAN", "NODEDB_DRILL_BYTES", "NODEDB_DRILL_EVERY", "NODEDB_NODE_METRICS"} {
		was := env[name]
		env[name] = "soon"
		if _, err := sweep.Configure(t.Context(), get, io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=soon: %v", name, err)
		}
		env[name] = was
	}
}
