package node

import (
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// A sweep remembers which vshard and engine a core's maintenance comes to next,
// and the last record that it had logged. Owned by the core.
type sweep struct {
	shard, engine int
	wait          wal.LSN
}

// maintain gives one slice to the engine whose turn it is. What an engine wants
// changed is logged like any write, so replay and restore do the same.
func (c *core) maintain(budget time.Duration) bool {
	if c.queue.len() > 0 && c.queue.items[0].wait <= c.sweep.wait || len(c.pending) > 0 {
		return true // what the last slice proposed is still on its way
	}
	engines := c.node.shared.Engines()
	s := c.shards[c.sweep.shard%len(c.shards)]
	if s.state.Load() == shardServing && c.node.admit() == nil && s.v.Admit() == nil {
		more, err := c.maintainShard(s, engines[c.sweep.engine%len(engines)], budget)
		if err != nil {
			c.node.logger.Warn("maintenance", "vshard", s.id, "err", err)
		}
		if more && err == nil {
			return true
		}
	}
	return c.sweep.next(len(engines), len(c.shards))
}

// next moves on and reports whether the round goes on.
func (w *sweep) next(engines, shards int) bool {
	if w.engine++; w.engine < engines {
		return true
	}
	w.engine = 0
	w.shard++
	if w.shard < shards {
		return true
	}
	w.shard = 0
	return false
}

func (c *core) maintainShard(s *shard, e engine.Engine, budget time.Duration) (more bool, err error) {
	f := c.filling()
	c.undo = f.mark()
	more, err = e.Maintain(&engine.Maintenance{
		VShard: s.v,
		Now:    c.node.opts.Clock(),
		Budget: budget,
		Emit: func(t wal.Type, tenant uint32, payload []byte) error {
			return f.batch.Add(t, tenant, s.id, nil, payload)
		},
	})
	if f.batch.Len() > c.undo.records {
		c.Flush(nil, true)
		c.sweep.wait = c.lastWait
	}
	return more, err
}

// filling is the flight that is being filled.
func (c *core) filling() *flight {
	if c.open == nil {
		c.open = c.queue.take()
	}
	return c.open
}
