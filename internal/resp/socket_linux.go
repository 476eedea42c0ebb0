package resp

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nodedb-go/nodedb/node"
)

// socket is the connection of a client that a loop waits for. It is a [net.Conn] to
// the goroutine that has the client at times.
type socket struct {
	l             *loop
	c             *conn
	fd            int
	local, remote net.Addr

	// In the loop's stack.
	next   *socket
	queued atomic.Bool
	left   atomic.Int32 // updates under way
	done   atomic.Bool  // the goroutine has given the client back
	end    error        // why it is over, from the goroutine

	// The loop's.
	readable, hup, eof bool
	away               bool // a goroutine has the client
	gone               bool
	rest               []byte // read, and not run
	sent               int    // bytes of the answers
	stuck              int64  // ns since 1970 when the client began to take nothing

	// The goroutine's: a signal for each event, and for a deadline that was set.
	ready        chan struct{} // capacity 1
	readBy       atomic.Int64  // ns since 1970; 0: no limit
	writeBy      atomic.Int64
	mu           sync.Mutex // held by whoever uses fd without being its owner
	closed, shut bool
}

// newSocket takes the connection over from the runtime's poller, which would be woken
// by each request, too.
func newSocket(l *loop, c *conn, raw syscall.Conn) (*socket, error) {
	rc, err := raw.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	cerr := rc.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, err
	}
	return &socket{l: l, c: c, fd: fd, ready: make(chan struct{}, 1), local: c.net.LocalAddr(), remote: c.net.RemoteAddr()}, nil
}

// readFd and writeFd are for descriptors that never wait, so the runtime need not know.
// p is not empty.
func readFd(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

func writeFd(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

func (s *socket) startUpdate(key []byte, fn func(*node.Tx) error) (node.Updating, error) {
	c := s.c
	s.left.Add(1)
	u, err := s.l.start.StartUpdate(c.ctx, c.db, key, c.writeOptions(), fn, s)
	if err != nil {
		s.left.Add(-1)
	}
	return u, err
}

// took notes how long a read took on the goroutine.
func (s *socket) took(d time.Duration) { s.l.reads.took(int64(d)) }

// UpdateEnded implements node.Ender.
func (s *socket) UpdateEnded() {
	if s.left.Add(-1) == 0 {
		s.l.push(s)
	}
}

// keep notes what is left of what was read.
func (s *socket) keep(data []byte) {
	if len(data) == 0 {
		s.rest = nil
		return
	}
	s.rest = append(s.rest[:0], data...)
}

func (s *socket) poke() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// await returns when there may be something to do, or with an error when the time is
// up.
func (s *socket) await(by *atomic.Int64) error {
	var late <-chan time.Time
	if at := by.Load(); at != 0 {
		timer := time.NewTimer(time.Until(time.Unix(0, at)))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-s.ready:
		return nil
	case <-late:
		return os.ErrDeadlineExceeded
	}
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if at := s.readBy.Load(); at != 0 && time.Now().UnixNano() >= at {
			return 0, os.ErrDeadlineExceeded
		}
		n, errno := readFd(s.fd, p)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			if err := s.await(&s.readBy); err != nil {
				return 0, err
			}
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, errno := writeFd(s.fd, p[done:])
		switch errno {
		case 0:
			done += n
		case unix.EINTR:
		case unix.EAGAIN:
			if err := s.await(&s.writeBy); err != nil {
				return done, err
			}
		default:
			return done, errno
		}
	}
	return done, nil
}

// Close implements net.Conn: it ends the conversation, which the loop notices. It may
// be called by anybody.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.shut {
		return nil
	}
	s.shut = true
	return unix.Shutdown(s.fd, unix.SHUT_RDWR)
}

// close gives the descriptor back.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = unix.Close(s.fd)
}

// LocalAddr implements net.Conn.
func (s *socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr implements net.Conn.
func (s *socket) RemoteAddr() net.Addr { return s.remote }

// SetDeadline implements net.Conn.
func (s *socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn. It may be called by anybody, and ends a read
// that is under way.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.readBy.Store(nanosOf(t))
	s.poke()
	return nil
}

// SetWriteDeadline implements net.Conn.
func (s *socket) SetWriteDeadline(t time.Time) error {
	s.writeBy.Store(nanosOf(t))
	return nil
}

func nanosOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
