package pitr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	benchRecords      = 1 << 20
	benchValueBytes   = 128
	benchSegmentBytes = 32 << 20
	benchVShards      = 4
)

// benchArchive is a log of puts with random keys, sealed into a file store.
func benchArchive(b *testing.B) *archive.Archive {
	store, err := archive.NewFileStore(b.TempDir())
	check(b, err)
	_, err = archive.ClaimEpoch(b.Context(), []archive.StoreConfig{{Store: store}},
		archive.Claim{NodeID: kitNode, Timeline: 1, VShards: benchVShards, Dir: b.TempDir()})
	check(b, err)
	var sealed []wal.Segment
	log, err := wal.Open(b.TempDir(), &wal.Options{NodeID: kitNode, Timeline: 1, Epoch: 1, SegmentBytes: benchSegmentBytes,
		OnSeal: func(s wal.Segment) { sealed = append(sealed, s) }})
	check(b, err)
	app := log.NewAppender(func() {})
	value := make([]byte, benchValueBytes)
	var batch wal.Batch
	var payload []byte
	for i := range uint64(benchRecords) {
		key := binary.BigEndian.AppendUint64([]byte("key-----"), i*0x9E3779B97F4A7C15)
		binary.LittleEndian.PutUint64(value[i%100:], i*0xBF58476D1CE4E5B9) // compresses, but not to nothing
		payload = kv.AppendPut(payload[:0], &kv.Put{Op: kv.OpPut, Key: key, Value: value})
		check(b, batch.Add(kv.TypePut, 1, kv.VShardOf(key, benchVShards), nil, payload))
		if batch.Len() == 256 {
			_, _, err := app.Append(&batch)
			check(b, err)
			batch.Reset()
			if i%(1<<14) == 1<<14-1 {
				check(b, log.Wait(b.Context(), log.Appended()))
			}
		}
	}
	check(b, log.Wait(b.Context(), log.Appended()))
	check(b, log.Close())
	a, err := archive.Open(store, kitNode)
	check(b, err)
	for _, s := range sealed {
		f, err := os.Open(s.Path)
		check(b, err)
		var out bytes.Buffer
		_, err = archive.Seal(&out, io.LimitReader(f, s.Bytes))
		check(b, err)
		check(b, f.Close())
		key := a.Key(archive.SegmentKey{Timeline: 1, First: s.First, Last: s.Last, Epoch: 1, SHA16: archive.Short(s.SHA256)})
		check(b, store.Create(b.Context(), key, bytes.NewReader(out.Bytes()), int64(out.Len())))
	}
	return a
}

// BenchmarkRestore compares a restore (plan, fetch, verify, replay, digest,
// sync, rename) with one goroutine that reads the same objects and applies them:
// in batches, as a node does live, or as sorted runs, as a restore does. Neither
// of the two digests.
func BenchmarkRestore(b *testing.B) {
	a := benchArchive(b)
	perRecord := func(b *testing.B) {
		b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	}
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			plan, err := NewPlan(b.Context(), []*archive.Archive{a}, Target{Latest: true})
			check(b, err)
			dir := b.TempDir() + "/node"
			res, err := Restore(b.Context(), plan, dir, nil)
			check(b, err)
			if res.Entries != benchRecords {
				b.Fatalf("%d entries", res.Entries)
			}
		}
		perRecord(b)
	})
	for _, sorted := range []bool{false, true} {
		b.Run(fmt.Sprintf("one goroutine, sorted runs %v", sorted), func(b *testing.B) {
			for b.Loop() {
				replayAlone(b, a, sorted)
			}
			perRecord(b)
		})
	}
}

// replayAlone is the plain way: one goroutine, one record after the other.
func replayAlone(b *testing.B, a *archive.Archive, sorted bool) {
	shared, err := engine.NewShared(&engine.Options{Engines: []engine.Engine{kv.New(nil)}})
	check(b, err)
	dir := b.TempDir()
	var vshards []*engine.VShard
	var apply []func(*wal.Record) error
	var finish []func(wal.LSN) error
	for id := range uint16(benchVShards) {
		v, err := engine.OpenVShard(shared, archive.VShardDir(vfs.Default, dir, id), id)
		check(b, err)
		vshards = append(vshards, v)
		if sorted {
			r, err := v.NewReplay(nil)
			check(b, err)
			apply = append(apply, r.Apply)
			finish = append(finish, func(l wal.LSN) error { return r.Finish(l, 0) })
			continue
		}
		eb := v.NewBatch()
		apply = append(apply, func(r *wal.Record) error {
			if err := eb.Apply(r); err != nil || eb.Records() < 256 {
				return err
			}
			return eb.Commit(r.LSN, r.Time)
		})
		finish = append(finish, func(l wal.LSN) error {
			if err := eb.Commit(l, 0); err != nil {
				return err
			}
			if err := v.Flush(); err != nil {
				return err
			}
			return eb.Close()
		})
	}
	c, err := a.Catalog(b.Context())
	check(b, err)
	for _, s := range c.Segments {
		body, err := a.OpenSegment(b.Context(), s)
		check(b, err)
		r := wal.NewSegmentReader(body, s.Object.Key)
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			check(b, err)
			if rec.VShard != wal.VShardNone {
				check(b, apply[rec.VShard](&rec))
			}
		}
		check(b, body.Close())
	}
	for i, v := range vshards {
		check(b, finish[i](benchRecords))
		check(b, v.Close())
	}
	check(b, shared.Close())
}
