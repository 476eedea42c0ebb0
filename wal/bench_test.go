package wal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
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
			cpu := cpuTime()
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
			reportCPU(b, cpu)
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

// cpuTime is the process's, user and system, in nanoseconds: it tells the cost
// of an append even on a machine that does other things too.
func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func reportCPU(b *testing.B, before int64) {
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

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
			db, err := pebble.Open(b.TempDir(), &pebble.Options{Logger: silent{}})
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
			cpu := cpuTime()
			b.ResetTimer()
			spread(b, waiters, func(int) func() error {
				return func() error { return db.LogData(payload, pebble.Sync) }
			})
			b.StopTimer()
			reportCPU(b, cpu)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRead streams a log that was written in small groups.
func BenchmarkRead(b *testing.B) {
	l, err := Open(b.TempDir(), &Options{SegmentAge: -1})
	if err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, benchPayload)
	const batches, records = 4000, 100
	a := l.NewAppender(nil)
	for range batches {
		var batch Batch
		for range records {
			if err := batch.Add(64, 1, 2, nil, payload); err != nil {
				b.Fatal(err)
			}
		}
		if _, _, err := a.Append(&batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Wait(b.Context(), batches*records); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(batches * records * benchPayload)
	cpu := cpuTime()
	for b.Loop() {
		r := l.NewReader(1)
		n := 0
		for ; ; n++ {
			if _, err := r.Next(); err != nil {
				break
			}
		}
		if n != batches*records {
			b.Fatalf("%d records", n)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	reportCPU(b, cpu)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
