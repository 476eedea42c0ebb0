package admin

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/internal/trace/tracetest"
	"github.com/nodedb-go/nodedb/node"
)

// Requests of who may ask go on with the trace of their caller; nobody else's do.
func TestTraced(t *testing.T) {
	at := tracetest.New(t)
	tr, err := trace.New(trace.Options{Endpoint: at.URL, Ratio: 0})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Start("shop"); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Options{Token: token, Trace: tr}, node.Options{})
	const traceID, spanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	with := func(flags string) func(*http.Request) {
		return func(q *http.Request) { q.Header.Set("Traceparent", "00-"+traceID+"-"+spanID+"-"+flags) }
	}
	for _, w := range []struct{ got, want int }{
		{r.ask("GET", "/livez", "", with("01")).Code, http.StatusOK},              // anybody's: not gone on with
		{r.ask("GET", "/metrics", "", with("01")).Code, http.StatusUnauthorized},  // nobody's
		{r.ask("GET", "/metrics", "", withToken).Code, http.StatusOK},             // no trace, ratio 0
		{r.ask("GET", "/metrics", "", withToken, with("00")).Code, http.StatusOK}, // its caller does not record
		{r.ask("GET", "/metrics", "", withToken, with("01")).Code, http.StatusOK}, // the one that is sent
	} {
		if w.got != w.want {
			t.Fatalf("status %d, want %d", w.got, w.want)
		}
	}
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := at.Spans()
	if len(spans) != 1 {
		t.Fatalf("%d spans came, want 1: %v", len(spans), spans)
	}
	s := spans[0]
	if s.Name != "GET /metrics" || hex.EncodeToString(s.TraceId) != traceID || hex.EncodeToString(s.ParentSpanId) != spanID {
		t.Errorf("span %s of trace %x below %x", s.Name, s.TraceId, s.ParentSpanId)
	}
	if s.Attrs["http.route"] != "/metrics" || s.Attrs["http.request.method"] != "GET" || s.Attrs["http.response.status_code"] != int64(200) {
		t.Errorf("attributes %v", s.Attrs)
	}
	if bytes.Contains(at.Bytes(), []byte(token)) {
		t.Error("the token was sent to the collector")
	}
}
