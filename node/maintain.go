package node

import (
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// A sweep remembers which vshard and engine a core's maintenance comes to next.
// Owned by the core.
type sweep struct{ shard, engine int }

// maintain gives one slice to the engine whose turn it is. What an engine wants
// changed is logged like any write, so replay and restore do the same.
func (c *core) maintain(budget time.Duration) bool {
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
	c.sweep.engine++
	if c.sweep.engine%len(engines) != 0 {
		return true
	}
	c.sweep.engine = 0
	c.sweep.shard = (c.sweep.shard + 1) % len(c.shards)
	return c.sweep.shard != 0
}

func (c *core) maintainShard(s *shard, e engine.Engine, budget time.Duration) (more bool, err error) {
	c.undo = c.filling().mark()
	return e.Maintain(&engine.Maintenance{
		VShard: s.v,
		Now:    c.node.opts.Clock(),
		Budget: budget,
		Emit: func(t wal.Type, tenant uint32, payload []byte) error {
			return c.filling().batch.Add(t, tenant, s.id, nil, payload)
		},
	})
}

// filling is the flight that is being filled.
func (c *core) filling() *flight {
	if c.open == nil {
		c.open = c.queue.take()
	}
	return c.open
}
