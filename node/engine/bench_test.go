package engine_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// Benchmarks stand beside Pebble doing the same work. cpu-ns/op is the CPU time
// of the whole process, background work included: on a busy machine it is the
// number to look at.

const (
	benchCacheBytes = 512 << 20
	benchKeyLen     = 16
	benchValueLen   = 128
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchKey(dst []byte, i uint64) []byte {
	// A bijection of i, so that keys are all different and in random order.
	i *= 0x9e3779b97f4a7c15
	dst = binary.BigEndian.AppendUint64(dst[:0], i)
	return binary.BigEndian.AppendUint64(dst, i^0x5555555555555555)
}

// benchPool is text of which values are cut: random in parts, so that it
// compresses to half, as ordinary values do.
var benchPool = func() []byte {
	p := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range p {
		if i/16%2 == 0 {
			p[i] = byte(rng.Uint32())
		} else {
			p[i] = "status=ok;count="[i%16]
		}
	}
	return p
}()

func benchValue(i uint64) []byte {
	at := i * 0x9e3779b97f4a7c15 % uint64(len(benchPool)-benchValueLen)
	return benchPool[at : at+benchValueLen]
}

func benchShared(b *testing.B) *engine.Shared {
	b.Helper()
	s, err := engine.NewShared(&engine.Options{CacheBytes: benchCacheBytes, Engines: []engine.Engine{kv.Engine{}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func benchVShards(b *testing.B, s *engine.Shared, dir string, n int) []*engine.VShard {
	b.Helper()
	var vs []*engine.VShard
	for i := range n {
		v, err := engine.OpenVShard(s, fmt.Sprintf("%s/%04x", dir, i), uint16(i))
		if err != nil {
			b.Fatal(err)
		}
		vs = append(vs, v)
	}
	return vs
}

func plainPebble(b *testing.B, dir string, walOff bool) *pebble.DB {
	b.Helper()
	cache := pebble.NewCache(benchCacheBytes)
	defer cache.Unref()
	o := &pebble.Options{
		Cache: cache, DisableWAL: walOff, MemTableSize: 64 << 20, FormatMajorVersion: pebble.FormatNewest,
		L0CompactionThreshold: 2, L0StopWritesThreshold: 1000, LBaseMaxBytes: 64 << 20, MaxOpenFiles: 1024,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		Logger:                     quiet{},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// BenchmarkApply puts b.N keys, in batches of 128 over four vshards.
func BenchmarkApply(b *testing.B) {
	const batch, vshards = 128, 4
	b.Run("nodedb", func(b *testing.B) {
		vs := benchVShards(b, benchShared(b), b.TempDir(), vshards)
		batches := make([]*engine.Batch, vshards)
		for i, v := range vs {
			batches[i] = v.NewBatch()
		}
		var key, payload []byte
		lsn := wal.LSN(0)
		start := cpuTime()
		for b.Loop() {
			lsn++
			key = benchKey(key, uint64(lsn))
			payload = kv.AppendPut(payload[:0], &kv.Put{Op: kv.OpPut, Key: key, Value: benchValue(uint64(lsn))})
			r := wal.Record{LSN: lsn, Time: int64(lsn), Type: kv.TypePut, VShard: kv.VShardOf(key, vshards), Payload: payload}
			bt := batches[r.VShard]
			if err := bt.Apply(&r); err != nil {
				b.Fatal(err)
			}
			if bt.Records() == batch {
				if err := bt.Commit(0, 0); err != nil {
					b.Fatal(err)
				}
				for vs[r.VShard].Admit() != nil {
					runtime.Gosched()
				}
			}
		}
		for i, v := range vs {
			if err := batches[i].Commit(0, 0); err != nil {
				b.Fatal(err)
			}
			if err := v.Flush(); err != nil {
				b.Fatal(err)
			}
			_ = batches[i].Close()
		}
		report(b, start)
		for _, v := range vs {
			st, _ := v.Stats()
			b.Logf("%+v", st)
			_ = v.Close()
		}
	})
	b.Run("pebble", func(b *testing.B) {
		db := plainPebble(b, b.TempDir(), true)
		defer db.Close()
		var key []byte
		n := uint64(0)
		bt := db.NewBatch()
		start := cpuTime()
		for b.Loop() {
			n++
			key = benchKey(key, n)
			_ = bt.Set(key, benchValue(n), nil)
			if bt.Count() == batch {
				_ = bt.Commit(pebble.NoSync)
				bt.Reset()
			}
		}
		_ = bt.Commit(pebble.NoSync)
		_ = db.Flush()
		report(b, start)
	})
}

func report(b *testing.B, start time.Duration) {
	b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op")
}
