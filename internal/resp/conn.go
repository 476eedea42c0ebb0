package resp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// conn is one client. Everything but what is marked belongs to its goroutine.
type conn struct {
	s   *Server
	id  uint64
	net net.Conn
	ctx context.Context // ends when the server gives the connection up

	sock *socket // of a client that a loop serves; nil: a goroutine does
	loop bool    // the loop has it now, and nothing may wait
	// While the loop has it:
	spares *spares
	// While the loop runs reads:
	at    int64   // ms since 1970; 0: not known
	found *[]byte // what a read has found; nil: in memory of its own

	r   requestReader
	out []byte // answers that are not sent

	call call           // of the read that runs
	turn reply          // the answer that is made at once
	span *trace.Request // of the request that is read, until its answer has it; mostly nil
	lost error          // why the connection is over: an outcome is not known, or an answer was not taken

	proto int
	user  *User // nil: not authenticated
	db    *node.DB
	ten   uint32
	name  string
	lib   [2]string // library and its version
	async bool
	quit  bool // after the answer
	last  wal.LSN

	batch batch
	multi *transaction // nil outside MULTI
	watch []watched

	export *export // that it has begun; mostly nil

	since time.Time
	seen  shared
}

const (
	readBuffer   = 16 << 10
	flushFrom    = 64 << 10 // answers are sent from this size on
	writeStep    = 1 << 20  // that a client must take within the time limit
	writeTimeout = 30 * time.Second
	helloTimeout = 10 * time.Second
)

func (s *Server) newConn(ctx context.Context, id uint64, nc net.Conn) *conn {
	c := &conn{s: s, id: id, net: nc, ctx: ctx, proto: 2, since: time.Now()}
	c.r.lim = s.limits
	c.become(s.opts.Users.Default())
	c.seen.idle()
	return c
}

// source is what the reader of requests reads from: whoever waits for the client
// has answered it before.
type source struct {
	c    *conn
	read []byte // by the loop, before the goroutine took over
}

func (s *source) Read(p []byte) (int, error) {
	if n := copy(p, s.read); n > 0 {
		if s.read = s.read[n:]; len(s.read) == 0 {
			s.read = nil
		}
		return n, nil
	}
	if err := s.c.settle(); err != nil {
		return 0, err
	}
	if err := s.c.flush(); err != nil {
		return 0, err
	}
	s.c.seen.idle()
	if d := s.c.s.opts.IdleTimeout; d > 0 {
		if err := s.c.net.SetReadDeadline(time.Now().Add(d)); err != nil {
			return 0, err
		}
	}
	if s.c.s.draining.Load() { // before, or Shutdown ends the read that follows
		return 0, errShutdown
	}
	n, err := s.c.net.Read(p)
	s.c.s.metrics.in.Add(int64(n))
	s.c.seen.busy()
	return n, err
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}

// hello agrees with a client of TLS on how to speak. Without a limit, who connects and
// says nothing would have a client's place for ever.
func (c *conn) hello() error {
	secure, ok := c.net.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.s.helloTimeout)
	defer cancel()
	return secure.HandshakeContext(ctx)
}

// serve answers requests until the client goes, breaks the protocol, or the server
// ends: then with the reason, or errQuit. A client of a loop is given back to it, with nil, when it has
// said nothing more. read is what the loop has read of it.
func (c *conn) serve(read []byte) error {
	src := &source{c, read}
	c.r.r = readers.Get().(*bufio.Reader)
	c.r.r.Reset(src)
	defer func() {
		c.r.r.Reset(nil)
		readers.Put(c.r.r)
		c.r.r = nil
	}()
	for !c.quit && c.lost == nil {
		if c.sock != nil && c.r.r.Buffered() == 0 && len(src.read) == 0 {
			return errors.Join(c.settle(), c.flush())
		}
		args, err := c.r.next()
		if err != nil {
			return c.end(err)
		}
		if len(args) == 0 {
			continue
		}
		c.do(args)
	}
	if err := errors.Join(c.settle(), c.flush()); err != nil {
		return err
	}
	return errQuit
}

var errQuit = errors.New("resp: the client was told to go, or asked for it")

// end says what was wrong with the protocol, behind the answers that are due.
func (c *conn) end(err error) error {
	var proto protocolError
	if errors.As(err, &proto) {
		if serr := c.settle(); serr != nil {
			return serr
		}
		c.now(func(*reply) error { return proto })
		return errors.Join(err, c.flush())
	}
	return err
}

// do runs one request, or starts it.
func (c *conn) do(args [][]byte) {
	cmd, err := c.s.find(args)
	c.run(cmd, args, err)
}

// run is do for a command that was looked up.
func (c *conn) run(cmd *command, args [][]byte, err error) {
	c.s.metrics.commands.Add(1)
	c.span = c.traced(cmd)
	if cmd == nil && ofBrowser(args[0]) {
		c.quit = true
		return
	}
	if err != nil && cmd != nil && cmd.name == "exec" {
		err = c.abort(err)
	}
	if err == nil {
		err = c.may(cmd)
	}
	if err != nil {
		if c.multi != nil {
			c.multi.broken = true
		}
		c.now(func(*reply) error { return err })
		return
	}
	c.seen.command(&cmd.name)
	switch {
	case c.multi != nil && !cmd.unqueued:
		c.now(func(out *reply) error { return c.multi.queue(cmd, args, out) })
	case cmd.where == onConn:
		if err := c.settle(); err != nil {
			return // the connection's next read ends it
		}
		c.now(func(out *reply) error { return cmd.conn(c, args, out) })
	default:
		c.keyed(cmd, args)
	}
}

// now answers at once, in its turn.
func (c *conn) now(answer func(out *reply) error) {
	span := c.span
	c.span = nil
	if c.batch.len() > 0 {
		p := c.pend()
		p.span = span
		p.answer(answer)
		if c.batch.bytes += len(p.done); c.batch.full() && !c.loop {
			_ = c.settle() // noted in lost
		}
		return
	}
	out := &c.turn
	out.b, out.proto = c.out, c.proto
	at := len(out.b)
	if err := answer(out); err != nil {
		c.s.metrics.errors.Add(1)
		out.b = out.b[:at]
		out.fail(err)
		failed(span, err)
	}
	span.End(1)
	c.out, out.b = out.b, nil
	if len(c.out) >= flushFrom {
		_ = c.flush() // noted in lost
	}
}

// flush sends the answers. A client that takes none for a while is given up. The
// loop sends them itself.
func (c *conn) flush() error {
	if c.lost != nil || c.loop {
		return c.lost
	}
	for left := c.out; len(left) > 0; {
		if err := c.net.SetWriteDeadline(time.Now().Add(c.s.writeTimeout)); err != nil {
			c.lost = err
			return err
		}
		n, err := c.net.Write(left[:min(len(left), writeStep)])
		c.s.metrics.out.Add(int64(n))
		if err != nil {
			c.lost = err
			return err
		}
		left = left[n:]
	}
	if cap(c.out) > 4*flushFrom {
		c.out = nil
	}
	c.out = c.out[:0]
	return nil
}

// become makes a user of the client.
func (c *conn) become(u *User) {
	c.user = u
	if u == nil {
		c.endExport()
		c.db = nil
		return
	}
	c.use(u.first())
}

func (c *conn) use(tenant uint32) {
	c.endExport()
	c.ten, c.db = tenant, c.s.opts.Node.Tenant(tenant)
}

// may tells whether the client may run a command.
func (c *conn) may(cmd *command) error {
	if c.user == nil {
		if cmd.anybody {
			return nil
		}
		return errNoAuth
	}
	if !c.user.has(cmd.right()) {
		return redisError("NOPERM User " + c.user.Name + " has no permissions to run the '" + cmd.name + "' command")
	}
	return nil
}
