package trace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otrace "go.opentelemetry.io/otel/trace"
)

// Upload traces the create of an object in a store. object is what it is, code what
// the store answered, where ok is no error.
func (t *Tracer) Upload(began time.Time, object, store string, bytes int64, code string) {
	t.work("upload "+object, began, code, attribute.String("nodedb.object", object), attribute.String("nodedb.store", store), attribute.Int64("nodedb.bytes", bytes))
}

// Checkpoint traces a checkpoint.
func (t *Tracer) Checkpoint(began time.Time, flushed uint64, removedBytes int64, err error) {
	code := ok
	if err != nil {
		code = "failed"
	}
	t.work("checkpoint", began, code, attribute.Int64("nodedb.flushed_lsn", int64(flushed)), attribute.Int64("nodedb.removed_bytes", removedBytes)) //nolint:gosec // an LSN stays below 2^63
}

const ok = "ok"

// work is what the node does by itself. It is rare, so all of it is traced, unless
// nothing is.
func (t *Tracer) work(name string, began time.Time, code string, attrs ...attribute.KeyValue) {
	s := t.live()
	if s == nil || s.ratio == 0 {
		return
	}
	_, span := s.Start(context.Background(), name, otrace.WithTimestamp(began), otrace.WithAttributes(attrs...))
	if code != ok {
		span.SetAttributes(attribute.String("error.type", code))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
