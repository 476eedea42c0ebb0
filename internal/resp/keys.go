package resp

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/nodedb-go/nodedb/node"
)

func keyCommands() []command {
	exists := func(c *call) error {
		for _, k := range c.args[1:] {
			it, err := load(c.v, k)
			if err != nil {
				return err
			}
			if it.exists {
				c.sum++
			}
		}
		return nil
	}
	return []command{
		{name: "del", arity: -2, where: forWrite, keys: allKeys, merge: mergeSum, run: del},
		{name: "unlink", arity: -2, where: forWrite, keys: allKeys, merge: mergeSum, run: del},
		{name: "exists", arity: -2, where: forRead, keys: allKeys, merge: mergeSum, run: exists},
		{name: "touch", arity: -2, where: forRead, keys: allKeys, merge: mergeSum, run: exists},
		{name: "type", arity: 2, where: forRead, keys: oneKey, run: func(c *call) error {
			it, err := load(c.v, c.args[1])
			if !it.exists {
				c.out.simple("none")
				return err
			}
			c.out.simple(it.kind.String())
			return err
		}},
		{name: "rename", arity: 3, where: forWrite, keys: twoKeys, run: func(c *call) error {
			c.out.ok()
			_, err := rename(c, false)
			return err
		}},
		{name: "renamenx", arity: 3, where: forWrite, keys: twoKeys, run: func(c *call) error {
			done, err := rename(c, true)
			c.out.bool(done)
			return err
		}},
		{name: "copy", arity: -3, where: forWrite, keys: twoKeys, run: copyKey},
		{name: "keys", arity: 2, need: rightRead, blocks: true, conn: keysLike},
		{name: "scan", arity: -2, need: rightRead, blocks: true, conn: scan},
		{name: "randomkey", arity: 1, need: rightRead, blocks: true, conn: randomKey},
		{name: "dbsize", arity: 1, need: rightRead, blocks: true, conn: dbSize},
		{name: "flushdb", arity: -1, need: rightWrite | rightAdmin, blocks: true, conn: func(c *conn, args [][]byte, out *reply) error {
			if err := flushMode(args); err != nil {
				return err
			}
			out.ok()
			return c.flushTenant(c.db)
		}},
		{name: "flushall", arity: -1, need: rightWrite | rightAdmin, blocks: true, conn: flushAll},
	}
}

func del(c *call) error {
	for i, k := range c.args[1:] {
		it, err := load(c.v, k)
		if err != nil {
			return err
		}
		if !it.exists {
			continue
		}
		if err := c.v.Delete(c.args[1+i]); err != nil {
			return err
		}
		c.sum++
	}
	return nil
}

func rename(c *call, unlessThere bool) (bool, error) {
	e, err := c.v.Get(c.args[1])
	if errors.Is(err, node.ErrNotFound) {
		return false, errNoKey
	}
	if err != nil {
		return false, err
	}
	same := string(c.args[1]) == string(c.args[2])
	if unlessThere {
		if it, err := load(c.v, c.args[2]); err != nil || it.exists {
			return false, err
		}
	}
	if same {
		return true, nil
	}
	if err := c.v.PutMillis(c.args[2], e.Value, e.ExpireAt); err != nil {
		return false, err
	}
	return true, c.v.Delete(c.args[1])
}

func copyKey(c *call) error {
	replace := false
	for i := 3; i < len(c.args); i++ {
		switch strings.ToUpper(string(c.args[i])) {
		case "REPLACE":
			replace = true
		case "DB":
			return redisError("ERR COPY between tenants is not there; GET and SET")
		default:
			return errSyntax
		}
	}
	if string(c.args[1]) == string(c.args[2]) {
		return redisError("ERR source and destination objects are the same")
	}
	e, err := c.v.Get(c.args[1])
	if err != nil && !errors.Is(err, node.ErrNotFound) {
		return err
	}
	to, terr := load(c.v, c.args[2])
	if terr != nil {
		return terr
	}
	done := err == nil && (replace || !to.exists)
	c.out.bool(done)
	if !done {
		return nil
	}
	return c.v.PutMillis(c.args[2], e.Value, e.ExpireAt)
}

// each calls fn for all keys of a tenant, in order, until it says no.
func each(ctx context.Context, db *node.DB, o node.ScanOptions, fn func(s *node.Scanner) bool) error {
	s, err := db.Scan(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	for s.Next() {
		if !fn(s) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return s.Err()
}

func keysLike(c *conn, args [][]byte, out *reply) error {
	var found [][]byte
	size := 0
	err := each(c.ctx, c.db, node.ScanOptions{Prefix: literalPrefix(args[1])}, func(s *node.Scanner) bool {
		if match(args[1], s.Key()) {
			found = append(found, append([]byte(nil), s.Key()...))
			size += len(s.Key()) + 16
		}
		return size <= replyMax
	})
	if err == nil && size > replyMax {
		err = redisError("ERR the answer is larger than 256 MiB; use SCAN")
	}
	if err != nil {
		return err
	}
	out.array(len(found))
	for _, k := range found {
		out.bulk(k)
	}
	return nil
}

// scan answers some keys and a cursor, which the server remembers for a while.
func scan(c *conn, args [][]byte, out *reply) error {
	cursor, err := parseCursor(args[1])
	if err != nil {
		return err
	}
	o := scanOptions{count: 10}
	if err := o.parse(args[2:], true); err != nil {
		return err
	}
	from := node.ScanOptions{Prefix: literalPrefix(o.pattern)}
	if cursor != 0 {
		var ok bool
		if from.Cursor, ok = c.s.cursors.find(cursor, c.ten); !ok {
			return redisError("ERR the cursor is not known any more; begin again with 0")
		}
	}
	var found [][]byte
	seen, next := 0, ""
	err = each(c.ctx, c.db, from, func(s *node.Scanner) bool {
		if seen == o.count {
			return false
		}
		seen++
		next = s.Cursor()
		k, _ := split(s.Value())
		if (o.pattern == nil || match(o.pattern, s.Key())) && (o.kind == "" || o.kind == k.String()) {
			found = append(found, append([]byte(nil), s.Key()...))
		}
		return true
	})
	if err != nil {
		return err
	}
	cursor = 0
	if seen == o.count {
		cursor = c.s.cursors.keep(c.ten, next)
	}
	out.array(2)
	out.str(strconv.FormatUint(cursor, 10))
	out.array(len(found))
	for _, k := range found {
		out.bulk(k)
	}
	return nil
}

// scanOptions are those of SCAN and its like.
type scanOptions struct {
	pattern []byte // nil: all
	count   int
	kind    string
}

func (o *scanOptions) parse(args [][]byte, keys bool) error {
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return errSyntax
		}
		switch word := strings.ToUpper(string(args[i])); {
		case word == "MATCH":
			o.pattern = args[i+1]
		case word == "COUNT":
			n, err := parseInteger(args[i+1])
			if err != nil {
				return err
			}
			if n < 1 {
				return errSyntax
			}
			o.count = int(min(n, 100_000))
		case word == "TYPE" && keys:
			o.kind = strings.ToLower(string(args[i+1]))
		default:
			return errSyntax
		}
	}
	return nil
}

func dbSize(c *conn, _ [][]byte, out *reply) error {
	n := int64(0)
	err := each(c.ctx, c.db, node.ScanOptions{}, func(*node.Scanner) bool { n++; return true })
	out.int(n)
	return err
}

func flushMode(args [][]byte) error {
	if len(args) > 2 {
		return errSyntax
	}
	if len(args) == 2 {
		switch strings.ToUpper(string(args[1])) {
		case "SYNC", "ASYNC":
		default:
			return errSyntax
		}
	}
	return nil
}

func flushAll(c *conn, args [][]byte, out *reply) error {
	if err := flushMode(args); err != nil {
		return err
	}
	tenants, err := c.s.opts.Node.Tenants(c.ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if !c.user.sees(t) {
			continue
		}
		if err := c.flushTenant(c.s.opts.Node.Tenant(t)); err != nil {
			return err
		}
	}
	out.ok()
	return nil
}

// flushTenant deletes the keys that a tenant has now, a record of each vshard at a
// time. What is written meanwhile may stay.
func (c *conn) flushTenant(db *node.DB) error {
	const atOnce = 1000
	batches := make(map[uint16]*node.Batch)
	apply := func(b *node.Batch) error {
		_, err := db.Apply(c.ctx, b, nil)
		b.Reset()
		return err
	}
	var failed error
	err := each(c.ctx, db, node.ScanOptions{}, func(s *node.Scanner) bool {
		v := db.VShard(s.Key())
		if batches[v] == nil {
			batches[v] = new(node.Batch)
		}
		batches[v].Delete(append([]byte(nil), s.Key()...))
		if batches[v].Len() == atOnce {
			failed = apply(batches[v])
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	for _, b := range batches {
		if b.Len() > 0 {
			if err := apply(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// randomKey picks the key before or behind a random place between the first and the
// last. Keys beside a wide gap are picked more often.
func randomKey(c *conn, _ [][]byte, out *reply) error {
	first, err := c.edge(node.ScanOptions{})
	if err != nil {
		return err
	}
	last, err := c.edge(node.ScanOptions{Reverse: true})
	if err != nil {
		return err
	}
	if first == nil || last == nil {
		out.null()
		return nil
	}
	place := node.ScanOptions{From: between(first, last, rand.Uint64N)}
	if rand.IntN(2) == 0 {
		place = node.ScanOptions{To: place.From, Reverse: true}
	}
	key, err := c.edge(place)
	if key == nil {
		key = first // what was there is gone
	}
	out.bulk(key)
	return err
}

// edge is the first key of a scan; nil: there is none.
func (c *conn) edge(o node.ScanOptions) (key []byte, err error) {
	o.Limit = 1
	err = each(c.ctx, c.db, o, func(s *node.Scanner) bool {
		key = append([]byte{}, s.Key()...)
		return false
	})
	return key, err
}

// between is a place from first to last, drawn from the eight bytes behind what both
// begin with. below(n) is a random number below n.
func between(first, last []byte, below func(n uint64) uint64) []byte {
	shared := 0
	for shared < len(first) && shared < len(last) && first[shared] == last[shared] {
		shared++
	}
	var lo, hi [8]byte
	copy(lo[:], first[shared:])
	copy(hi[:], last[shared:])
	from, to := binary.BigEndian.Uint64(lo[:]), binary.BigEndian.Uint64(hi[:])
	if from >= to {
		return first
	}
	return binary.BigEndian.AppendUint64(first[:shared:shared], from+1+below(to-from))
}
