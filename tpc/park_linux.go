package tpc

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// parker puts the core's thread to sleep on an eventfd.
type parker struct {
	fd    int
	fds   [1]unix.PollFd
	count uint64
}

func newParker() (*parker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	return &parker{fd: fd, fds: [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}}, nil
}

// sleep returns when unpark was called since the last sleep, or after timeout.
// It reports how many signals it took. The poll goes through the runtime's
// system call protocol, so that the P is free for others meanwhile.
func (p *parker) sleep(timeout time.Duration) (signals uint64) {
	ms := max(1, int((timeout+time.Millisecond-1)/time.Millisecond))
	n, err := unix.Poll(p.fds[:], ms)
	if err != nil || n == 0 {
		return 0 // EINTR counts as a look around that found nothing
	}
	// The counter is not a semaphore: one read takes all signals. It cannot block,
	// so it needs no system call protocol.
	_, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.fd), uintptr(unsafe.Pointer(&p.count)), 8)
	if errno != 0 {
		return 0
	}
	return p.count
}

// unpark ends the current or the next sleep. Any thread may call it. The write
// fails only when the counter is full, and then the signal is there already.
func (p *parker) unpark() {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.fd), uintptr(unsafe.Pointer(&one)), 8)
}

func (p *parker) close() { _ = unix.Close(p.fd) }
