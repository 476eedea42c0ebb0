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
	err := &fatalError{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err.cause = cause
		}
	}
	l.v.log.Error("store stopped", "err", err)
	l.s.fence.breakWith(err)
}

// fatalError is what Pebble wanted to end the process for.
type fatalError struct {
	text  string
	cause error // nil when Pebble gave none
}

func (e *fatalError) Error() string { return e.text }

// Unwrap lets a full disk be told from a broken one.
func (e *fatalError) Unwrap() error { return e.cause }

// listener follows compactions. Pebble calls it with its mutex held:
// nothing here may call the store, and only a stopped store may be held up.
func (v *VShard) listener(s *store) *pebble.EventListener {
	return &pebble.EventListener{
		CompactionEnd: func(i pebble.CompactionInfo) {
			s.changed.Store(true)
			if i.Err == nil {
				s.fence.failures.Store(0)
			}
		},
		TableIngested: func(pebble.TableIngestInfo) { s.changed.Store(true) },
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
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			v.log.Error("damaged data", "path", i.Path, "err", i.Details)
		},
	}
}
