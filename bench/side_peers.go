package main

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"go.etcd.io/bbolt"
)

// goleveldbSide is goleveldb with Sync at every Put; it merges writers.
type goleveldbSide struct{ db *leveldb.DB }

func (s *goleveldbSide) open(dir string, _ map[string]string) error {
	db, err := leveldb.OpenFile(dir, &opt.Options{
		BlockCacheCapacity: cacheBytes,
		Filter:             filter.NewBloomFilter(10),
		WriteBuffer:        16 << 20,
	})
	s.db = db
	return err
}

func (s *goleveldbSide) close() error { return s.db.Close() }

func (s *goleveldbSide) put(_ int, key, value []byte) error {
	return s.db.Put(key, value, &opt.WriteOptions{Sync: true})
}

// badgerSide is badger with an msync of its log at every transaction.
type badgerSide struct{ db *badger.DB }

func (s *badgerSide) open(dir string, _ map[string]string) error {
	db, err := badger.Open(badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithBlockCacheSize(cacheBytes).
		WithLogger(nil))
	s.db = db
	return err
}

func (s *badgerSide) close() error { return s.db.Close() }

// put copies: badger keeps the slices after the transaction.
func (s *badgerSide) put(_ int, key, value []byte) error {
	k, v := append([]byte(nil), key...), append([]byte(nil), value...)
	return s.db.Update(func(tx *badger.Txn) error { return tx.Set(k, v) })
}

// bboltSide is bbolt: Update with one client, Batch with more.
type bboltSide struct{ db *bbolt.DB }

var bucketName = []byte("b")

func (s *bboltSide) open(dir string, _ map[string]string) error {
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	db.MaxBatchDelay = time.Millisecond
	s.db = db
	return db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName)
		return err
	})
}

func (s *bboltSide) close() error { return s.db.Close() }

func (s *bboltSide) put(_ int, key, value []byte) error {
	return s.db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucketName).Put(key, value) })
}

// raftWALSide appends to hashicorp's raft-wal. Its indexes must be dense, so
// clients take turns.
type raftWALSide struct {
	log *raftwal.WAL
	mu  struct {
		sync.Mutex
		last uint64
	}
}

func (s *raftWALSide) open(dir string, _ map[string]string) error {
	log, err := raftwal.Open(dir)
	s.log = log
	return err
}

func (s *raftWALSide) close() error { return s.log.Close() }

func (s *raftWALSide) append(_ int, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.last++
	return s.log.StoreLog(&raft.Log{Index: s.mu.last, Term: 1, Data: record})
}

// rotate drops what was appended, so that a long run does not fill the disk.
func (s *raftWALSide) rotate() error {
	first, err := s.log.FirstIndex()
	if err != nil || s.mu.last < first+2 {
		return err
	}
	return errors.Join(s.log.DeleteRange(first, s.mu.last-1))
}
