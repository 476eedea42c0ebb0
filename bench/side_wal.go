package main

import (
	"context"
	"errors"
	"sync"

	"github.com/nodedb-go/nodedb/wal"
)

// walSide is the bare log: every client appends a record and waits until it is
// durable.
type walSide struct {
	log     *wal.Log
	batches sync.Pool
}

func (s *walSide) open(dir string, _ map[string]string) error {
	log, err := wal.Open(dir, &wal.Options{SegmentAge: -1})
	if err != nil {
		return err
	}
	s.log, s.batches.New = log, func() any { return new(wal.Batch) }
	return log.Start(1, 1)
}

func (s *walSide) close() error { return s.log.Close() }

func (s *walSide) append(_ int, record []byte) error {
	b := s.batches.Get().(*wal.Batch)
	defer s.batches.Put(b)
	b.Reset()
	if err := b.Add(wal.TypeNoop, 0, wal.VShardNone, nil, record); err != nil {
		return err
	}
	_, _, err := s.log.AppendSync(context.Background(), b)
	return err
}

// rotate drops sealed segments; the log reuses their files.
func (s *walSide) rotate() error {
	_, err := s.log.Truncate(s.log.Durable())
	return err
}

func (s *walSide) warm() error {
	for range 20 {
		if _, err := serve(s, call{Op: "append", Clients: 256, Seconds: 1}); err != nil {
			return err
		}
		if err := s.rotate(); err != nil {
			return err
		}
		if s.log.Stats().Recycled > 1 {
			return nil
		}
	}
	return errors.New("no segment was recycled")
}
