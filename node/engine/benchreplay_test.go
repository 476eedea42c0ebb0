package engine_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// BenchmarkReplay recovers one million puts: nodedb from its log into four
// vshards, everything durable at the end; Pebble from its own log, by Open.
// Random keys; b.N recoveries of a fresh copy each.
func BenchmarkReplay(b *testing.B) {
	const puts, vshards = 1_000_000, 4
	b.Run("nodedb", func(b *testing.B) {
		dir := b.TempDir()
		writeLog(b, dir, puts, vshards)
		b.ResetTimer()
		start := cpuTime()
		for b.Loop() {
			replayLog(b, dir, b.TempDir(), vshards)
		}
		b.ReportMetric(float64(cpuTime()-start)/float64(b.N)/puts, "cpu-ns/put")
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/puts, "ns/put")
	})
	for _, memtable := range []uint64{4 << 20, 64 << 20} {
		b.Run("pebble/memtable="+wal.LSN(memtable>>20).String()+"MiB", func(b *testing.B) {
			dir := b.TempDir()
			writePebbleLog(b, dir, puts, memtable)
			var took, cpu time.Duration
			for b.Loop() {
				fresh := filepath.Join(b.TempDir(), "db")
				if out, err := exec.Command("cp", "-r", dir, fresh).CombinedOutput(); err != nil {
					b.Fatal(string(out), err)
				}
				start, startCPU := time.Now(), cpuTime()
				db, err := pebble.Open(fresh, pebbleLogOptions(memtable, vfs.Default))
				if err != nil {
					b.Fatal(err)
				}
				took += time.Since(start)
				cpu += cpuTime() - startCPU
				if _, c, err := db.Get(benchKey(nil, puts)); err != nil {
					b.Fatal("the log was not there: ", err)
				} else {
					c.Close()
				}
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu)/float64(b.N)/puts, "cpu-ns/put")
			b.ReportMetric(float64(took)/float64(b.N)/puts, "ns/put")
		})
	}
}

func writeLog(b *testing.B, dir string, puts, vshards int) {
	b.Helper()
	l, err := wal.Open(dir, &wal.Options{NodeID: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Start(1, 1); err != nil {
		b.Fatal(err)
	}
	var batch wal.Batch
	var key []byte
	for i := 1; i <= puts; i++ {
		key = benchKey(key, uint64(i))
		r := putRecord(0, key, benchValue(uint64(i)), vshards)
		if err := batch.Add(r.Type, 0, r.VShard, nil, r.Payload); err != nil {
			b.Fatal(err)
		}
		if batch.Len() == 1000 {
			if _, _, err := l.AppendSync(b.Context(), &batch); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

func replayLog(b *testing.B, dir, into string, vshards int) {
	b.Helper()
	l, err := wal.Open(dir, &wal.Options{NodeID: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	s, err := engine.NewShared(&engine.Options{Engines: []engine.Engine{kv.Engine{}}})
	if err != nil {
		b.Fatal(err)
	}
	vs := benchVShards(b, s, into, vshards)
	f, err := engine.NewFanout(vs)
	if err != nil {
		b.Fatal(err)
	}
	r := l.NewReader(1)
	var last wal.Record
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Add(&rec); err != nil {
			b.Fatal(err)
		}
		last.LSN, last.Time = rec.LSN, rec.Time
	}
	if err := errors.Join(r.Close(), f.Finish(last.LSN, last.Time)); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	key := benchKey(nil, uint64(last.LSN))
	if _, err := kv.Read(vs[kv.VShardOf(key, vshards)], 0, key, 0); err != nil {
		b.Fatal(err)
	}
	for _, v := range vs {
		if err := v.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(s.Close(), l.Close()); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

func pebbleLogOptions(memtable uint64, fs vfs.FS) *pebble.Options {
	return &pebble.Options{FS: fs, MemTableSize: memtable, MemTableStopWritesThreshold: 1000, L0StopWritesThreshold: 1000,
		FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}}
}

// noTables makes flushes wait for ever, so that all data stays in the log.
type noTables struct{ vfs.FS }

func (n noTables) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		runtime.Goexit()
	}
	return n.FS.Create(name, c)
}

// writePebbleLog writes the same puts with Pebble. The database is left open, as
// after a crash.
func writePebbleLog(b *testing.B, dir string, puts int, memtable uint64) {
	b.Helper()
	o := pebbleLogOptions(memtable, noTables{vfs.Default})
	db, err := pebble.Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	var key []byte
	bt := db.NewBatch()
	for i := 1; i <= puts; i++ {
		key = benchKey(key, uint64(i))
		_ = bt.Set(key, benchValue(uint64(i)), nil)
		if bt.Count() == 10 || i == puts {
			o := pebble.NoSync
			if i == puts {
				o = pebble.Sync
			}
			if err := bt.Commit(o); err != nil {
				b.Fatal(err)
			}
			bt.Reset()
		}
	}
	_ = os.Remove(filepath.Join(dir, "LOCK"))
}
