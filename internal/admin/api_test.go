package admin

import (
	"strings"
	"testing"

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
