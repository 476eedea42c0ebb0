package node

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/nodedb-go/nodedb/wal"
)

// rebuild brings a condemned vshard back: its store is opened again from disk,
// and the log's records above what it holds are applied by the same apply. The
// core goes on with its other vshards. Called on the core's thread.
//
// Every record of the vshard was appended by the core before this call, so the
// log's end as of now bounds what is to be replayed.
func (n *Node) rebuild(c *core, s *shard) {
	to := n.log.Appended()
	n.background.Go(func() {
		err := n.replayShard(s, to)
		c.post(func() error {
			if err == nil {
				s.batch = s.v.NewBatch()
			}
			return err
		}, func(err error) { n.rebuilt(s, err) })
	})
}

// rebuilt ends a rebuild; a second failure puts the vshard in quarantine, which
// holds back checkpoints and so the truncation of the log that it needs.
func (n *Node) rebuilt(s *shard, err error) {
	if err != nil {
		s.quarantine(err)
		n.logger.Error("vshard quarantined: it could not be rebuilt", "vshard", s.id, "err", err)
		return
	}
	s.state.Store(shardServing)
	n.logger.Info("vshard rebuilt", "vshard", s.id, "applied", s.v.Applied())
}

func (n *Node) replayShard(s *shard, to wal.LSN) (err error) {
	defer func() {
		if p := recover(); p != nil {
			n.logger.Error("panic while rebuilding a vshard", "vshard", s.id, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: rebuild of vshard %04x panicked: %v", ErrInternal, s.id, p)
		}
	}()
	if err := n.log.Wait(n.ctx, to); err != nil {
		return fmt.Errorf("wait for the log: %w", err)
	}
	if err := s.v.Reopen(); err != nil {
		return fmt.Errorf("reopen vshard %04x: %w", s.id, err)
	}
	r := n.log.NewReader(s.v.Applied() + 1)
	defer func() { _ = r.Close() }()
	b := s.v.NewBatch()
	defer b.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if rec.LSN > to {
			return nil
		}
		if rec.VShard != s.id {
			continue
		}
		// One record a batch: a record that fails must not take others along,
		// and rebuilds are rare.
		if err := b.Apply(&rec); err != nil {
			return err
		}
		if err := b.Commit(rec.LSN, rec.Time); err != nil {
			return err
		}
		b.Reset()
	}
}
