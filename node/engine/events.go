package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// storeLogger turns what Pebble prints into slog records.
type storeLogger struct {
	v *VShard
	s *store
}

// Infof is part of pebble.Logger.
func (l *storeLogger) Infof(format string, args ...any) {
	l.v.log.Debug(fmt.Sprintf(format, args...))
}

// Errorf is part of pebble.Logger.
func (l *storeLogger) Errorf(format string, args ...any) {
	l.v.log.Error(fmt.Sprintf(format, args...))
}

// Fatalf is part of pebble.Logger. Pebble expects the process to end; instead the
// store stops changing anything, see fence, and the caller goes on to return the
// error that it has.
func (l *storeLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.v.log.Error("store stopped", "err", err)
	l.s.fence.breakWith(err)
	l.s.flushFailed(err)
}

// listener follows flushes and compactions. Pebble calls it with its mutex held:
// nothing here may call the store, and only a stopped store may be held up.
func (v *VShard) listener(s *store) *pebble.EventListener {
	var flushErr error // of the flush that just ended; flushes are serial
	return &pebble.EventListener{
		FlushEnd: func(i pebble.FlushInfo) {
			flushErr = i.Err
			s.changed.Store(true)
		},
		CompactionEnd: func(i pebble.CompactionInfo) {
			s.changed.Store(true)
			if i.Err == nil {
				s.fence.failures.Store(0)
			}
		},
		TableCreated: func(pebble.TableCreateInfo) { s.changed.Store(true) },
		BackgroundError: func(err error) {
			if errors.Is(err, pebble.ErrCancelledCompaction) {
				return
			}
			s.fence.failures.Add(1)
			v.log.Warn("background work of store failed", "err", err)
			if s.fence.err() != nil {
				// Pebble tries again at once, and may fail without a call of
				// the file system that the fence could hold back.
				s.fence.wait()
			}
			if flushErr != nil && errors.Is(err, flushErr) {
				s.flushFailed(err)
			}
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			v.log.Error("damaged data", "path", i.Path, "err", i.Details)
		},
	}
}

// flushFailed wakes those who wait for a flush.
func (s *store) flushFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushErr = err
	close(s.failed)
	s.failed = make(chan struct{})
}

func (s *store) flushSucceeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushErr = nil
	s.fence.failures.Store(0)
}

// flushFailure returns the channel that closes at the next failed flush, and the
// error of the last flush.
func (s *store) flushFailure() (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed, s.flushErr
}
