package resp

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// transaction is what MULTI gathers.
type transaction struct {
	steps  []step
	bytes  int  // of their arguments
	broken bool // a command was refused: EXEC will be, too
}

type step struct {
	cmd  *command
	args [][]byte
}

// watched is a key with what it was at WATCH.
type watched struct {
	db  *node.DB
	ten uint32
	key []byte
	lsn wal.LSN // that set it; 0: it did not exist
	// Of a key that did not exist: its counter, and what that was.
	created *atomic.Uint64
	count   uint64
}

// stepsMax bounds what a client makes the server keep.
const stepsMax = 64 << 10

func transactionCommands() []command {
	return []command{
		{name: "multi", arity: 1, quick: true, unqueued: true, conn: func(c *conn, _ [][]byte, out *reply) error {
			if c.multi != nil {
				return redisError("ERR MULTI calls can not be nested")
			}
			c.multi = &transaction{}
			out.ok()
			return nil
		}},
		{name: "exec", arity: 1, unqueued: true, conn: exec},
		{name: "discard", arity: 1, quick: true, unqueued: true, conn: func(c *conn, _ [][]byte, out *reply) error {
			if c.multi == nil {
				return redisError("ERR DISCARD without MULTI")
			}
			c.multi, c.watch = nil, nil
			out.ok()
			return nil
		}},
		{name: "watch", arity: -2, unqueued: true, keys: allKeys, need: rightRead, conn: watch},
		{name: "unwatch", arity: 1, quick: true, conn: func(c *conn, _ [][]byte, out *reply) error {
			c.watch = nil
			out.ok()
			return nil
		}},
	}
}

func (t *transaction) queue(cmd *command, args [][]byte, out *reply) error {
	for _, a := range args {
		t.bytes += len(a)
	}
	if len(t.steps) == stepsMax || t.bytes > totalBytesMax {
		t.broken = true
		return redisError("ERR too many commands in one transaction")
	}
	t.steps = append(t.steps, step{cmd, args})
	out.simple("QUEUED")
	return nil
}

func watch(c *conn, args [][]byte, out *reply) error {
	if c.multi != nil {
		return redisError("ERR WATCH inside MULTI is not allowed")
	}
	for _, key := range args[1:] {
		w, err := c.watched(key)
		if err != nil {
			return err
		}
		c.watch = append(c.watch, w)
	}
	out.ok()
	return nil
}

// watched notes what a key is. Of one that is not there nothing would be left if it
// came and went, so what creates keys is counted; what was on its way before the
// count was read is waited for.
func (c *conn) watched(key []byte) (watched, error) {
	w := watched{db: c.db, ten: c.ten, key: key, created: c.s.creations.of(c.ten, key)}
	w.count = w.created.Load()
	e, err := c.db.Lookup(c.ctx, key)
	if errors.Is(err, node.ErrNotFound) {
		if _, err := c.db.Update(c.ctx, key, nil, func(*node.Tx) error { return nil }); err != nil {
			return w, err
		}
		e, err = c.db.Lookup(c.ctx, key)
	}
	if err != nil && !errors.Is(err, node.ErrNotFound) {
		return w, err
	}
	w.lsn = e.LSN
	return w, nil
}

// exec runs a transaction as one update of one vshard: nothing comes in between,
// and it is one record of the log.
func exec(c *conn, _ [][]byte, out *reply) error {
	t, watch := c.multi, c.watch
	if t == nil {
		return redisError("ERR EXEC without MULTI")
	}
	c.multi, c.watch = nil, nil
	if t.broken {
		return errExecAbort
	}
	home, err := t.home(c, watch)
	if err != nil {
		return err
	}
	if home == nil { // no keys: nothing to hold together
		out.array(len(t.steps))
		for _, s := range t.steps {
			t.onConn(c, s, out)
		}
		return nil
	}
	changed := false
	inside := reply{proto: c.proto}
	lsn, err := c.db.Update(c.ctx, home, c.writeOptions(), func(tx *node.Tx) error {
		inside.b, changed = inside.b[:0], false
		for _, w := range watch {
			e, err := tx.Get(w.key)
			if err != nil && !errors.Is(err, node.ErrNotFound) {
				return err
			}
			if changed = w.changed(e, err); changed {
				return nil
			}
		}
		inside.array(len(t.steps))
		for _, s := range t.steps {
			if s.cmd.where == onConn {
				t.onConn(c, s, &inside)
				continue
			}
			s.run(&counted{tx, &c.s.creations, c.ten}, &inside)
			if len(inside.b) > replyMax {
				return redisError("ERR the answers of the transaction are larger than 256 MiB")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.last = max(c.last, lsn)
	if changed {
		out.nullArray()
		return nil
	}
	out.b = append(out.b, inside.b...)
	return nil
}

// abort ends a transaction because of an EXEC that cannot be.
func (c *conn) abort(why error) error {
	c.multi, c.watch = nil, nil
	return redisError("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(why.Error(), "ERR "))
}

// changed tells whether a key is not what it was. An entry without an LSN is so new
// that it is not applied.
func (w *watched) changed(e node.Entry, err error) bool {
	if err != nil {
		return w.lsn != 0 || w.created.Load() != w.count
	}
	return e.LSN == 0 || e.LSN != w.lsn
}

// run is one command of a transaction: its error is its answer, and it leaves
// nothing behind.
func (s step) run(tx *counted, out *reply) {
	at, changes := len(out.b), tx.Len()
	r := call{args: s.args, v: tx, now: tx.Now().UnixMilli(), out: out}
	err := s.cmd.checkPairs(s.args)
	if err == nil {
		err = s.cmd.run(&r)
	}
	switch {
	case err != nil:
		tx.Rewind(changes)
		out.b = out.b[:at]
		out.fail(err)
	case s.cmd.merge == mergeSum:
		out.int(r.sum)
	case s.cmd.merge == mergeOK:
		out.ok()
	}
}

// onConn runs a command without keys.
func (*transaction) onConn(c *conn, s step, out *reply) {
	at := len(out.b)
	if s.cmd.where != onConn { // its keys could not be found
		_, err := s.cmd.keysIn(s.args)
		out.fail(err)
		return
	}
	if err := s.cmd.conn(c, s.args, out); err != nil {
		out.b = out.b[:at]
		out.fail(err)
	}
}

// home is a key of the vshard in which all keys must be; nil: there are none.
func (t *transaction) home(c *conn, watch []watched) ([]byte, error) {
	var all [][]byte
	for _, w := range watch {
		if w.ten != c.ten {
			return nil, redisError("ERR the watched keys are in another database")
		}
		all = append(all, w.key)
	}
	for _, s := range t.steps {
		if s.cmd.where == onConn {
			if s.cmd.need&rightAdmin != 0 || s.cmd.blocks {
				return nil, redisError("ERR '" + s.cmd.name + "' is not allowed in a transaction")
			}
			continue
		}
		keys, err := s.cmd.keysIn(s.args)
		if err != nil {
			continue // it fails for this reason when its turn comes
		}
		all = append(all, keys...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	for _, k := range all[1:] {
		if c.db.VShard(k) != c.db.VShard(all[0]) {
			return nil, errCrossSlot
		}
	}
	return all[0], nil
}
