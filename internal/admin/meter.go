package admin

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/trace"
)

// Meter counts the requests to stores: what an archive costs, and how long an upload
// takes. Its methods may be called from any goroutine.
type Meter struct {
	Trace *trace.Tracer // makes spans of creates; nil: of none

	requests *prometheus.CounterVec
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewMeter makes a meter that has counted nothing.
func NewMeter() *Meter {
	return &Meter{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nodedb_object_requests_total", Help: "Requests to a store, by method."}, []string{"op", "repo"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nodedb_archive_attempts_total", Help: "Creates of objects, by what the store answered."}, []string{"code", "repo"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nodedb_archive_upload_duration_seconds", Help: "Time of creates that succeeded.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, []string{"repo"}),
	}
}

// Over counts what goes to s.
func (m *Meter) Over(s archive.Store) archive.Store { return &meteredStore{s, m, s.URL()} }

type meteredStore struct {
	archive.Store
	m    *Meter
	repo string
}

func (s *meteredStore) count(op string) { s.m.requests.WithLabelValues(op, s.repo).Inc() }

func (s *meteredStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	s.count("create")
	began := time.Now()
	err := s.Store.Create(ctx, key, body, size)
	s.m.Trace.Upload(began, objectOf(key), s.repo, size, codeOf(err))
	s.m.attempts.WithLabelValues(codeOf(err), s.repo).Inc()
	if err == nil {
		s.m.seconds.WithLabelValues(s.repo).Observe(time.Since(began).Seconds())
	}
	return err
}

func (s *meteredStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	s.count("read")
	return s.Store.ReadRange(ctx, key, off, n)
}

func (s *meteredStore) Stat(ctx context.Context, key string) (archive.Object, error) {
	s.count("stat")
	return s.Store.Stat(ctx, key)
}

func (s *meteredStore) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	s.count("list")
	return s.Store.List(ctx, prefix, after)
}

func (s *meteredStore) Delete(ctx context.Context, key string) error {
	s.count("delete")
	return s.Store.Delete(ctx, key)
}

// objectOf says what an object is.
func objectOf(key string) string {
	_, k, err := archive.ParseFull(key)
	if err != nil {
		return "other"
	}
	switch k.(type) {
	case archive.SegmentKey:
		return "segment"
	case archive.BaseKey:
		return "base"
	case archive.ObjKey:
		return "base content"
	case archive.EpochKey:
		return "epoch"
	}
	return "other"
}

// codes name the classes of a store's errors.
var codes = []struct {
	err  error
	code string
}{
	{archive.ErrExists, "exists"}, {archive.ErrNoStore, "no_store"}, {archive.ErrUnreachable, "unreachable"}, {archive.ErrThrottled, "throttled"},
	{archive.ErrDenied, "denied"}, {archive.ErrRetained, "retained"}, {archive.ErrStoreFull, "full"}, {archive.ErrRefused, "refused"}, {archive.ErrBody, "body"},
	{context.DeadlineExceeded, "timeout"}, {context.Canceled, "cancelled"},
}

func codeOf(err error) string {
	if err == nil {
		return "ok"
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return "other"
}
