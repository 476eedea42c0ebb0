package resp

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/internal/trace/tracetest"
)

func tracing(t *testing.T, endpoint string, ratio float64) *trace.Tracer {
	t.Helper()
	tr, err := trace.New(trace.Options{Endpoint: endpoint, Ratio: ratio})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Start("shop"); err != nil {
		t.Fatal(err)
	}
	return tr
}

// alone is a connection without a network.
func alone(tr *trace.Tracer) *conn {
	return &conn{s: &Server{opts: Options{Trace: tr}, commands: table()}, proto: 2, user: Everybody().Default()}
}

// Every request is a span that says what was asked and what was wrong, and nothing
// of what the client sent.
func TestTraced(t *testing.T) {
	at := tracetest.New(t)
	tr := tracing(t, at.URL, 1)
	users, err := ParseUsers([]byte("user eve on >pass-WORD-1 tenants=7 +read +write\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, Options{Trace: tr, Users: users}).client()
	c.do("GET", "secret-key")
	c.do("AUTH", "eve", "wrong-WORD-2")
	c.do("AUTH", "eve", "pass-WORD-1")
	c.do("secret-command", "secret-key")
	c.send(request("SET", "secret-key", "secret-value") + request("GET", "secret-key") + request("HGET", "secret-key", "secret-field") + request("APPEND"))
	for range 4 {
		c.read()
	}
	c.do("GET", "secret-key", "AT", "secret-moment")
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	type line struct {
		Name, Tenant, Code string
		Batch              int64
	}
	var got []line
	for _, s := range at.Spans() {
		l := line{Name: s.Name}
		l.Tenant, _ = s.Attrs["db.namespace"].(string)
		l.Code, _ = s.Attrs["error.type"].(string)
		l.Batch, _ = s.Attrs["db.operation.batch.size"].(int64)
		got = append(got, l)
	}
	want := []line{
		{"GET", "", "NOAUTH", 0}, {"AUTH", "", "WRONGPASS", 0}, {"AUTH", "", "", 0}, {"unknown", "7", "ERR", 0},
		{"SET", "7", "", 4}, {"GET", "7", "", 4}, {"HGET", "7", "WRONGTYPE", 4}, {"APPEND", "7", "ERR", 4}, {"GET", "7", "ERR", 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	for _, secret := range []string{"secret", "WORD", "eve"} {
		if bytes.Contains(at.Bytes(), []byte(secret)) {
			t.Errorf("%q was sent to the collector", secret)
		}
	}
}

// Clients are answered while the collector is not.
func TestTraced_Hangs(t *testing.T) {
	at := tracetest.New(t)
	asked, release := make(chan struct{}, 100), make(chan struct{})
	at.Answer(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})
	tr := tracing(t, at.URL, 1)
	c := serve(t, Options{Trace: tr}).client()
	ping := func() {
		if got := c.do("PING"); got != "PONG" {
			t.Fatalf("PING: %s", got)
		}
	}
	for range 512 { // one delivery
		ping()
	}
	<-asked
	for range 3000 { // more than the queue holds
		ping()
	}
	close(release)
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A request pays for tracing only when it is traced: the path from request to
// answer allocates nothing with and without a tracer.
func TestTraced_Allocations(t *testing.T) {
	at := tracetest.New(t)
	none := tracing(t, at.URL, 0)
	for name, tr := range map[string]*trace.Tracer{"without": nil, "ratio 0": none} {
		c := alone(tr)
		args := [][]byte{[]byte("PING")}
		n := testing.AllocsPerRun(100, func() {
			c.do(args)
			c.out = c.out[:0]
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for a request", name, n)
		}
	}
	if err := none.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// BenchmarkTraced is a request that no store and no network takes part in.
func BenchmarkTraced(b *testing.B) {
	at := tracetest.New(b)
	for _, c := range []struct {
		name  string
		ratio float64
	}{{"off", -1}, {"0", 0}, {"0.01", 0.01}, {"1", 1}} {
		b.Run(c.name, func(b *testing.B) {
			var tr *trace.Tracer
			if c.ratio >= 0 {
				var err error
				if tr, err = trace.New(trace.Options{Endpoint: at.URL, Ratio: c.ratio}); err != nil {
					b.Fatal(err)
				}
				if err := tr.Start("shop"); err != nil {
					b.Fatal(err)
				}
			}
			conn := alone(tr)
			args := [][]byte{[]byte("PING")}
			b.ReportAllocs()
			for b.Loop() {
				conn.do(args)
				conn.out = conn.out[:0]
			}
			if err := tr.Shutdown(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
