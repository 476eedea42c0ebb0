package main

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodedb-go/nodedb/tpc"
)

// coreSide sends empty tasks through one core of the runtime.
type coreSide struct {
	rt   *tpc.Runtime
	task echo
}

// echo is the smallest task: it answers.
type echo struct {
	header tpc.Header
	waiter tpc.Waiter
	err    error
}

func (e *echo) Header() *tpc.Header { return &e.header }
func (e *echo) Run(*tpc.Core)       { e.waiter.Done() }
func (e *echo) Fail(err error)      { e.err = err; e.waiter.Done() }

func (s *coreSide) open(string, map[string]string) error {
	rt, err := tpc.New(&tpc.Options{Cores: 1})
	s.rt = rt
	return err
}

func (s *coreSide) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.rt.Close(ctx)
}

func (s *coreSide) hop(n int) error {
	core, ctx := s.rt.Core(0), context.Background()
	for range n {
		if err := core.Submit(&s.task); err != nil {
			return err
		}
		if err := s.task.waiter.Wait(ctx); err != nil {
			return err
		}
		if s.task.err != nil {
			return s.task.err
		}
	}
	return nil
}

// parkingSide is the loop to beat: a locked thread that parks in poll(2) after
// every drain of its queue, is signalled through an eventfd for every request,
// and answers over a channel.
type parkingSide struct {
	fd    int
	queue chan chan struct{}
	reply chan struct{}
	ended chan struct{}
}

func (s *parkingSide) open(string, map[string]string) error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return err
	}
	*s = parkingSide{fd: fd, queue: make(chan chan struct{}, 1024), reply: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.loop()
	return nil
}

func (s *parkingSide) loop() {
	runtime.LockOSThread()
	defer close(s.ended)
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	var word [8]byte
	for {
		_, _ = unix.Poll(fds, 100) // an error or a time-out: look at the queue
		_, _ = unix.Read(s.fd, word[:])
		for drained := false; !drained; {
			select {
			case reply := <-s.queue:
				if reply == nil {
					return
				}
				reply <- struct{}{}
			default:
				drained = true
			}
		}
	}
}

func (s *parkingSide) send(reply chan struct{}) error {
	s.queue <- reply
	word := [8]byte{1}
	_, err := unix.Write(s.fd, word[:])
	return err
}

func (s *parkingSide) hop(n int) error {
	for range n {
		if err := s.send(s.reply); err != nil {
			return err
		}
		<-s.reply
	}
	return nil
}

func (s *parkingSide) close() error {
	err := s.send(nil)
	<-s.ended
	_ = unix.Close(s.fd)
	return err
}
