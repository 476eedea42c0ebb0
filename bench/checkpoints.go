package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// runCheckpoints is runPuts with one checkpoint after the other. Only puts that
// end while a checkpoint runs, or just after it, count.
func runCheckpoints(s putter, l load, keys uint64) (sample, error) {
	cp, ok := s.(checkpointer)
	if !ok {
		return sample{}, fmt.Errorf("%T has no checkpoints", s)
	}
	var running atomic.Bool
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for n := 0; ; n++ {
			select {
			case <-stop:
				if n == 0 && err == nil {
					err = errors.New("no checkpoint ran")
				}
				done <- err
				return
			case <-time.After(300 * time.Millisecond): // what there is to flush
			}
			running.Store(true)
			if e := cp.checkpoint(); e != nil {
				err = fmt.Errorf("checkpoint %d: %w", n, e)
			}
			running.Store(false)
		}
	}()
	l.counts = running.Load
	sam, err := runPuts(s, l, keys)
	close(stop)
	sam.Flushes = 0 // they belong to puts that do not count as well
	return sam, errors.Join(err, <-done)
}
