package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/node"
)

// Options of a server. All may be zero.
type Options struct {
	Version string
	Token   string // bearer token; empty: reads from this machine only
	Logger  *slog.Logger
	Clock   func() time.Time

	// ReadyLag is how far the archive may be behind before the node is not ready.
	// 0: ReadyLagDefault, negative: any lag.
	ReadyLag time.Duration

	// History reads what the archive holds; nil without an archive.
	History func(context.Context) (*History, error)
	// Clients tells what the Redis clients do; nil without.
	Clients func() ClientStats
	// Meter counts the requests to the stores; nil: they are not counted.
	Meter *Meter
	// Trace makes spans of requests; nil: of none.
	Trace *trace.Tracer
}

// ReadyLagDefault is some times the age at which a node seals its log.
const ReadyLagDefault = 5 * time.Minute

// ClientStats are what the Redis clients do.
type ClientStats struct {
	Clients, ClientsMax                    int
	Connections, Refused, Commands, Errors int64
	BytesIn, BytesOut                      int64
}

// Limits of the HTTP server. An answer may take long (a backup, a profile), a
// request may not.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 15 * time.Second
	idleTimeout    = 2 * time.Minute
	answerTimeout  = 30 * time.Second
	headerBytesMax = 16 << 10
	bodyBytesMax   = 16 << 10
	inFlightMax    = 64
)

// Server is the admin server of one process. It may serve before the node is open.
type Server struct {
	opts     Options
	http     *http.Server
	routes   map[string]route
	node     atomic.Pointer[node.Node]
	draining atomic.Bool
	slots    chan struct{}
	metrics  *metrics
	history  *historyCache
	live     live
	began    time.Time
}

// New makes a server that serves nothing yet.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.ReadyLag == 0 {
		o.ReadyLag = ReadyLagDefault
	}
	s := &Server{opts: o, slots: make(chan struct{}, inFlightMax), began: o.Clock()}
	s.history = newHistoryCache(s)
	s.metrics = newMetrics(s)
	s.live.tick = secondTick
	s.routes = s.table()
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: headerBytesMax, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Attach gives the server its node; until then it is not ready.
func (s *Server) Attach(n *node.Node) { s.node.Store(n) }

// Drain makes the node not ready, so that nobody sends it new clients, and leaves the
// archive alone: its stores may be closed when it returns.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.history.stop()
}

// Serve answers until Shutdown, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin requests on %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown ends live streams, waits for what is being answered, and returns ctx's
// error when that takes too long.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.live.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	return err
}

// access is what a route asks of who comes.
type access int

const (
	forAll   access = iota // health
	forFiles               // the page: it holds nothing of the node
	forRead
	forChange // and profiles, which cost and show memory
)

type route struct {
	method string
	access access
	serve  func(http.ResponseWriter, *http.Request)
	long   bool // may take longer than answerTimeout
}

func (s *Server) table() map[string]route {
	t := map[string]route{
		"/livez":   {http.MethodGet, forAll, s.livez, false},
		"/readyz":  {http.MethodGet, forAll, s.readyz, false},
		"/metrics": {http.MethodGet, forRead, s.metrics.serve, false},
	}
	s.apiRoutes(t)
	s.pageRoutes(t)
	profileRoutes(t)
	return t
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	rt, ok := s.routes[r.URL.Path]
	if !ok || r.URL.RawPath != "" || !strings.HasPrefix(r.RequestURI, "/") {
		fail(w, http.StatusNotFound, "there is no such path")
		return
	}
	if r.Method != rt.method && !(r.Method == http.MethodHead && rt.method == http.MethodGet) {
		w.Header().Set("Allow", rt.method)
		fail(w, http.StatusMethodNotAllowed, "want "+rt.method)
		return
	}
	if d := s.admit(r, rt.access); d != nil {
		d.answer(w)
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		fail(w, http.StatusServiceUnavailable, "too many requests at a time")
		return
	}
	if rt.long && r.Method == http.MethodGet {
		patient(w)
	}
	if !rt.long {
		// Who does not read the answer is let go.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // a recorder in tests has none
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyBytesMax)
	if rt.access == forChange {
		s.opts.Logger.Info("admin request", "method", r.Method, "path", r.URL.Path, "from", r.RemoteAddr)
	}
	trusted := rt.access == forRead || rt.access == forChange // files and health are for strangers, too
	s.opts.Trace.HTTP(w, r, r.URL.Path, trusted, rt.serve)
}

// patient lets an answer take as long as it does: the time for the request would
// end the handler's context otherwise. The whole request was read.
func patient(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a recorder in tests has none
}

// secure sets what a browser must hold to.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
