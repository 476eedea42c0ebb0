package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otrace "go.opentelemetry.io/otel/trace"
)

// Tracer makes spans between Start and Shutdown, and nothing before and after. Its
// methods may be called from any goroutine, and do nothing on nil.
type Tracer struct {
	opts     Options
	endpoint string
	exporter *exporter
	provider *sdk.TracerProvider
	spans    atomic.Pointer[spans]
}

// spans is what makes them.
type spans struct {
	otrace.Tracer
	ratio float64
}

// parents reads the trace of a caller.
var parents = propagation.TraceContext{}

// New checks the options; it opens no connection.
func New(o Options) (*Tracer, error) {
	if !(o.Ratio >= 0 && o.Ratio <= 1) {
		return nil, fmt.Errorf("the share of traces is %v, want 0 to 1", o.Ratio)
	}
	at, err := endpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := checkHeaders(o.Env); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Tracer{opts: o, endpoint: at}, nil
}

// Start begins to trace, in the name of a node. It is called once.
func (t *Tracer) Start(nodeID string) error {
	if t == nil {
		return nil
	}
	ctx := context.Background() // the exporter connects when it sends
	otel.SetLogger(logr.Discard())
	to, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(t.endpoint), otlptracehttp.WithTimeout(sendTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: retryFirst, MaxInterval: retryMax, MaxElapsedTime: sendTimeout}))
	if err != nil {
		return fmt.Errorf("trace to %s: %w", t.endpoint, err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "nodedb"),
		attribute.String("service.version", t.opts.Version), attribute.String("service.instance.id", nodeID)))
	if err != nil {
		return errors.Join(fmt.Errorf("trace to %s: %w", t.endpoint, err), to.Shutdown(ctx))
	}
	t.exporter = newExporter(to, t.opts.Logger, t.endpoint)
	t.provider = sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())), sdk.WithBatcher(t.exporter))
	t.spans.Store(&spans{t.provider.Tracer("github.com/nodedb-go/nodedb", otrace.WithInstrumentationVersion(t.opts.Version)), t.opts.Ratio})
	return nil
}

// Shutdown sends what is left, until ctx ends. What the collector did not take by
// then is lost.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil || t.spans.Swap(nil) == nil {
		return nil
	}
	defer t.exporter.giveUp()
	defer context.AfterFunc(ctx, t.exporter.giveUp)() // ends what is under way and refuses the rest, so that Shutdown returns
	err := t.provider.Shutdown(context.WithoutCancel(ctx))
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("send the last traces to %s: %w", t.endpoint, err)
	}
	return nil
}

// live is what makes spans now; nil when nothing does.
func (t *Tracer) live() *spans {
	if t == nil {
		return nil
	}
	return t.spans.Load()
}

// chosen decides whether a trace begins.
func (s *spans) chosen() bool {
	return s.ratio >= 1 || s.ratio > 0 && rand.Float64() < s.ratio //nolint:gosec // a share, no secret
}
