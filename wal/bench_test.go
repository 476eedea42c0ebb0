package wal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

const benchPayload = 150 // bytes

// BenchmarkAppend is the raw append: each waiter appends one record and waits
// until it is durable. BenchmarkAppendPebble is the same through pebble's log.
func BenchmarkAppend(b *testing.B) {
	for _, waiters := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) {
			l, err := Open(b.TempDir(), &Options{SegmentAge: -1})
			if err != nil {
				b.Fatal(err)
			}
			if err := l.Start(1, 1); err != nil {
				b.Fatal(err)
			}
			warm(b, l)
			payload := make([]byte, benchPayload)
			before := l.Stats()
			b.ResetTimer()
			spread(b, waiters, func(int) func() error {
				var batch Batch
				return func() error {
					batch.Reset()
					if err := batch.Add(64|RequiredBit, 1, 2, nil, payload); err != nil {
						return err
					}
					_, _, err := l.AppendSync(context.Background(), &batch)
					return err
				}
			})
			b.StopTimer()
			s := l.Stats()
			b.ReportMetric(float64(s.Syncs-before.Syncs)/float64(b.N), "fsync/op")
			b.ReportMetric(float64(s.Bytes-before.Bytes)/float64(s.Groups-before.Groups), "B/group")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// warm writes until segments have grown to their full size and are recycled, as
// in a log that has been running for a while.
func warm(b *testing.B, l *Log) {
	payload := make([]byte, 1<<20)
	for l.Stats().Recycled < 3 {
		var batch Batch
		for range 4 {
			if err := batch.Add(64, 1, 2, nil, payload); err != nil {
				b.Fatal(err)
			}
		}
		if _, _, err := l.AppendSync(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
		if s := l.Segments(); len(s) > 2 {
			if _, err := l.Truncate(s[0].Last); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// spread does b.N operations with as many goroutines as there are waiters.
func spread(b *testing.B, waiters int, worker func(int) func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for w := range waiters {
		wg.Go(func() {
			do := worker(w)
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkAppendPebble is the baseline: pebble's LogData, synced, with its log
// files recycled.
func BenchmarkAppendPebble(b *testing.B) {
	for _, waiters := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{})
			if err != nil {
				b.Fatal(err)
			}
			key, value := []byte("warm"), make([]byte, 1<<20)
			for range 160 {
				if err := db.Set(key, value, pebble.NoSync); err != nil {
					b.Fatal(err)
				}
			}
			payload := make([]byte, benchPayload)
			b.ResetTimer()
			spread(b, waiters, func(int) func() error {
				return func() error { return db.LogData(payload, pebble.Sync) }
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
