package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// Trouble is what a Proxy does to one request.
type Trouble uint8

// The troubles of a network and of a busy server.
const (
	Fine     Trouble = iota
	Throttle         // 503 SlowDown, nothing is done
	Broken           // 500, nothing is done
	LostAck          // done, and the connection breaks before the answer
	CutBody          // done, and the answer ends after half of its body
	Slow             // done, Delay later
	Hang             // nothing is done, no answer until the client gives up
	troubles
)

var troubleNames = [...]string{"fine", "throttle", "broken", "lost ack", "cut body", "slow", "hang"}

// String is the trouble in words.
func (t Trouble) String() string { return troubleNames[t] }

// Proxy stands before a server and makes trouble: a share of the requests, drawn
// with a seed, so that the same order of requests meets the same troubles.
type Proxy struct {
	URL string // http://127.0.0.1:port

	rate  float64
	delay time.Duration
	kinds []Trouble
	srv   *httptest.Server

	mu     sync.Mutex // guards what is below
	rand   *rand.Rand
	counts [troubles]int
}

// NewProxy starts one before endpoint. rate is the share of the requests that
// meet one of the kinds.
func NewProxy(endpoint string, seed uint64, rate float64, delay time.Duration, kinds ...Trouble) (*Proxy, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", endpoint, err)
	}
	p := &Proxy{rate: rate, delay: delay, kinds: kinds, rand: rand.New(rand.NewPCG(seed, 0))}
	forward := &httputil.ReverseProxy{
		// The host stays the proxy's: it is part of what the client signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
		},
		ModifyResponse: spoil,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, forward) }))
	p.URL = p.srv.URL
	return p, nil
}

// Close ends the proxy, and the requests that hang in it.
func (p *Proxy) Close() {
	p.srv.CloseClientConnections()
	p.srv.Close()
}

// Count tells how many requests met the trouble.
func (p *Proxy) Count(t Trouble) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[t]
}

func (p *Proxy) draw() Trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := Fine
	if len(p.kinds) > 0 && p.rand.Float64() < p.rate {
		t = p.kinds[p.rand.IntN(len(p.kinds))]
	}
	p.counts[t]++
	return t
}

type troubleKey struct{}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	t := p.draw()
	switch t {
	case Throttle:
		refuse(w, r, http.StatusServiceUnavailable, "SlowDown")
		return
	case Broken:
		refuse(w, r, http.StatusInternalServerError, "InternalError")
		return
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Slow:
		timer := time.NewTimer(p.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), troubleKey{}, t)))
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>trouble on purpose</Message></Error>", code)
	}
}

var errTrouble = errors.New("trouble on purpose")

// spoil breaks the server's answer.
func spoil(resp *http.Response) error {
	t, _ := resp.Request.Context().Value(troubleKey{}).(Trouble)
	switch {
	case t == LostAck:
		return errTrouble
	case t == CutBody && resp.ContentLength > 1:
		resp.Body = &cutBody{resp.Body, resp.ContentLength / 2}
	}
	return nil
}

// cutBody fails after left bytes.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTrouble
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
