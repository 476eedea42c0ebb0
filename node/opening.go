package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// openDir makes sure that the directory is a node's, creates the node if there
// is nothing yet, and takes its lock.
func (n *Node) openDir() error {
	fs := n.opts.FS
	if err := fs.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	_, err := engine.ReadMeta(fs, n.dir)
	fresh := errors.Is(err, engine.ErrNotANode)
	if fresh {
		err = n.checkEmpty()
	}
	if err != nil {
		return err // nothing is put into a directory that is no node's
	}
	if n.lock, err = engine.LockDir(fs, n.dir); err != nil {
		return err
	}
	// Only under the lock does node.json stay as it is read.
	n.meta, err = engine.ReadMeta(fs, n.dir)
	if fresh && errors.Is(err, engine.ErrNotANode) {
		n.meta, err = n.create()
	}
	if err != nil {
		return err
	}
	if err := n.checkMeta(); err != nil {
		return err
	}
	if err := n.makeDirs(); err != nil {
		return err
	}
	return n.openBallast()
}

// makeDirs makes the node's directories, and makes sure that a crash cannot take
// one away with what was synced in it: the log, and which epochs are the node's
// own.
func (n *Node) makeDirs() error {
	fs, made := n.opts.FS, false
	for _, name := range []string{walDir, vshardDir, archiveDir} {
		if _, err := fs.Stat(n.path(name)); err == nil {
			continue
		}
		if err := fs.MkdirAll(n.path(name), 0o755); err != nil {
			return err
		}
		made = true
	}
	if !made {
		return nil
	}
	return errors.Join(durable.SyncDir(fs, n.dir), durable.SyncDir(fs, fs.PathDir(n.dir)))
}

// checkEmpty refuses a directory that holds anything but what an unfinished
// create leaves.
func (n *Node) checkEmpty() error {
	names, err := n.opts.FS.List(n.dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, engine.StandbyFile) {
		return fmt.Errorf("%w: %s follows an archive and cannot be written; pitr-restore promote --dir %s makes a node of it", ErrStandby, n.dir, n.dir)
	}
	for _, name := range names {
		if name != engine.LockFile && name != engine.PIDFile && name != engine.MetaFile+".tmp" {
			return fmt.Errorf("%w: it holds %q but no %s; name an empty directory to create a node", ErrNotANode, name, engine.MetaFile)
		}
	}
	return nil
}

// create makes a new node in an empty directory. node.json is written last of
// all that makes a node; a crash before leaves a directory that holds a lock
// file at most, and the next Open begins anew.
func (n *Node) create() (*engine.Meta, error) {
	fs := n.opts.FS
	meta, err := n.newMeta()
	if err != nil {
		return nil, err
	}
	if err := engine.WriteMeta(fs, n.dir, meta); err != nil {
		return nil, err
	}
	n.logger.Info("created node", "dir", n.dir, "node", meta.NodeID, "vshards", meta.VShards)
	return meta, nil
}

func (n *Node) newMeta() (*engine.Meta, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("draw a node id: %w", err)
	}
	meta := &engine.Meta{
		NodeID: n.opts.NodeID, VShards: n.opts.VShards, Created: n.opts.Clock().UTC(),
		Timeline: 1, FirstLSN: 1, Incarnation: hex.EncodeToString(random[:]),
	}
	if meta.NodeID == "" {
		meta.NodeID = "n" + meta.Incarnation[:12]
	}
	if meta.VShards == 0 {
		meta.VShards = vshardsDefault()
	}
	return meta, nil
}

// checkMeta refuses options that contradict what the node is.
func (n *Node) checkMeta() error {
	if id := n.opts.NodeID; id != "" && id != n.meta.NodeID {
		return fmt.Errorf("node: the directory belongs to node %q, not %q; leave the node id out, or open another directory", n.meta.NodeID, id)
	}
	if v := n.opts.VShards; v != 0 && v != n.meta.VShards {
		return fmt.Errorf("node: the node was created with %d vshards, not %d; their number cannot change, leave it out", n.meta.VShards, v)
	}
	return nil
}

func (n *Node) openShards() error {
	shared, err := newShared(n.opts)
	if err != nil {
		return err
	}
	n.shared = shared
	for id := range n.meta.VShards {
		v, err := engine.OpenVShard(shared, n.path(vshardDir, fmt.Sprintf("%04x", id)), uint16(id))
		if err != nil {
			return fmt.Errorf("open vshard %04x: %w", id, err)
		}
		n.shards = append(n.shards, &shard{id: uint16(id), v: v})
	}
	return nil
}

func newShared(o *Options) (*engine.Shared, error) {
	return engine.NewShared(&engine.Options{
		FS:            o.FS,
		CacheBytes:    o.CacheBytes,
		MemtableBytes: o.MemtableBytes,
		ReplayBytes:   o.RecoveryBytes,
		Logger:        o.Logger,
		Engines:       append([]engine.Engine{kv.New(&kv.Options{IdempotencyTTL: o.IdempotencyTTL})}, o.Engines...),
	})
}

func (n *Node) openLog() error {
	log, err := wal.Open(n.path(walDir), &wal.Options{
		FS: n.opts.FS, Logger: n.logger, Clock: n.opts.Clock,
		NodeID:       n.meta.NodeID,
		FirstLSN:     n.meta.FirstLSN,
		SegmentBytes: n.opts.SegmentBytes,
		SegmentAge:   n.opts.ArchiveTimeout,
		KnownType:    n.shared.Known,
		OnSeal:       n.sealed,
	})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	n.log = log
	return nil
}
