package engine_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// BenchmarkGet reads random keys of one million, from one goroutine and from
// sixteen. Both sides copy the value: a caller keeps what it got.
func BenchmarkGet(b *testing.B) {
	const keys, vshards = 1_000_000, 4
	vs := benchVShards(b, benchShared(b), b.TempDir(), vshards)
	defer func() {
		for _, v := range vs {
			_ = v.Close()
		}
	}()
	db := plainPebble(b, b.TempDir(), true)
	defer db.Close()
	loadBoth(b, vs, db, keys)
	ours := func(i uint64, key []byte) error {
		key = benchKey(key, 1+i%keys)
		_, err := kv.Read(vs[kv.VShardOf(key, vshards)], 0, key, 1)
		return err
	}
	theirs := func(i uint64, key []byte) error {
		key = benchKey(key, 1+i%keys)
		value, closer, err := db.Get(key)
		if err != nil {
			return err
		}
		kept = append([]byte(nil), value...)
		return closer.Close()
	}
	for _, readers := range []int{1, 16} {
		for _, side := range []struct {
			name string
			get  func(uint64, []byte) error
		}{{"nodedb", ours}, {"pebble", theirs}, {"pebble2", theirs}, {"nodedb2", ours}} {
			b.Run(fmt.Sprintf("%s/readers=%d", side.name, readers), func(b *testing.B) {
				start := cpuTime()
				if readers == 1 {
					key, i := make([]byte, 0, benchKeyLen), uint64(0)
					for b.Loop() {
						i += 7919
						if err := side.get(i, key); err != nil {
							b.Fatal(err)
						}
					}
				} else {
					b.SetParallelism(readers / 2)
					b.RunParallel(func(pb *testing.PB) {
						key, i := make([]byte, 0, benchKeyLen), uint64(0)
						for pb.Next() {
							i += 7919
							if err := side.get(i, key); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				report(b, start)
			})
		}
	}
}

var kept []byte

func loadBoth(b *testing.B, vs []*engine.VShard, db *pebble.DB, keys uint64) {
	b.Helper()
	var replays []*engine.Replay
	for _, v := range vs {
		r, err := v.NewReplay(nil)
		if err != nil {
			b.Fatal(err)
		}
		replays = append(replays, r)
	}
	var key []byte
	bt := db.NewBatch()
	for i := uint64(1); i <= keys; i++ {
		key = benchKey(key, i)
		r := putRecord(wal.LSN(i), key, benchValue(i), len(vs))
		if err := replays[r.VShard].Apply(&r); err != nil {
			b.Fatal(err)
		}
		_ = bt.Set(key, benchValue(i), nil)
		if bt.Count() == 128 {
			_ = bt.Commit(pebble.NoSync)
			bt.Reset()
		}
	}
	_ = bt.Commit(pebble.NoSync)
	_ = db.Flush()
	_ = db.Compact(b.Context(), []byte{0}, []byte{0xff, 0xff}, true)
	for i, r := range replays {
		if err := r.Finish(wal.LSN(keys), 1); err != nil {
			b.Fatal(err)
		}
		if err := vs[i].Compact(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func putRecord(lsn wal.LSN, key, value []byte, vshards int) wal.Record {
	payload := kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: key, Value: value})
	return wal.Record{LSN: lsn, Time: int64(lsn), Type: kv.TypePut, VShard: kv.VShardOf(key, vshards), Payload: payload}
}
