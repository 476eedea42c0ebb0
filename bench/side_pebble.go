package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// cacheBytes is the block cache that every engine gets.
const cacheBytes = 512 << 20

// silent drops what engines log.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// pebbleSide is pebble with its own WAL, every Set synced. Options: "memtable",
// MiB of a memtable, 4 by default, as pebble has it; "hold", when not empty,
// keeps memtables from being flushed, so that the WAL holds everything.
type pebbleSide struct {
	db       *pebble.DB
	recycled atomic.Int64 // WAL files in a row that reuse an old one
}

func (s *pebbleSide) open(dir string, options map[string]string) error {
	o := &pebble.Options{
		Cache:                       pebble.NewCache(cacheBytes),
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		FormatMajorVersion:          pebble.FormatNewest,
		L0StopWritesThreshold:       1000,
		Logger:                      silent{},
		MemTableStopWritesThreshold: 4,
		EventListener: &pebble.EventListener{WALCreated: func(i pebble.WALCreateInfo) {
			if i.RecycledFileNum == 0 {
				s.recycled.Store(0)
			} else {
				s.recycled.Add(1)
			}
		}},
	}
	if options["hold"] != "" {
		o.MemTableStopWritesThreshold = 1 << 20
		o.EventListener.TableCreated = func(pebble.TableCreateInfo) { select {} }
	}
	if mib, err := strconv.Atoi(options["memtable"]); err == nil {
		o.MemTableSize = uint64(mib) << 20
	}
	o.EnsureDefaults()
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, o)
	s.db = db
	return err
}

func (s *pebbleSide) close() error { return s.db.Close() }

func (s *pebbleSide) put(_ int, key, value []byte) error {
	return s.db.Set(key, value, pebble.Sync)
}

func (s *pebbleSide) get(_ int, key, want []byte) error {
	v, closer, err := s.db.Get(key)
	if err != nil {
		return err
	}
	if v[0] != want[0] {
		return errors.New("read another value")
	}
	return closer.Close()
}

func (s *pebbleSide) load(from, to int) error {
	var key [keyBytes]byte
	for from < to {
		b := s.db.NewBatch()
		for range min(1000, to-from) {
			mixKey(key[:], uint64(from))
			if err := b.Set(key[:], valueOf(uint64(from)), nil); err != nil {
				return err
			}
			from++
		}
		if err := errors.Join(b.Commit(pebble.NoSync), b.Close()); err != nil {
			return err
		}
	}
	return s.db.Flush()
}

// compact brings the tree into its best shape for reads.
func (s *pebbleSide) compact() error {
	return s.db.Compact(context.Background(), []byte{0}, bytes.Repeat([]byte{0xff}, keyBytes+1), true)
}

// warm writes until the last six WAL files were recycled ones: more than pebble
// keeps at once with four memtables.
func (s *pebbleSide) warm() error {
	return writeUntil(s, func() bool { return s.recycled.Load() >= 6 })
}

// writeUntil lets 64 clients overwrite keys until done.
func writeUntil(s putter, done func() bool) error {
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for c := range errs {
		wg.Go(func() {
			var key [keyBytes]byte
			rng := rand.New(rand.NewPCG(7, uint64(c)))
			for errs[c] == nil && !done() {
				mixKey(key[:], rng.Uint64N(1_000_000))
				errs[c] = s.put(c, key[:], valueOf(rng.Uint64()))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pebbleLogSide is pebble's WAL without the rest: LogData goes to the log and
// into no memtable.
type pebbleLogSide struct{ pebbleSide }

func (s *pebbleLogSide) append(_ int, record []byte) error {
	return s.db.LogData(record, pebble.Sync)
}

// rotate starts a new WAL file. LogData alone never does: the file would grow
// past the recycled blocks and every sync would pay for its new size.
func (s *pebbleLogSide) rotate() error {
	if err := s.db.Set([]byte("rotate"), nil, pebble.Sync); err != nil {
		return err
	}
	return s.db.Flush()
}

// warm fills WAL files as long as those of a slice, until all that pebble keeps
// for recycling are of that length.
func (s *pebbleLogSide) warm() error {
	for range 8 {
		if _, err := serve(s, call{Op: "append", Clients: 256, Seconds: 1}); err != nil {
			return err
		}
		if err := s.rotate(); err != nil {
			return err
		}
	}
	if s.recycled.Load() == 0 {
		return errors.New("no WAL was recycled")
	}
	return nil
}
