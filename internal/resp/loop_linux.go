package resp

import (
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nodedb-go/nodedb/node"
)

// loop serves many clients on one goroutine. It waits for all of them at once,
// answers what waits for nothing, starts the updates of all who asked and sends them
// to the cores together, and answers those whose updates ended together. A request
// that may wait is handed to a goroutine with its client, which comes back when it
// has said nothing more.
//
// A client belongs either to the loop or to its goroutine. What comes back, and what
// has ended on a core, lies in a stack that anybody may push to; an eventfd ends the
// loop's sleep.
type loop struct {
	s      *Server
	ep     int
	signal int // eventfd
	start  *node.Starter
	buf    []byte // what is read goes here first
	ahead  lookahead
	found  []byte // what the read that runs has found
	spares spares
	events [128]unix.EpollEvent
	byFd   []*socket
	wall   int64 // ns since 1970, of this round
	swept  int64
	stuck  int  // clients that take no answers
	told   bool // clients know that the server ends
	cut    bool // and were cut off

	reads patience

	back   atomic.Pointer[socket] // a stack
	asleep atomic.Uint32          // 1: whoever turns it to 0 must signal
	ending atomic.Bool
	over   chan struct{}

	mu  sync.Mutex
	new []*socket
}

const (
	loopBuffer = 64 << 10
	loopReads  = 16       // of one client before the others have their turn
	loopWhole  = 16 << 10 // a request that is not whole with so much is a goroutine's
)

func newLoop(s *Server) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	signal, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(err, unix.Close(ep))
	}
	l := &loop{s: s, ep: ep, signal: signal, buf: make([]byte, loopBuffer), over: make(chan struct{})}
	l.start = s.opts.Node.NewStarter(l.wake)
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, signal, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(signal)}); err != nil {
		return nil, errors.Join(err, unix.Close(ep), unix.Close(signal))
	}
	go l.run()
	return l, nil
}

// run is the life of a loop.
func (l *loop) run() {
	defer close(l.over)
	for !l.ending.Load() {
		n := l.wait()
		l.wall = time.Now().UnixNano()
		for i := range n {
			l.event(&l.events[i])
		}
		l.takeNew()
		l.takeBack()
		l.start.Send()
		l.sweep()
	}
	// Nobody has turned asleep to 0 any more who has not signalled.
	if !l.asleep.CompareAndSwap(0, 2) {
		panic("resp: the loop ends asleep")
	}
	_ = unix.Close(l.ep)
	_ = unix.Close(l.signal)
}

// wait returns how many events there are, and sleeps when there is nothing to do.
func (l *loop) wait() int {
	if n := l.poll(); n > 0 || l.hasWork() {
		return n
	}
	l.asleep.Store(1)
	// What was published before asleep was set is seen here; who publishes after it
	// sees asleep.
	if l.hasWork() || l.ending.Load() || l.s.draining.Load() && !l.told || l.s.ctx.Err() != nil && !l.cut {
		l.awake()
		return 0
	}
	timeout := -1
	if d := l.sweepEvery(); d > 0 {
		timeout = max(1, int(d/time.Millisecond))
	}
	n, err := unix.EpollWait(l.ep, l.events[:], timeout)
	l.awake()
	if err != nil { // EINTR
		return 0
	}
	return n
}

// poll is a look at the events that does not wait, so the runtime need not know.
func (l *loop) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (l *loop) hasWork() bool {
	if l.back.Load() != nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.new) > 0
}

// wake ends the sleep of the loop, or the one that it is about to begin.
func (l *loop) wake() {
	if l.asleep.Load() == 1 && l.asleep.CompareAndSwap(1, 0) {
		one := [8]byte{1}
		_, _ = writeFd(l.signal, one[:])
	}
}

// awake takes asleep back. Who did so first signals, and that is waited for: the
// eventfd must not be closed under it.
func (l *loop) awake() {
	var count [8]byte
	if l.asleep.CompareAndSwap(1, 0) {
		return
	}
	for {
		n, errno := readFd(l.signal, count[:])
		if errno == 0 && n == 8 {
			return
		}
		runtime.Gosched()
	}
}

// push hands a client to the loop. It is not woken.
func (l *loop) push(s *socket) {
	if !s.queued.CompareAndSwap(false, true) {
		return // the loop looks at everything when it gets to it
	}
	for {
		head := l.back.Load()
		s.next = head
		if l.back.CompareAndSwap(head, s) {
			return
		}
	}
}

func (l *loop) event(ev *unix.EpollEvent) {
	fd := int(ev.Fd)
	if fd == l.signal || fd >= len(l.byFd) || l.byFd[fd] == nil {
		return
	}
	s := l.byFd[fd]
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.readable = true
	}
	if ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.hup = true
	}
	if s.away {
		s.poke()
		return
	}
	if s.stuck != 0 || s.readable {
		l.advance(s)
	}
}

func (l *loop) takeNew() {
	l.mu.Lock()
	list := l.new
	l.new = nil
	l.mu.Unlock()
	for _, s := range list {
		for s.fd >= len(l.byFd) {
			l.byFd = append(l.byFd, nil)
		}
		l.byFd[s.fd] = s
		ev := unix.EpollEvent{Fd: int32(s.fd), Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET}
		if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
			l.drop(s, err)
			continue
		}
		s.readable = true // it may have spoken already
		l.advance(s)
	}
}

// takeBack goes on with clients whose updates have ended or whose goroutine has.
func (l *loop) takeBack() {
	for s := l.back.Swap(nil); s != nil; {
		next := s.next
		s.next = nil
		s.queued.Store(false)
		l.resume(s)
		s = next
	}
}

func (l *loop) resume(s *socket) {
	c := s.c
	if s.away {
		if !s.done.Load() {
			return
		}
		s.done.Store(false)
		s.away, c.loop = false, true
		if s.end != nil {
			l.drop(s, s.end)
			return
		}
		s.readable = true // the goroutine may have seen an edge for us
		c.seen.busy()
	}
	if !s.gone && s.left.Load() == 0 {
		l.advance(s)
	}
}

// advance does for a client what can be done without waiting.
func (l *loop) advance(s *socket) {
	c := s.c
	c.seen.busy()
	data := s.rest
	for reads := 0; ; {
		for c.batch.len() > 0 && s.left.Load() == 0 && c.lost == nil {
			if c.batch.stalled(c.ctx) {
				l.sendAway(s, data)
				return
			}
			_ = c.settle() // noted in lost
			if c.batch.len() > 0 && !l.answer(s) {
				break
			}
		}
		if c.lost != nil || c.quit || s.eof {
			l.finish(s)
			return
		}
		if (c.batch.len() == 0 || len(c.out)-s.sent >= flushFrom) && !l.answer(s) {
			s.keep(data)
			l.finish(s)
			return
		}
		used, v := l.requests(s, data)
		data = data[used:]
		switch {
		case c.batch.len() > 0 && s.left.Load() == 0, c.lost != nil, c.quit:
			continue
		case v == unsent:
			continue
		case v == aside || len(data) >= loopWhole && v == more:
			if c.batch.len() == 0 {
				l.sendAway(s, data)
				return
			}
			v = later
		}
		if v == later {
			s.keep(data)
			return // until its updates have ended
		}
		if !s.readable {
			s.keep(data)
			if c.batch.len() == 0 {
				if l.answer(s) {
					l.rest(s)
				} else {
					l.finish(s)
				}
			}
			return
		}
		if reads++; reads > loopReads {
			s.keep(data)
			l.push(s) // the others first
			return
		}
		data = l.read(s, data)
	}
}

// rest ends the work on a client from which nothing is due.
func (l *loop) rest(s *socket) {
	s.c.seen.since.Store(l.wall)
	if l.s.draining.Load() {
		l.drop(s, errShutdown)
	}
}

// finish lets a client go that is lost, has quit or is gone, once it has its answers.
// One that takes no answers is waited for.
func (l *loop) finish(s *socket) {
	c := s.c
	switch {
	case s.left.Load() > 0:
		// Its updates refer to it. Their end leads here again.
	case c.lost != nil:
		l.drop(s, c.lost)
	case (c.quit || s.eof) && c.batch.len() == 0 && l.answer(s):
		why := errQuit
		if s.eof {
			why = io.EOF
		}
		l.drop(s, why)
	case c.lost != nil: // by the sending
		l.drop(s, c.lost)
	}
}

// read appends what the client has sent to what is left of it, in the loop's buffer.
func (l *loop) read(s *socket, data []byte) []byte {
	have := copy(l.buf, data)
	room := l.buf[have:]
	n, errno := readFd(s.fd, room)
	switch {
	case errno == unix.EINTR:
	case errno == unix.EAGAIN:
		s.readable = false
	case errno != 0:
		s.c.lost, s.readable = errno, false
	case n == 0:
		s.eof, s.readable = true, false
	default:
		l.s.metrics.in.Add(int64(n))
		have += n
		// What comes behind a read that was not filled is a new event; an end that
		// came before it is none.
		s.readable = s.hup || n == len(room)
	}
	return l.buf[:have]
}

// verdict says how to go on.
type verdict uint8

const (
	now    verdict = iota // run the request
	more                  // the client must say more
	later                 // updates must end first
	unsent                // answers must be sent first
	aside                 // a goroutine must take it
)

// requests runs the whole requests in data. used is how much that was.
func (l *loop) requests(s *socket, data []byte) (used int, v verdict) {
	c := s.c
	read := false
	var began int64
	l.ahead.begin(data)
	for !c.quit && c.lost == nil {
		if len(c.out)-s.sent >= flushFrom {
			v = unsent
			break
		}
		if c.batch.full() {
			v = later
			break
		}
		q := l.ahead.next(c)
		if q.n == 0 {
			v = more
			break
		}
		if q.n < 0 {
			v = aside
			break
		}
		args := q.args
		if v = l.verdict(c, q.cmd, q.err, args); v != now {
			break
		}
		if direct := q.err == nil && q.cmd.where == forRead && c.multi == nil && c.batch.len() == 0; direct {
			if !read {
				read, began = true, time.Now().UnixNano()
				c.at, c.found = began/int64(time.Millisecond), &l.found
			}
		} else {
			args = c.r.own(args)
		}
		c.run(q.cmd, args, q.err)
		used += q.n
	}
	if read {
		c.at, c.found = 0, nil
		if cap(l.found) > 4*flushFrom {
			l.found = nil
		}
		l.reads.took(time.Now().UnixNano() - began)
	}
	return used, v
}

func (l *loop) verdict(c *conn, cmd *command, err error, args [][]byte) verdict {
	switch {
	case err != nil || c.multi != nil && !cmd.unqueued:
		return now
	case cmd.where == onConn:
		switch {
		case !cmd.quick:
			return aside
		case c.batch.len() > 0:
			return later
		}
	case cmd.where == forRead:
		if l.reads.short() {
			return aside
		}
		if len(c.batch.busy) > 0 && len(args) > 2 {
			if keys, err := cmd.keysIn(args); err == nil && len(keys) > 1 && c.underWay(keys) {
				return later
			}
		}
	}
	return now
}

// answer gives the client its answers, and reports whether it has taken all.
func (l *loop) answer(s *socket) bool {
	c := s.c
	for s.sent < len(c.out) {
		left := c.out[s.sent:]
		n, errno := writeFd(s.fd, left[:min(len(left), writeStep)])
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			if s.stuck == 0 {
				s.stuck = l.wall
				l.stuck++
			}
			return false
		default:
			c.lost = errno
			return false
		}
		c.s.metrics.out.Add(int64(n))
		s.sent += n
		l.unstick(s)
	}
	if cap(c.out) > 4*flushFrom {
		c.out = nil
	}
	c.out, s.sent = c.out[:0], 0
	return true
}

func (l *loop) unstick(s *socket) {
	if s.stuck != 0 {
		s.stuck = 0
		l.stuck--
	}
}

// sendAway gives a client to a goroutine, with what was read of it.
func (l *loop) sendAway(s *socket, data []byte) {
	c := s.c
	s.rest = append(s.rest[:0], data...)
	read := s.rest
	s.rest = nil
	if s.sent > 0 {
		c.out = append(c.out[:0], c.out[s.sent:]...)
		s.sent = 0
	}
	l.unstick(s)
	s.away, c.loop = true, false
	go func() {
		if s.end = c.settle(); s.end == nil {
			s.end = c.serve(read)
		}
		s.done.Store(true)
		l.push(s)
		l.wake()
	}()
}

// drop closes a client that is the loop's. Nothing of it is under way, or its context
// has ended.
func (l *loop) drop(s *socket, why error) {
	if s.gone {
		return
	}
	s.gone = true
	s.c.batch.discard(s.c.ctx)
	l.unstick(s)
	l.byFd[s.fd] = nil
	s.close()
	l.s.over(s.c, why)
}

// sweepEvery is how often clients are looked at that do nothing; 0: never.
func (l *loop) sweepEvery() time.Duration {
	d := time.Duration(0)
	if idle := l.s.opts.IdleTimeout; idle > 0 {
		d = idle / 8
	}
	if l.stuck > 0 && (d == 0 || l.s.writeTimeout/8 < d) {
		d = l.s.writeTimeout / 8
	}
	if d == 0 {
		return 0
	}
	return min(max(d, 5*time.Millisecond), time.Second)
}

// sweep closes clients that ask nothing or take nothing for too long, and, when the
// server ends, those from which nothing is due.
func (l *loop) sweep() {
	draining, cut := l.s.draining.Load(), l.s.ctx.Err() != nil
	every := l.sweepEvery()
	if !(every > 0 && l.wall-l.swept >= int64(every)) && !(draining && !l.told) && !cut {
		return
	}
	l.swept, l.told, l.cut = l.wall, draining, cut
	for _, s := range l.byFd {
		if s == nil || s.away {
			continue
		}
		c := s.c
		since := c.seen.since.Load()
		quiet := c.batch.len() == 0 && s.sent == len(c.out)
		switch {
		case cut:
			l.drop(s, errShutdown) // its updates' context has ended
		case quiet && draining:
			l.drop(s, errShutdown)
		case s.stuck != 0 && l.wall-s.stuck > int64(l.s.writeTimeout):
			c.lost = errSlow
			l.finish(s)
		case quiet && l.s.opts.IdleTimeout > 0 && since != 0 && l.wall-since > int64(l.s.opts.IdleTimeout):
			l.drop(s, errIdle)
		}
	}
}

var (
	errSlow = errors.New("resp: the client takes no answers")
	errIdle = errors.New("resp: the client asks nothing")
)
