package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/wal"
)

// StartFlush makes everything applied so far durable. The core calls it between
// batches; the work runs elsewhere and the result arrives on the channel, once:
// nil means that Flushed is at least the LSN that Applied had, or upTo if that is
// higher.
//
// upTo lets a vshard without traffic keep up: the caller promises that no record
// of this vshard at or below upTo is still to be applied. upToTime is its time.
//
// A failed flush is tried again by the store in the background, but this call has
// failed; ask again.
func (v *VShard) StartFlush(upTo wal.LSN, upToTime int64) <-chan error {
	done := make(chan error, 1)
	if err := v.prepareFlush(upTo, upToTime); err != nil {
		done <- err
		return done
	}
	frozen, err := v.freezeStates()
	if err != nil {
		done <- err
		return done
	}
	stripe, ok := v.gate.enter()
	if !ok {
		done <- ErrClosed
		return done
	}
	s := v.store
	v.wg.Add(1)
	go func() {
		defer v.wg.Done()
		// Left before wg.Done: Close shuts the gate first and then waits.
		defer v.gate.leave(stripe)
		done <- v.flush(s, frozen)
	}()
	return done
}

func (v *VShard) prepareFlush(upTo wal.LSN, upToTime int64) error {
	if v.closed.Load() {
		return ErrClosed
	}
	if err := v.storeErr(); err != nil {
		return err
	}
	if upTo <= v.Applied() {
		return nil
	}
	if err := v.store.db.Set(keyApplied, appendApplied(nil, upTo, upToTime), pebble.NoSync); err != nil {
		return fmt.Errorf("write applied lsn: %w", err)
	}
	v.applied.Store(uint64(upTo))
	v.appliedTime.Store(upToTime)
	return v.storeErr()
}

func (v *VShard) flush(s *store, frozen []frozenState) error {
	if err := saveStates(s, frozen); err != nil {
		return err
	}
	failed, _ := s.flushFailure()
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("start flush: %w", err)
	}
	// Crash here: tables may be on disk that no manifest names. The next open
	// removes them, and the WAL is applied from the older flushed LSN.
	select {
	case <-flushed:
		if err := v.storeErr(); err != nil {
			return err
		}
		s.flushSucceeded()
		return nil
	case <-failed:
		_, err := s.flushFailure()
		return v.flushError(err)
	case <-s.fence.closing:
		return ErrClosed
	}
}

func (v *VShard) flushError(err error) error {
	if broken := v.storeErr(); broken != nil {
		return broken
	}
	if err == nil {
		err = errors.New("the store gave no reason")
	}
	return fmt.Errorf("flush vshard %04x: %w", v.id, err)
}

// Flush is StartFlush and the wait for it.
func (v *VShard) Flush() error { return <-v.StartFlush(0, 0) }

// Flushed returns the LSN up to which the vshard needs the WAL no more: the
// applied LSN as it is in synced tables, or that of the oldest image of an
// engine's memory, whichever is lower.
func (v *VShard) Flushed() (wal.LSN, error) {
	ref, err := v.Acquire()
	if err != nil {
		return 0, err
	}
	defer ref.Release()
	if err := v.storeErr(); err != nil {
		return 0, err // what is on disk is not known
	}
	it, err := v.store.db.NewIter(&pebble.IterOptions{
		LowerBound:                []byte{0x00},
		UpperBound:                []byte{0x01},
		OnlyReadGuaranteedDurable: true,
	})
	if err != nil {
		return 0, v.Damage(err)
	}
	lsn, err := v.durableLSN(it)
	if err := errors.Join(err, it.Close()); err != nil {
		return 0, v.Damage(fmt.Errorf("read flushed lsn: %w", err))
	}
	// A version that is visible was installed after its manifest was synced, or
	// after the sync of its directory failed: that shows by now.
	return lsn, v.storeErr()
}

func (v *VShard) durableLSN(it *pebble.Iterator) (wal.LSN, error) {
	var lsn wal.LSN
	if it.SeekGE(keyApplied) && string(it.Key()) == string(keyApplied) {
		value, err := it.ValueAndErr()
		if err != nil {
			return 0, err
		}
		if lsn, _, err = decodeApplied(value); err != nil {
			return 0, err
		}
	}
	for _, s := range v.states {
		image, err := imageAt(it, s.engine.Name())
		if err != nil {
			return 0, err
		}
		lsn = min(lsn, image.lsn)
	}
	return lsn, it.Error()
}
