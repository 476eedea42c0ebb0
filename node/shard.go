package node

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nodedb-go/nodedb/node/engine"
)

// States of a vshard.
const (
	shardServing uint32 = iota
	shardRebuilding
	shardQuarantined
)

// A shard is a vshard with its place in the node.
type shard struct {
	// Immutable after Open.
	id   uint16
	core *core
	v    *engine.VShard

	// Owned by the core.
	batch   *engine.Batch
	touched bool

	// Readable anywhere. Serving → rebuilding by the core; back, or on to
	// quarantined, by the rebuild, through the core.
	state atomic.Uint32
	// outages counts the times that the vshard was condemned: what was read while
	// it changed may be a store that is not whole.
	outages atomic.Uint32

	cause struct {
		sync.Mutex
		err error
	}
}

// read gives access to the store; the Ref must be released.
func (s *shard) read() (engine.Ref, error) {
	ref, err := s.v.Acquire()
	if err != nil {
		return engine.Ref{}, s.failure()
	}
	return ref, nil
}

// failure is why the vshard does not serve.
func (s *shard) failure() error {
	switch s.state.Load() {
	case shardRebuilding:
		return fmt.Errorf("%w: vshard %04x; retry: %w", ErrRebuilding, s.id, s.reason())
	case shardQuarantined:
		return fmt.Errorf("%w: vshard %04x; reopen the node, or restore it from the archive: %w", ErrQuarantined, s.id, s.reason())
	}
	return ErrClosed
}

func (s *shard) reason() error {
	s.cause.Lock()
	defer s.cause.Unlock()
	return s.cause.err
}

// intact reads the store with fn, and again if the vshard was condemned
// meanwhile. A vshard that does not serve gives its failure.
func (s *shard) intact(fn func() error) error {
	for {
		before := s.outages.Load()
		if s.state.Load() != shardServing {
			return s.failure()
		}
		err := fn()
		if s.outages.Load() == before {
			return err
		}
	}
}

// condemn takes the vshard out of service; false: it was out already. Only its
// core calls it.
func (s *shard) condemn(cause error) bool {
	if s.state.Load() != shardServing {
		return false
	}
	s.outages.Add(1)
	s.state.Store(shardRebuilding)
	s.cause.Lock()
	defer s.cause.Unlock()
	s.cause.err = cause
	return true
}

func (s *shard) quarantine(cause error) {
	s.cause.Lock()
	s.cause.err = cause
	s.cause.Unlock()
	s.state.Store(shardQuarantined)
}
