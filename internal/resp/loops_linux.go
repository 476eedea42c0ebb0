package resp

import (
	"net"
	"runtime"
	"syscall"
)

// loops are those of a server, made when the first client comes. The server's lock
// guards them.
type loops struct {
	made bool
	all  []*loop
	next int
}

// adopt prepares a loop for a client, where it has a socket of the kind that loops
// wait for. s.mu is held.
func (s *Server) adopt(c *conn) {
	var raw syscall.Conn
	switch nc := c.net.(type) {
	case *net.TCPConn:
		raw = nc
	case *net.UnixConn:
		raw = nc
	default:
		return
	}
	if s.loops.make(s); len(s.loops.all) == 0 {
		return
	}
	s.loops.next++
	sock, err := newSocket(s.loops.all[s.loops.next%len(s.loops.all)], c, raw)
	if err != nil {
		s.opts.Logger.Debug("a client gets a goroutine of its own", "client", c.id, "err", err)
		return
	}
	_ = c.net.Close() // the duplicate goes on
	c.net, c.sock, c.loop, c.spares = sock, sock, true, &sock.l.spares
}

func (ls *loops) make(s *Server) {
	if ls.made {
		return
	}
	ls.made = true
	// One for every two processors: the others are the cores' and the clients'. There
	// may be more scheduler slots than processors.
	for range max(1, min(runtime.NumCPU(), runtime.GOMAXPROCS(0))/2) {
		l, err := newLoop(s)
		if err != nil {
			s.opts.Logger.Warn("cannot serve many clients on one goroutine; each gets its own", "err", err)
			return
		}
		ls.all = append(ls.all, l)
	}
}

// begin hands the client to its loop.
func (s *socket) begin() {
	s.l.mu.Lock()
	s.l.new = append(s.l.new, s)
	s.l.mu.Unlock()
	s.l.wake()
}

// last makes no more of them.
func (ls *loops) last() loops {
	ls.made = true
	return *ls
}

func (ls *loops) wake() {
	for _, l := range ls.all {
		l.wake()
	}
}

// stop ends the loops, which have no clients any more.
func (ls *loops) stop() {
	for _, l := range ls.all {
		l.ending.Store(true)
		l.wake()
		<-l.over
	}
}
