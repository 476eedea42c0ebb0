package trace

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/nodedb-go/nodedb/internal/trace/tracetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o Options) *Tracer {
	t.Helper()
	o.Env = os.Getenv
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Request() != nil {
		t.Error("it traces before it is started")
	}
	if err := tr.Start("shop"); err != nil {
		t.Fatal(err)
	}
	return tr
}

func stop(t *testing.T, tr *Tracer) {
	t.Helper()
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tr.Request() != nil {
		t.Error("it traces after its end")
	}
}

// What is sent is who the node is and what the span says, with the headers of the
// environment.
func TestTracer(t *testing.T) {
	t.Setenv(HeadersVariables[0], "authorization=Bearer%20secret,x-team=shop")
	at := tracetest.New(t)
	tr := start(t, Options{Endpoint: at.URL, Ratio: 1, Version: "v1"})
	r := tr.Request()
	r.Command, r.Namespace, r.Code = "incr", "3", "WRONGTYPE"
	r.End(4)
	tr.Request().End(1)
	stop(t, tr)

	spans := at.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans came, want 2", len(spans))
	}
	want := map[string]any{"db.system.name": "nodedb", "db.operation.name": "INCR", "db.namespace": "3", "db.operation.batch.size": int64(4), "error.type": "WRONGTYPE", "db.response.status_code": "WRONGTYPE"}
	if diff := cmp.Diff(want, spans[0].Attrs); diff != "" || spans[0].Name != "INCR" || spans[0].Status.GetCode() != 2 {
		t.Errorf("span %s, status %v (-want +got):\n%s", spans[0].Name, spans[0].Status, diff)
	}
	if diff := cmp.Diff(map[string]any{"db.system.name": "nodedb", "db.operation.name": "unknown"}, spans[1].Attrs); diff != "" {
		t.Errorf("span of nothing known (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"service.name": "nodedb", "service.version": "v1", "service.instance.id": "shop"}, spans[0].Resource); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
	if h := at.Headers()[0]; h.Get("Authorization") != "Bearer secret" || h.Get("X-Team") != "shop" {
		t.Errorf("headers %v, want those of the environment", h)
	}
}

// Ratio 0 sends nothing, and no ratio between them sends all or nothing.
func TestTracer_Ratio(t *testing.T) {
	for _, c := range []struct {
		ratio    float64
		min, max int
	}{{0, 0, 0}, {0.5, 1, 999}, {1, 1000, 1000}} { // of 0.5, all or none come once in 2^999
		at := tracetest.New(t)
		tr := start(t, Options{Endpoint: at.URL, Ratio: c.ratio})
		for range 1000 {
			tr.Request().End(1)
		}
		stop(t, tr)
		if n := len(at.Spans()); n < c.min || n > c.max {
			t.Errorf("ratio %v: %d of 1000 came, want %d to %d", c.ratio, n, c.min, c.max)
		}
	}
}

// Who is not traced pays nothing.
func TestTracer_Allocations(t *testing.T) {
	at := tracetest.New(t)
	none := start(t, Options{Endpoint: at.URL, Ratio: 0})
	defer stop(t, none)
	for name, tr := range map[string]*Tracer{"without": nil, "ratio 0": none} {
		if n := testing.AllocsPerRun(100, func() { tr.Request().End(1) }); n != 0 {
			t.Errorf("%s: %v allocations for a request", name, n)
		}
	}
}

// A collector that never answers holds nobody up, neither at work nor at the end.
func TestTracer_Hangs(t *testing.T) {
	at := tracetest.New(t)
	asked, release := make(chan struct{}, 100), make(chan struct{})
	at.Answer(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})
	tr := start(t, Options{Endpoint: at.URL, Ratio: 1})
	for range 512 { // one delivery
		tr.Request().End(1)
	}
	<-asked
	for range 10_000 { // more than the queue holds
		tr.Request().End(1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), at.URL) {
		t.Errorf("shutdown: %v, want an error that names the collector", err)
	}
	close(release)
}

// Failures are told once, with the number of spans and without the headers.
func TestTracer_Refused(t *testing.T) {
	t.Setenv(HeadersVariables[0], "authorization=Bearer%20secret")
	at := tracetest.New(t)
	at.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	var log strings.Builder
	tr := start(t, Options{Endpoint: at.URL, Ratio: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 1100 { // three deliveries
		tr.Request().End(1)
	}
	stop(t, tr)
	text := log.String()
	if strings.Count(text, "not delivered") != 1 || !strings.Contains(text, "--otlp-endpoint") || !strings.Contains(text, "lost_spans=") {
		t.Errorf("log %q, want one report", text)
	}
	if strings.Contains(text, "secret") {
		t.Errorf("log shows the headers: %q", text)
	}
}

func TestNew_Refuses(t *testing.T) {
	for _, c := range []struct{ endpoint, headers, want string }{
		{"collector:4318", "", `begins with "collector:"`},
		{"ftp://collector", "", `begins with "ftp:"`},
		{"", "", "http:// or https://"},
		{"http://", "", "names no host"},
		{"http://:4318", "", "names no host"},
		{"http://eve:secret@c", "", "OTEL_EXPORTER_OTLP_HEADERS"},
		{"http://eve:secret@c:x", "", "invalid port"},
		{"http://c?key=secret", "", "behind ?"},
		{"http://c", "a=b,secret", "part 2 of 2"},
		{"http://c", "a=%secret", "part 1 of 1"},
	} {
		t.Setenv(HeadersVariables[0], c.headers)
		_, err := New(Options{Endpoint: c.endpoint, Env: os.Getenv})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q with headers %q: %v, want %q and no secret", c.endpoint, c.headers, err, c.want)
		}
	}
	t.Setenv(HeadersVariables[0], "")
	for _, ratio := range []float64{-0.1, 1.1, nan()} {
		if _, err := New(Options{Endpoint: "http://c", Ratio: ratio}); err == nil {
			t.Errorf("ratio %v is taken", ratio)
		}
	}
	for in, want := range map[string]string{"https://c/otlp/": "https://c/otlp/v1/traces", "http://c:4318": "http://c:4318/v1/traces", "http://c/v1/traces": "http://c/v1/traces"} {
		if tr, err := New(Options{Endpoint: in}); err != nil || tr.endpoint != want {
			t.Errorf("%s: %v %v, want %s", in, tr, err, want)
		}
	}
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}
