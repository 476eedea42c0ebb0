package node

import (
	"context"
	"slices"

	"github.com/nodedb-go/nodedb/tpc"
)

// An Ender is told that an update has ended, on the thread of its core: it must
// neither block nor panic. Updating.Wait then does not wait.
type Ender interface{ UpdateEnded() }

// A Starter starts the updates of one goroutine that serves many clients and must
// not wait for any of them. What it starts is held back until Send, so that each
// core is woken once for all, and wake is called once a core has told the ends of
// what became durable together. It belongs to that goroutine.
type Starter struct {
	wake  func()
	held  []heldTasks // by core
	began int64       // when the first of what is held was started; 0: nothing is
}

type heldTasks struct {
	core  *core
	tasks []tpc.Task
}

// NewStarter returns a Starter. wake must not block and may be called by any core.
func (n *Node) NewStarter(wake func()) *Starter {
	s := &Starter{wake: wake, held: make([]heldTasks, len(n.cores))}
	for i, c := range n.cores {
		s.held[i].core = c
	}
	return s
}

// StartUpdate is [DB.StartUpdate] that sends nothing before Send; db is a tenant of
// the Starter's node. end is told when Wait would not wait any more, also when ctx
// has ended since.
func (s *Starter) StartUpdate(ctx context.Context, db *DB, key []byte, o *WriteOptions, fn func(*Tx) error, end Ender) (Updating, error) {
	r, err := db.updateRequest(key, o, fn)
	if err != nil {
		return Updating{}, err
	}
	r.endWith(ctx)
	if !db.node.calls.enter() {
		r.free()
		return Updating{}, ErrClosed
	}
	if s.began == 0 {
		s.began = db.node.moment()
	}
	r.starter, r.end, r.began = s, end, s.began
	h := &s.held[r.core.id]
	h.tasks = append(h.tasks, r)
	return Updating{r}, nil
}

// Send hands over what was started since the last Send. What a core does not take
// ends with the reason, before Send returns and without wake.
func (s *Starter) Send() {
	s.began = 0
	for i := range s.held {
		h := &s.held[i]
		if len(h.tasks) == 0 {
			continue
		}
		n, err := h.core.tpc.SubmitAll(h.tasks)
		for _, t := range h.tasks[n:] {
			t.(*request).finish(h.core.node.submitError(err))
		}
		clear(h.tasks)
		h.tasks = h.tasks[:0]
	}
}

// tell notes whose goroutine is to be woken before the core does anything else.
func (c *core) tell(s *Starter) {
	if s != nil && !slices.Contains(c.told, s) {
		c.told = append(c.told, s)
	}
}

func (c *core) wakeTold() {
	for _, s := range c.told {
		s.wake()
	}
	clear(c.told)
	c.told = c.told[:0]
}
