package admin

import (
	"context"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
)

// Each thing that keeps the node from its work is named, and goes when it is over.
func TestReady(t *testing.T) {
	r := newRig(t, Options{}, node.Options{})
	want := func(code int, reasons ...string) {
		t.Helper()
		w := r.ask("GET", "/readyz", "")
		h := decode[Health](t, w)
		if w.Code != code || len(h.Reasons) != len(reasons) || h.OK != (code == 200) {
			t.Fatalf("%d %+v, want %d %v", w.Code, h, code, reasons)
		}
		for i, r := range h.Reasons {
			if r.Code != reasons[i] || r.Text == "" {
				t.Errorf("%+v, want %v", h, reasons)
			}
		}
		if w := r.ask("GET", "/livez", ""); w.Code != 200 {
			t.Errorf("/livez: %d", w.Code)
		}
	}
	want(200)
	r.store.SetPlan(archivetest.Always(archivetest.Fail))
	r.put("k")
	want(200) // behind, but not for long
	r.ahead.Store(int64(ReadyLagDefault + time.Minute))
	want(503, "archive_lag")
	r.store.SetPlan(archivetest.Healthy)
	r.archived()
	want(200)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range checkpointsFailedMax {
		if _, err := r.node.Checkpoint(ended); err == nil {
			t.Fatal("a checkpoint with an ended context")
		}
	}
	want(503, "checkpoints")
	if _, err := r.node.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.archived()
	want(200)
	n := r.Server.node.Swap(nil)
	want(503, "recovering")
	if w := r.ask("GET", "/api/status", ""); w.Code != 503 {
		t.Errorf("status without a node: %d", w.Code)
	}
	r.Attach(n)
	r.Drain()
	want(503, "draining")
}

// What is told of cores and vshards, without breaking any.
func TestJudge(t *testing.T) {
	s := New(Options{})
	var got []string
	st := &node.Status{Cores: []node.CoreStatus{{}, {Degraded: true}}, Shards: []node.ShardStatus{{State: "serving"}, {State: "quarantined"}}}
	s.judge(st, func(code, _ string, _ ...any) { got = append(got, code) })
	if len(got) != 3 || got[0] != "not_writable" || got[1] != "degraded" || got[2] != "shards" {
		t.Errorf("reasons %v", got)
	}
}
