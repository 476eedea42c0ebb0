package trace

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otrace "go.opentelemetry.io/otel/trace"
)

// HTTP serves a request of a known route within a span. The trace of a trusted caller
// is gone on with; others could have every request traced.
func (t *Tracer) HTTP(w http.ResponseWriter, r *http.Request, route string, trusted bool, serve func(http.ResponseWriter, *http.Request)) {
	s := t.live()
	ctx := r.Context()
	if s != nil && trusted {
		ctx = parents.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	if s == nil || !otrace.SpanContextFromContext(ctx).IsValid() && !s.chosen() {
		serve(w, r)
		return
	}
	s.http(ctx, w, r, route, serve)
}

func (s *spans) http(ctx context.Context, w http.ResponseWriter, r *http.Request, route string, serve func(http.ResponseWriter, *http.Request)) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	ctx, span := s.Start(ctx, r.Method+" "+route, otrace.WithSpanKind(otrace.SpanKindServer), otrace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("http.route", route), attribute.String("url.scheme", scheme)))
	a := &answer{ResponseWriter: w, code: http.StatusOK}
	defer func() {
		span.SetAttributes(attribute.Int("http.response.status_code", a.code))
		if a.code >= http.StatusInternalServerError {
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(a.code)))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}()
	serve(a, r.WithContext(ctx))
}

// answer notes the status of an answer.
type answer struct {
	http.ResponseWriter
	code  int
	begun bool
}

func (a *answer) WriteHeader(code int) {
	if !a.begun && code >= http.StatusOK {
		a.code, a.begun = code, true
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap lets a response controller reach what is beneath.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
