package node

import (
	"fmt"

	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

// apply brings the pending flights into the stores, one batch a vshard, and
// answers their requests. It may be entered again after a panic: records that
// a store has already are skipped by it.
func (c *core) apply() {
	for _, s := range c.touched {
		s.touched = false // a panic left it behind
	}
	c.touched = c.touched[:0]
	for _, f := range c.pending {
		for _, c.record = range f.batch.All() {
			c.applyRecord(&c.record)
		}
	}
	c.record = wal.Record{}
	last := c.pending[len(c.pending)-1]
	for _, s := range c.touched {
		c.commit(s, last.wait, last.time)
	}
	now := c.node.moment()
	for _, f := range c.pending {
		c.count(f, now)
		c.answer(f)
		c.queue.put(f)
	}
	clear(c.pending)
	c.pending = c.pending[:0]
}

func (c *core) applyRecord(rec *wal.Record) {
	s := c.node.shards[rec.VShard]
	if s.state.Load() != shardServing {
		return
	}
	if !s.touched {
		s.touched = true
		s.batch.Reset()
		c.touched = append(c.touched, s)
	}
	c.applying = s
	err := s.batch.Apply(rec)
	c.applying = nil
	if err != nil {
		c.condemn(s, err)
	}
}

// commit writes the batch of one vshard; from here its records are visible.
func (c *core) commit(s *shard, last wal.LSN, micros int64) {
	s.touched = false
	if s.state.Load() != shardServing {
		return
	}
	c.applying = s
	err := s.batch.Commit(last, micros)
	c.applying = nil
	if err != nil {
		c.condemn(s, err)
	}
}

// answer tells the requests of an applied flight their results.
func (c *core) answer(f *flight) {
	for i := range f.ops {
		op := &f.ops[i]
		if op.req == nil {
			continue
		}
		if s := op.req.shard; s.state.Load() != shardServing {
			c.settle(op, s.failure())
			continue
		}
		if op.record >= 0 {
			op.req.lsn = f.batch.Record(int(op.record)).LSN
		}
		c.settle(op, nil)
	}
	c.forgetStaged(f.idems)
}

// condemn takes a vshard out of service and begins to rebuild it.
func (c *core) condemn(s *shard, cause error) {
	s.touched = false
	if p, ok := cause.(*tpc.PanicError); ok { //nolint:errorlint // made by this core's own loop, never wrapped
		cause = fmt.Errorf("vshard %04x: %w; durable in the log, applied when it is rebuilt", s.id, p)
	}
	if !s.condemn(cause) {
		return
	}
	c.node.logger.Error("vshard out of service, rebuilding from disk and log", "vshard", s.id, "cause", cause)
	c.node.rebuild(c, s)
}
