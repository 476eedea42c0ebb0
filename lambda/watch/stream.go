package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// stream is the transport of one Listen. It tells when a stream of events begins,
// and ends one that is silent for too long.
type stream struct {
	base      http.RoundTripper
	silence   time.Duration
	connected chan struct{} // holds one when a stream has begun
	foreign   atomic.Bool   // an answer was no stream of events
}

// RoundTrip implements http.RoundTripper.
func (s *stream) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	// MinIO sends its headers with the first event or sign of life.
	timer := time.AfterFunc(s.silence, cancel)
	resp, err := s.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		timer.Stop()
		cancel()
		return nil, err
	}
	p := &pulse{body: resp.Body, silence: s.silence, timer: timer, cancel: cancel}
	resp.Body = p
	if resp.StatusCode != http.StatusOK {
		return resp, nil
	}
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		s.foreign.Store(true)
		return nil, errors.Join(fmt.Errorf("the answer is %q, no stream of events", kind), p.Close())
	}
	select {
	case s.connected <- struct{}{}:
	default:
	}
	return resp, nil
}

// pulse is the body of an answer whose request is given up when it is silent.
type pulse struct {
	body    io.ReadCloser
	silence time.Duration
	timer   *time.Timer
	cancel  context.CancelFunc
}

func (p *pulse) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	p.timer.Reset(p.silence)
	return n, err
}

func (p *pulse) Close() error {
	p.timer.Stop()
	p.cancel()
	return p.body.Close()
}
