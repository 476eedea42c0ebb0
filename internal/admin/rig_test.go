package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

const token = "a-token-of-the-tests"

// rig is a node in memory with an archive whose store can be broken, and its server.
type rig struct {
	*Server
	t     *testing.T
	node  *node.Node
	store *archivetest.Faulty
	ahead atomic.Int64 // ns that the server's clock is ahead
}

func newRig(t *testing.T, o Options, no node.Options) *rig {
	t.Helper()
	inner, err := archive.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: archivetest.NewFaulty(inner, archivetest.Healthy)}
	o.Meter = NewMeter()
	no.FS, no.NodeID, no.BallastBytes, no.VShards, no.Cores, no.CheckpointInterval = vfs.NewMem(), "shop", -1, 2, 1, -1
	no.Stores, no.PlainArchive, no.ArchiveTimeout = []archive.StoreConfig{{Store: o.Meter.Over(r.store)}}, true, -1
	if r.node, err = node.Open("n", &no); err != nil {
		t.Fatal(err)
	}
	o.Version = "v0"
	o.Clock = func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }
	o.History = r.readHistory
	o.Clients = func() ClientStats { return ClientStats{ClientsMax: 10} }
	r.Server = New(o)
	r.Attach(r.node)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		r.store.SetPlan(archivetest.Healthy)
		if err := r.node.Shutdown(ctx); err != nil {
			t.Errorf("close the node: %v", err)
		}
	})
	return r
}

func (r *rig) readHistory(ctx context.Context) (*History, error) {
	a, err := archive.Open(r.store, "shop")
	if err != nil {
		return nil, err
	}
	d, err := pitr.Describe(ctx, []*archive.Archive{a})
	return &History{Description: d, Entries: 1, Points: []Point{{Name: "eve", Timeline: 1, LSN: 1}}, Drill: &Drill{At: time.Now(), LSN: 1, Seconds: 2}}, err
}

func (r *rig) put(key string) {
	r.t.Helper()
	if _, err := r.node.Tenant(0).Put(r.t.Context(), []byte(key), []byte("v"), nil); err != nil {
		r.t.Fatal(err)
	}
}

// archived seals the log and waits until the store has it.
func (r *rig) archived() {
	r.t.Helper()
	lsn, err := r.node.Seal(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.node.WaitArchived(r.t.Context(), lsn); err != nil {
		r.t.Fatal(err)
	}
}

// ask sends a request from this machine; edits change it first.
func (r *rig) ask(method, path, body string, edits ...func(*http.Request)) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, "http://localhost:6381/", strings.NewReader(body))
	q.URL.Path, q.RequestURI, q.Host, q.RemoteAddr = path, path, "localhost:6381", "127.0.0.1:4711"
	for _, e := range edits {
		e(q)
	}
	w := httptest.NewRecorder()
	r.serve(w, q)
	return w
}

func withToken(q *http.Request) { q.Header.Set("Authorization", "Bearer "+token) }

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (doc T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%v in %q", err, w.Body.String())
	}
	return doc
}
