package resp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// Options of a server. Node is required.
type Options struct {
	Node    *node.Node
	Version string
	Logger  *slog.Logger
	Users   *Users // nil: everybody may do everything

	MaxClients  int           // default 10,000
	IdleTimeout time.Duration // a client that asks nothing for so long is closed; 0: never

	writeTimeout time.Duration // of a client that takes no answers; default 30 s
	helloTimeout time.Duration // of a client of TLS that says no hello; default 10 s
	exportIdle   time.Duration // after which an export is given up; default a minute

	Trace *trace.Tracer // nil: requests are not traced

	// At reads a key as it was at an LSN, or at a time when the LSN is 0, from the
	// archive. nil: GET key AT is refused.
	At func(ctx context.Context, tenant uint32, key []byte, lsn wal.LSN, at time.Time) ([]byte, error)
}

// Limits of one request. A value has the node's own.
const (
	argsMax       = 1 << 20
	argBytesMax   = 16<<20 + 4<<10
	totalBytesMax = 64 << 20
	lineBytesMax  = 8 << 10
)

// Server serves one node to any number of clients.
type Server struct {
	opts         Options
	limits       limits
	writeTimeout time.Duration
	helloTimeout time.Duration
	exportIdle   time.Duration
	exports      atomic.Int32  // that are open
	refusing     chan struct{} // a token for each client that is being refused
	metrics      Metrics
	began        time.Time
	commands     map[string]*command
	creations    creations
	cursors      cursors
	guard        guard

	draining atomic.Bool // by Shutdown, under mu

	ctx    context.Context // of all connections
	cancel context.CancelCauseFunc

	loops loops

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[uint64]*conn
	ids       uint64
	wg        sync.WaitGroup
}

// Metrics count since the start.
type Metrics struct {
	connections, refused, commands, errors, in, out atomic.Int64
}

var errShutdown = errors.New("resp: server is shut down")

// New makes a server that serves nothing yet.
func New(o Options) *Server {
	if o.MaxClients == 0 {
		o.MaxClients = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Users == nil {
		o.Users = Everybody()
	}
	s := &Server{opts: o, limits: limits{argsMax, argBytesMax, totalBytesMax, lineBytesMax},
		writeTimeout: cmp.Or(o.writeTimeout, writeTimeout), helloTimeout: cmp.Or(o.helloTimeout, helloTimeout), exportIdle: cmp.Or(o.exportIdle, exportIdle),
		refusing: make(chan struct{}, refusingMax), began: time.Now(), commands: table(),
		listeners: make(map[net.Listener]bool), conns: make(map[uint64]*conn)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Serve accepts clients until Shutdown, and then returns nil. The listener may be
// one of TLS; it is closed.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return errors.Join(errShutdown, l.Close())
	}
	s.listeners[l] = true
	s.mu.Unlock()
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.accept(nc)
			continue
		}
		if s.draining.Load() {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Too many files, most likely: others may close theirs.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.opts.Logger.Warn("cannot accept a client", "err", err, "retry_in", pause)
		select {
		case <-s.ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (s *Server) accept(nc net.Conn) {
	s.mu.Lock()
	if s.draining.Load() || len(s.conns) >= s.opts.MaxClients {
		s.mu.Unlock()
		s.metrics.refused.Add(1)
		s.refuse(nc)
		return
	}
	s.ids++
	c := s.newConn(s.ctx, s.ids, nc)
	s.adopt(c)
	s.conns[c.id] = c
	s.wg.Add(1)
	s.mu.Unlock()
	s.metrics.connections.Add(1)
	if c.sock != nil {
		c.sock.begin()
		return
	}
	go func() {
		err := c.hello()
		if err == nil {
			err = c.serve(nil)
		}
		s.over(c, err)
	}()
}

// over lets a client go. The connection is closed.
func (s *Server) over(c *conn, why error) {
	defer s.wg.Done()
	s.opts.Logger.Debug("client ends", "client", c.id, "addr", c.net.RemoteAddr(), "err", why)
	s.forget(c)
}

// Clients that are told that they are one too many, at the same time; more are only
// closed.
const (
	refusingMax   = 64
	refuseTimeout = 100 * time.Millisecond
)

// refuse tells a client that it is one too many. The accepting goroutine does not
// wait for it: over TLS the client must say hello first.
func (s *Server) refuse(nc net.Conn) {
	select {
	case s.refusing <- struct{}{}:
	default:
		_ = nc.Close()
		return
	}
	s.wg.Go(func() {
		defer func() { <-s.refusing }()
		_ = nc.SetDeadline(time.Now().Add(refuseTimeout)) // as good as it goes
		_, _ = nc.Write([]byte("-ERR max number of clients reached\r\n"))
		_ = nc.Close()
	})
}

func (s *Server) forget(c *conn) {
	_ = c.net.Close() // whatever it answers, it is gone
	c.endExport()
	s.mu.Lock()
	delete(s.conns, c.id)
	s.mu.Unlock()
}

// Shutdown takes no more clients, lets those that there are have the answers to what
// they have sent, and returns when all are gone, or with ctx's error after it has
// closed them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	var errs []error
	for l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, c := range s.conns {
		_ = c.net.SetReadDeadline(time.Unix(1, 0)) // its next wait for the client ends it
	}
	loops := s.loops.last()
	s.mu.Unlock()
	loops.wake() // they let idle clients go
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.cancel(errShutdown)
		s.mu.Lock()
		n := len(s.conns)
		for _, c := range s.conns {
			_ = c.net.Close()
		}
		s.mu.Unlock()
		loops.wake() // they wait for nothing any more
		<-done
		errs = append(errs, fmt.Errorf("%d clients were cut off: %w", n, context.Cause(ctx)))
	}
	s.cancel(errShutdown)
	loops.stop()
	return errors.Join(errs...)
}

// clients are the connections of now, by id.
func (s *Server) clients() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		out = append(out, c)
	}
	return out
}
