package tpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Runtime is a fixed set of running cores.
type Runtime struct {
	opts  *Options // immutable
	cores []*Core  // immutable

	// spinning counts the cores that spin at this moment. It stays below procs,
	// GOMAXPROCS as it was lately, so that spinning never holds the last P.
	spinning atomic.Int32
	procs    atomic.Int32

	closeOnce sync.Once
}

// stopGrace is how long Close waits, after its context ended, for cores that are
// not stuck to fail what they hold and exit.
const stopGrace = time.Second

// New starts the cores and returns when all drivers have started. When one fails
// the others are stopped again.
func New(opts *Options) (*Runtime, error) {
	o := opts.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	cpus := []int{-1}
	if o.Pin {
		allowed, err := allowedCPUs()
		if err != nil {
			return nil, err
		}
		cpus = allowed
	}
	r := &Runtime{opts: o}
	r.lookAround()
	for id := range o.Cores {
		c, err := newCore(r, id, cpus[id%len(cpus)])
		if err != nil {
			for _, made := range r.cores {
				made.park.close()
			}
			return nil, err
		}
		r.cores = append(r.cores, c)
	}
	if err := r.start(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Runtime) start() error {
	for _, c := range r.cores {
		go c.launch()
	}
	var errs []error
	for _, c := range r.cores {
		<-c.started
		if c.startErr != nil {
			errs = append(errs, fmt.Errorf("start core %d: %w", c.id, c.startErr))
		}
	}
	if len(errs) > 0 {
		errs = append(errs, r.Close(context.Background()))
	}
	return errors.Join(errs...)
}

// Cores returns the number of cores.
func (r *Runtime) Cores() int { return len(r.cores) }

// Core returns core i, 0 <= i < Cores().
func (r *Runtime) Core(i int) *Core { return r.cores[i] }

// Metrics returns a snapshot for every core.
func (r *Runtime) Metrics() []CoreMetrics {
	all := make([]CoreMetrics, len(r.cores))
	for i, c := range r.cores {
		all[i] = c.Metrics()
	}
	return all
}

// Close shuts the gate (Submit returns ErrClosed from now on), lets every core
// run what it had accepted and wait for what its driver has pending, stops the
// drivers and returns when all threads have left the loop. When ctx ends first,
// what still waits is answered with ErrClosed and no more is waited for; the
// error names the cores that were stuck in a task all the same. It may be called
// again, and by several goroutines.
func (r *Runtime) Close(ctx context.Context) error {
	r.closeOnce.Do(func() {
		for _, c := range r.cores {
			c.inbox.close()
			c.raiseStop(stopDrain)
		}
	})
	if r.join(ctx.Done()) == nil {
		return nil
	}
	for _, c := range r.cores {
		c.raiseStop(stopNow)
	}
	grace, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if stuck := r.join(grace.Done()); stuck != nil {
		return fmt.Errorf("close runtime: cores %v are stuck in a task: %w", stuck, ctx.Err())
	}
	return fmt.Errorf("close runtime: waiting work was refused: %w", ctx.Err())
}

// join waits for all cores or for stop, and returns the ids of those that run on.
func (r *Runtime) join(stop <-chan struct{}) (stuck []int) {
	for _, c := range r.cores {
		select {
		case <-c.done:
			continue
		default:
		}
		select {
		case <-c.done:
		case <-stop:
			stuck = append(stuck, c.id)
		}
	}
	return stuck
}

// mayStartSpinning takes one of the places for spinning cores, if one is free.
func (r *Runtime) mayStartSpinning() bool {
	if r.spinning.Add(1) < r.procs.Load() {
		return true
	}
	r.spinning.Add(-1)
	return false
}

func (r *Runtime) stopSpinning() { r.spinning.Add(-1) }

// lookAround notices a change of GOMAXPROCS. Asking takes a lock of the
// scheduler, so it is done by cores that have nothing else to do.
func (r *Runtime) lookAround() { r.procs.Store(int32(runtime.GOMAXPROCS(0))) }
