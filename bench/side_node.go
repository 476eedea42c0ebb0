package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// nodeID of every node that this program makes.
const nodeID = "bench"

// nodeSide is a whole node, every put durable. Options: "archive", a directory
// for a file:// store; "hold", when not empty, keeps checkpoints from being
// taken, so that the log holds everything; "plain", when not empty, leaves the
// block cache as small as the node has it; "budget", MiB of memory for recovery
// instead of the node's default.
type nodeSide struct {
	dir     string
	options map[string]string
	node    *node.Node
	db      *node.DB
}

func (s *nodeSide) open(dir string, options map[string]string) error {
	s.dir, s.options = dir, options
	o := &node.Options{NodeID: nodeID}
	if options["plain"] == "" {
		o.CacheBytes = cacheBytes
	}
	if options["hold"] != "" {
		o.CheckpointInterval, o.CheckpointBytes = -1, 1<<50
	}
	if mib, err := strconv.Atoi(options["budget"]); err == nil {
		o.RecoveryBytes = int64(mib) << 20
	}
	if a := options["archive"]; a != "" {
		store, _, err := archive.OpenStore(context.Background(), "file://"+a)
		if err != nil {
			return err
		}
		o.Stores = []archive.StoreConfig{{Store: store}}
	}
	n, err := node.Open(dir, o)
	if err != nil {
		return err
	}
	s.node, s.db = n, n.Tenant(0)
	return nil
}

func (s *nodeSide) close() error { return s.node.Close() }

func (s *nodeSide) put(_ int, key, value []byte) error {
	_, err := s.db.Put(context.Background(), key, value, nil)
	return err
}

func (s *nodeSide) get(_ int, key, want []byte) error {
	v, err := s.db.Get(context.Background(), key)
	if err == nil && v[0] != want[0] {
		err = errors.New("read another value")
	}
	return err
}

func (s *nodeSide) checkpoint() error {
	_, err := s.node.Checkpoint(context.Background())
	return err
}

// load puts without waiting for the disk and ends with a checkpoint.
func (s *nodeSide) load(from, to int) error {
	const clients = 64
	var wg sync.WaitGroup
	errs := make([]error, clients)
	for c := range clients {
		wg.Go(func() {
			var key [keyBytes]byte
			for i := from + c; i < to && errs[c] == nil; i += clients {
				mixKey(key[:], uint64(i))
				errs[c] = s.loadOne(key[:], valueOf(uint64(i)))
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, s.checkpoint())...)
}

// loadOne waits as long as the node refuses for being behind.
func (s *nodeSide) loadOne(key, value []byte) error {
	for {
		_, err := s.db.Put(context.Background(), key, value, &node.WriteOptions{Async: true})
		if !errors.Is(err, node.ErrOverloaded) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// compact brings every vshard's tables into one level, as pebble's side does with
// its tree. A node offers no such thing while it runs, so it is closed for it;
// the stores keep their own settings.
func (s *nodeSide) compact() (err error) {
	if err := s.node.Close(); err != nil {
		return err
	}
	meta, err := engine.ReadMeta(vfs.Default, s.dir)
	if err != nil {
		return err
	}
	shared, err := engine.NewShared(&engine.Options{Engines: []engine.Engine{kv.New(nil)}})
	if err != nil {
		return err
	}
	for id := range uint16(meta.VShards) {
		v, err := engine.OpenVShard(shared, archive.VShardDir(vfs.Default, s.dir, id), id)
		if err != nil {
			return errors.Join(err, shared.Close())
		}
		if err := errors.Join(v.Compact(context.Background()), v.Close()); err != nil {
			return errors.Join(err, shared.Close())
		}
	}
	return errors.Join(shared.Close(), s.open(s.dir, s.options))
}

// warm writes until the log reuses its segments, as it does from the first
// checkpoints on.
func (s *nodeSide) warm() error {
	for range 10 {
		if err := s.load(0, 500_000); err != nil {
			return err
		}
		if s.node.Status().Log.Stats.Recycled > 0 {
			return nil
		}
	}
	return errors.New("no segment was recycled")
}

// archived seals the log and waits until the archive has all of it.
func (s *nodeSide) archived() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	lsn, err := s.node.Seal(ctx)
	if err != nil {
		return err
	}
	return s.node.WaitArchived(ctx, lsn)
}

func (s *nodeSide) logBytes() int64 { return s.node.Status().Log.Bytes }
