package resp

import (
	"context"
	"errors"
	"time"

	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// Limits of what waits for each other in one batch. Answers of reads can be as large
// as a value each, and nobody knows before the core has run them.
const (
	batchMax      = 1024
	batchReadsMax = 32
	batchBytesMax = 1 << 20 // of arguments and of answers that are there
)

// batch is what a pipeline has under way: answers in the order of the requests.
type batch struct {
	waiting []*pending
	busy    map[uint16]bool // vshards with updates under way
	reads   int             // that run as updates
	bytes   int
}

func (b *batch) full() bool {
	return len(b.waiting) >= batchMax || b.reads >= batchReadsMax || b.bytes >= batchBytesMax
}

// pending is one answer. An update that the connection gave up still writes to it,
// so it is used again only when all its updates have ended.
type pending struct {
	proto int
	parts []*part
	merge merge
	done  []byte // the answer, when it has no parts
	one   part   // the only part of most
	list  [1]*part
	span  *trace.Request // mostly nil
}

// part is the share of one vshard in an answer.
type part struct {
	cmd   *command
	call  call
	out   reply
	small [16]byte // backs most answers
	fn    func(*node.Tx) error
	view  counted
	key   []byte
	under node.Updating

	waited bool // lsn and err are known
	lsn    wal.LSN
	err    error
}

func (b *batch) len() int { return len(b.waiting) }

// pend puts one more answer behind those that are waited for.
func (c *conn) pend() *pending {
	var p *pending
	if c.loop {
		p = c.spares.take()
	} else {
		p = new(pending)
	}
	p.proto = c.proto
	c.batch.waiting = append(c.batch.waiting, p)
	return p
}

// spares are answers that were given and may be used again. The clients of a loop
// share them.
type spares struct{ list []*pending }

func (s *spares) take() *pending {
	n := len(s.list) - 1
	if n < 0 {
		return new(pending)
	}
	p := s.list[n]
	s.list = s.list[:n]
	return p
}

// give takes an answer back whose updates have all ended.
func (s *spares) give(p *pending) {
	if len(s.list) < batchMax {
		*p = pending{one: part{fn: p.one.fn}}
		s.list = append(s.list, p)
	}
}

// run is one run of the part on its core; an earlier one may have come to nothing.
func (v *part) run(tx *node.Tx) error {
	v.out.b = v.small[:0]
	v.view.Tx = tx
	v.call = call{args: v.call.args, v: &v.view, now: tx.Now().UnixMilli(), out: &v.out}
	return v.cmd.run(&v.call)
}

// answer makes the answer of a request that waits only for its turn.
func (p *pending) answer(fn func(out *reply) error) {
	out := reply{proto: p.proto}
	if err := fn(&out); err != nil {
		out.b = out.b[:0]
		out.fail(err)
		failed(p.span, err)
	}
	p.done = out.b
}

// keyed runs a command on keys: reads at once where nothing of theirs is under way,
// everything else as updates.
func (c *conn) keyed(cmd *command, args [][]byte) {
	keys, err := cmd.keysIn(args)
	if err == nil {
		err = cmd.checkPairs(args)
	}
	if err == nil && len(keys) == 0 {
		err = errSyntax
	}
	if err != nil {
		c.now(func(*reply) error { return err })
		return
	}
	if cmd.where == forRead && !c.underWay(keys) {
		c.now(func(out *reply) error { return c.read(cmd, args, out) })
		return
	}
	c.update(cmd, args, keys)
}

// read runs a command over what is applied.
func (c *conn) read(cmd *command, args [][]byte, out *reply) error {
	now := c.at
	if now == 0 {
		now = c.s.now()
	}
	if c.found != nil {
		*c.found = (*c.found)[:0]
	}
	c.call = call{args: args, v: reading{c}, now: now, out: out}
	aside := c.sock != nil && !c.loop
	var began time.Time
	if aside {
		began = time.Now()
	}
	err := cmd.run(&c.call)
	if aside {
		c.sock.took(time.Since(began))
	}
	if err == nil && cmd.merge == mergeSum {
		out.int(c.call.sum)
	}
	c.call = call{}
	return err
}

// underWay tells whether a vshard of the keys has updates under way.
func (c *conn) underWay(keys [][]byte) bool {
	if len(c.batch.busy) == 0 {
		return false
	}
	for _, k := range keys {
		if c.batch.busy[c.db.VShard(k)] {
			return true
		}
	}
	return false
}

// update starts the update of a command, or those of its parts.
func (c *conn) update(cmd *command, args, keys [][]byte) {
	var groups [][][]byte // when there are several
	home := c.db.VShard(keys[0])
	for _, k := range keys[1:] {
		if c.db.VShard(k) == home {
			continue
		}
		switch {
		case cmd.merge != mergeNone:
			groups = cmd.apart(c.db, args)
		case cmd.where == forRead: // its keys are under way in several vshards
			if c.settle() == nil {
				c.keyed(cmd, args)
			}
			return
		default:
			c.now(func(*reply) error { return errCrossSlot })
			return
		}
		break
	}
	p := c.pend()
	p.merge = cmd.merge
	p.span, c.span = c.span, nil
	if groups == nil {
		p.parts = p.list[:0]
		c.start(p, &p.one, cmd, args, keys[0])
	}
	for _, g := range groups {
		c.start(p, &part{}, cmd, g, g[cmd.keys.first])
	}
	if cmd.where == forRead {
		c.batch.reads++
	}
	for _, a := range args {
		c.batch.bytes += len(a)
	}
	if c.batch.full() && !c.loop {
		_ = c.settle() // again before the next request, which ends the connection
	}
}

// start starts one update of an answer.
func (c *conn) start(p *pending, v *part, cmd *command, args [][]byte, key []byte) {
	v.cmd, v.key, v.out.proto, v.call.args = cmd, key, p.proto, args
	if v.fn == nil {
		v.fn = v.run
	}
	v.view.creations, v.view.tenant = &c.s.creations, c.ten
	p.parts = append(p.parts, v)
	if c.loop {
		v.under, v.err = c.sock.startUpdate(key, v.fn)
	} else {
		v.under, v.err = c.db.StartUpdate(c.ctx, key, c.writeOptions(), v.fn)
	}
	if v.waited = v.err != nil; v.waited {
		return
	}
	if c.batch.busy == nil {
		c.batch.busy = make(map[uint16]bool)
	}
	c.batch.busy[c.db.VShard(key)] = true
}

func (c *conn) writeOptions() *node.WriteOptions {
	if c.async {
		return &node.WriteOptions{Async: true}
	}
	return nil
}

// settle waits for everything under way and puts the answers where they are sent
// from. Its error ends the connection: the outcome of a write is not known. For a
// loop, which has waited, it stops where answers are to be sent first.
func (c *conn) settle() error {
	if c.batch.len() == 0 {
		return nil
	}
	n, done := c.batch.len(), 0
	var lost error
	for _, p := range c.batch.waiting {
		done++
		err := c.answer(p, n == 1)
		failed(p.span, err)
		p.span.End(n)
		lost = errors.Join(lost, err)
		if lost == nil && len(c.out) >= flushFrom {
			lost = c.flush()
		}
		if c.loop && lost == nil {
			c.spares.give(p)
		}
		if lost != nil {
			c.out = c.out[:0] // nobody takes it
		} else if c.loop && len(c.out) >= flushFrom {
			break
		}
	}
	rest := copy(c.batch.waiting, c.batch.waiting[done:])
	clear(c.batch.waiting[rest:])
	if c.batch.waiting = c.batch.waiting[:rest]; rest == 0 {
		clear(c.batch.busy)
		c.batch.reads, c.batch.bytes = 0, 0
	}
	if c.lost == nil {
		c.lost = lost
	}
	return lost
}

// answer waits for the parts of one answer.
func (c *conn) answer(p *pending, alone bool) error {
	if p.parts == nil {
		c.out = append(c.out, p.done...)
		return nil
	}
	out := reply{b: c.out, proto: p.proto}
	var sum int64
	var broken error
	for _, v := range p.parts {
		lsn, err := c.await(v, alone)
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		c.last = max(c.last, lsn)
		sum += v.call.sum
		if broken == nil {
			broken = err
		}
	}
	switch {
	case broken != nil:
		c.s.metrics.errors.Add(1)
		out.fail(broken)
		failed(p.span, broken)
	case p.merge == mergeSum:
		out.int(sum)
	case p.merge == mergeOK:
		out.ok()
	default:
		out.b = append(out.b, p.parts[0].out.b...)
	}
	c.out = out.b
	return nil
}

// await waits for one part. Where nothing came behind it, a vshard whose tables are
// behind is waited for, too.
func (c *conn) await(v *part, alone bool) (wal.LSN, error) {
	if v.wait(c.ctx); alone && errors.Is(v.err, node.ErrStalled) {
		return c.db.Update(c.ctx, v.key, c.writeOptions(), v.fn)
	}
	return v.lsn, v.err
}

// wait notes what became of the part.
func (v *part) wait(ctx context.Context) {
	if !v.waited {
		v.waited = true
		v.lsn, v.err = v.under.Wait(ctx)
	}
}

// discard gives up the answers that nobody takes. Each update must be waited for.
func (b *batch) discard(ctx context.Context) {
	for _, p := range b.waiting {
		for _, v := range p.parts {
			v.wait(ctx)
		}
		p.span.End(len(b.waiting))
	}
	b.waiting = nil
}

// stalled tells, once its updates have ended, whether the only answer under way
// waits for tables that are behind.
func (b *batch) stalled(ctx context.Context) bool {
	if len(b.waiting) != 1 {
		return false
	}
	for _, v := range b.waiting[0].parts {
		if v.wait(ctx); errors.Is(v.err, node.ErrStalled) {
			return true
		}
	}
	return false
}

// reading is the view of a read: what is applied.
type reading struct{ c *conn }

// Get implements view. The value is valid until the next read that is run.
func (r reading) Get(key []byte) (node.Entry, error) {
	c := r.c
	if c.found == nil {
		return c.db.Lookup(c.ctx, key)
	}
	dst := *c.found
	if len(dst) > flushFrom {
		dst = nil // those who have values of it keep it
	}
	e, err := c.db.AppendLookup(c.ctx, dst, key)
	*c.found = e.Value
	e.Value = e.Value[len(dst):]
	return e, err
}

func (reading) PutMillis([]byte, []byte, int64) error { panic("resp: a read writes") }

func (reading) Delete([]byte) error { panic("resp: a read writes") }

func (s *Server) now() int64 { return time.Now().UnixMilli() }
