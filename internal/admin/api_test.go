package admin

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func TestAPI(t *testing.T) {
	r := newRig(t, Options{Token: token}, node.Options{})
	r.put("k")
	post := func(path, body string, want int) string {
		t.Helper()
		w := r.ask("POST", "/api/"+path, body, withToken)
		if w.Code != want {
			t.Fatalf("%s: %d, want %d: %s", path, w.Code, want, w.Body)
		}
		return w.Body.String()
	}
	if got := post("restore-point", `{"name":"eve"}`, 200); !strings.Contains(got, `"name": "eve"`) || !strings.Contains(got, `"lsn": 2`) {
		t.Error(got)
	}
	if got := post("restore-point", `{"name":"a/b"}`, 400); !strings.Contains(got, "restore point name") {
		t.Error(got)
	}
	post("restore-point", ``, 400)
	post("restore-point", `{"nam":"eve"}`, 400)
	post("restore-point", `{"name":"eve"} {"name":"eve"}`, 400)
	post("restore-point", `{"name":"`+strings.Repeat("x", bodyBytesMax)+`"}`, 400)
	if got := post("digest", `{"fast":true}`, 400); !strings.Contains(got, "fast") {
		t.Error(got)
	}
	if got := post("digest", "", 200); !strings.Contains(got, `"entries": 1`) {
		t.Error(got)
	}
	if got := post("seal", "", 200); !strings.Contains(got, `"lsn": 4`) {
		t.Error(got)
	}
	if got := post("push", "", 200); !strings.Contains(got, `"archived_lsn": 4`) {
		t.Error(got)
	}
	if got := post("checkpoint", "", 200); !strings.Contains(got, `"flushed_lsn"`) {
		t.Error(got)
	}
	if got := post("backup", "", 200); !strings.Contains(got, `"manifest"`) {
		t.Error(got)
	}
	st := decode[statusDoc](t, r.ask("GET", "/api/status", "", withToken))
	if st.NodeID != "shop" || st.Version != "v0" || st.Watermarks.Durable < wal.LSN(4) || !st.Health.OK || st.Clients.ClientsMax != 10 {
		t.Errorf("status %+v", st)
	}
	d := decode[historyDoc](t, r.ask("GET", "/api/history", "", withToken))
	if len(d.Timelines) != 1 || len(d.Timelines[0].Bases) != 1 || d.Points[0].Name != "eve" || d.ReadAt.IsZero() {
		t.Errorf("history %+v", d)
	}
	if w := r.ask("GET", "/api/history.svg", "", withToken); w.Code != 200 || !strings.Contains(w.Body.String(), "<svg") {
		t.Errorf("picture: %d %s", w.Code, w.Body)
	}
	r.opts.History = nil
	if w := r.ask("GET", "/api/history", "", withToken); w.Code != 404 {
		t.Errorf("history without an archive: %d", w.Code)
	}
}

// A push answers when the archive has everything, and not before.
func TestPush(t *testing.T) {
	r := newRig(t, Options{Token: token}, node.Options{})
	r.put("k")
	r.store.SetPlan(func(archivetest.Op, string, int) archivetest.Fault { return archivetest.Fail })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	impatient := func(q *http.Request) { *q = *q.WithContext(ctx) }
	if w := r.ask("POST", "/api/push", "", withToken, impatient); w.Code != 500 || !strings.Contains(w.Body.String(), "archive the log up to LSN 1") {
		t.Errorf("while the store fails: %d %s", w.Code, w.Body)
	}
	r.store.SetPlan(archivetest.Healthy)
	if w := r.ask("POST", "/api/push", "", withToken); w.Code != 200 || r.node.Status().Archive.Archived != 1 {
		t.Errorf("when it works again: %d %s, %+v", w.Code, w.Body, r.node.Status().Archive)
	}

	alone, err := node.Open("n", &node.Options{FS: vfs.NewMem(), BallastBytes: -1, VShards: 2, Cores: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = alone.Close() }()
	r.Attach(alone)
	if w := r.ask("POST", "/api/push", "", withToken); w.Code != 409 {
		t.Errorf("without an archive: %d %s", w.Code, w.Body)
	}
}

// A server whose node is not open yet says when to come again.
func TestAPI_NotOpen(t *testing.T) {
	s := New(Options{Token: token, Meter: NewMeter(), Clock: time.Now})
	r := &rig{Server: s, t: t}
	if w := r.ask("GET", "/api/status", "", withToken); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
