package trace

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

const (
	sendTimeout = 10 * time.Second // for one delivery with its repetitions
	retryFirst  = 500 * time.Millisecond
	retryMax    = 5 * time.Second
	quiet       = time.Minute // between two reports of failure
)

// exporter sends batches, and reports failures without flooding the log. It is used
// by the one goroutine of the queue.
type exporter struct {
	sdk.SpanExporter
	log      *slog.Logger
	endpoint string
	now      func() time.Time
	ctx      context.Context
	giveUp   context.CancelFunc // ends a delivery under way

	mu       sync.Mutex
	reported time.Time
	lost     int // spans since then
}

func newExporter(to sdk.SpanExporter, log *slog.Logger, endpoint string) *exporter {
	e := &exporter{SpanExporter: to, log: log, endpoint: endpoint, now: time.Now}
	e.ctx, e.giveUp = context.WithCancel(context.Background())
	return e
}

// ExportSpans never fails: nobody above it could do more than report.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if e.ctx.Err() != nil {
		return nil // Shutdown tells
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil && e.ctx.Err() == nil {
		e.report(err, len(spans))
	}
	return nil
}

func (e *exporter) report(err error, spans int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost += spans
	now := e.now()
	if !e.reported.IsZero() && now.Sub(e.reported) < quiet {
		return
	}
	e.log.Warn("traces are not delivered, the node goes on: see that the collector runs and that --otlp-endpoint is right", "endpoint", e.endpoint, "lost_spans", e.lost, "err", err)
	e.reported, e.lost = now, 0
}
