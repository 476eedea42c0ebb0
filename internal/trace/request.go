package trace

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otrace "go.opentelemetry.io/otel/trace"
)

// Request is one request of a Redis client that is traced. Methods of nil do nothing.
type Request struct {
	Command   string // as the table spells it; empty: there is no such command
	Namespace string // the tenant; empty: not known
	Code      string // first word of the error that was answered; empty: none

	spans *spans
	began time.Time
}

// Request begins a request. It is nil for most.
func (t *Tracer) Request() *Request {
	s := t.live()
	if s == nil || !s.chosen() {
		return nil
	}
	return &Request{spans: s, began: time.Now()}
}

// unknown is the name of a command that is not there: what a client sent instead
// may be anything.
const unknown = "unknown"

// End makes the span. batch is the number of requests that were settled with it;
// below 2 it stood alone.
func (r *Request) End(batch int) {
	if r == nil {
		return
	}
	name := unknown
	if r.Command != "" {
		name = strings.ToUpper(r.Command)
	}
	attrs := make([]attribute.KeyValue, 0, 6)
	attrs = append(attrs, attribute.String("db.system.name", "nodedb"), attribute.String("db.operation.name", name))
	if r.Namespace != "" {
		attrs = append(attrs, attribute.String("db.namespace", r.Namespace))
	}
	if batch > 1 {
		attrs = append(attrs, attribute.Int("db.operation.batch.size", batch))
	}
	if r.Code != "" {
		attrs = append(attrs, attribute.String("error.type", r.Code), attribute.String("db.response.status_code", r.Code))
	}
	_, span := r.spans.Start(context.Background(), name, otrace.WithSpanKind(otrace.SpanKindServer), otrace.WithTimestamp(r.began), otrace.WithAttributes(attrs...))
	if r.Code != "" {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
