package resp

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// doorCommands give a client what the node's own interface gives a program: values
// byte for byte as they are stored, LSNs, and documents as JSON. The command line
// asks a running node through them, so that it answers as it does with a directory.
func doorCommands() []command {
	return []command{
		{name: "nodedb.get", arity: 2, need: rightRead, conn: doorGet},
		{name: "nodedb.put", arity: -3, need: rightWrite, blocks: true, conn: doorPut},
		{name: "nodedb.del", arity: -2, need: rightWrite, blocks: true, conn: doorDel},
		{name: "nodedb.incr", arity: -3, need: rightWrite, blocks: true, conn: doorIncr},
		{name: "nodedb.scan", arity: -1, need: rightRead, blocks: true, conn: doorScan},
		{name: "nodedb.export", arity: -2, need: rightRead, blocks: true, conn: doorExport},
		{name: "nodedb.status", arity: 1, need: rightAdmin, conn: func(c *conn, _ [][]byte, out *reply) error {
			return out.json(c.s.opts.Node.Status())
		}},
	}
}

// json answers a document.
func (r *reply) json(doc any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	r.bulk(text)
	return nil
}

// wantsJSON tells whether the last argument, at a place, asks for a document.
func wantsJSON(args [][]byte, at int) (bool, error) {
	if len(args) <= at {
		return false, nil
	}
	if len(args) > at+1 || !strings.EqualFold(string(args[at]), "JSON") {
		return false, errSyntax
	}
	return true, nil
}

// doorGet answers value, expiry in ms since 1970 (0: never) and LSN, or nothing.
func doorGet(c *conn, args [][]byte, out *reply) error {
	e, err := c.db.Lookup(c.ctx, args[1])
	if errors.Is(err, node.ErrNotFound) {
		out.nullArray()
		return nil
	}
	if err != nil {
		return err
	}
	out.array(3)
	out.bulk(e.Value)
	out.int(e.ExpireAt)
	out.int(int64(e.LSN))
	return nil
}

// options reads words with one value each.
func options(args [][]byte, take func(word string, value []byte) error) error {
	if len(args)%2 != 0 {
		return errSyntax
	}
	for i := 0; i < len(args); i += 2 {
		if err := take(strings.ToUpper(string(args[i])), args[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// writing reads PXAT ms and IDEM key.
func writing(args [][]byte) (*node.WriteOptions, error) {
	o := &node.WriteOptions{}
	return o, options(args, func(word string, value []byte) error {
		switch word {
		case "PXAT":
			ms, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil || ms <= 0 {
				return errNotInteger
			}
			o.ExpireAt = time.UnixMilli(ms)
		case "IDEM":
			o.IdempotencyKey = value
		default:
			return errSyntax
		}
		return nil
	})
}

// doorPut is PUT key value [NX] [PXAT ms] [IDEM key]: the LSN, or with NX whether
// it was done.
func doorPut(c *conn, args [][]byte, out *reply) error {
	rest := args[3:]
	absent := len(rest) > 0 && strings.EqualFold(string(rest[0]), "NX")
	if absent {
		rest = rest[1:]
	}
	o, err := writing(rest)
	if err != nil {
		return err
	}
	if absent {
		put, err := c.db.PutIfAbsent(c.ctx, args[1], args[2], o)
		c.s.creations.of(c.ten, args[1]).Add(1)
		out.bool(put)
		return err
	}
	lsn, err := c.db.Put(c.ctx, args[1], args[2], o)
	c.s.creations.of(c.ten, args[1]).Add(1)
	c.last = max(c.last, lsn)
	out.int(int64(lsn))
	return err
}

// doorDel answers how many of the keys were there.
func doorDel(c *conn, args [][]byte, out *reply) error {
	n := int64(0)
	for _, k := range args[1:] {
		existed, err := c.db.Delete(c.ctx, k, nil)
		if err != nil {
			return err
		}
		if existed {
			n++
		}
	}
	out.int(n)
	return nil
}

// doorIncr is INCR key delta [PXAT ms] [IDEM key].
func doorIncr(c *conn, args [][]byte, out *reply) error {
	delta, err := strconv.ParseInt(string(args[2]), 10, 64)
	if err != nil {
		return errNotInteger
	}
	o, err := writing(args[3:])
	if err != nil {
		return err
	}
	sum, err := c.db.Increment(c.ctx, args[1], delta, o)
	c.s.creations.of(c.ten, args[1]).Add(1)
	out.int(sum)
	return err
}

// Limits of one page.
const (
	pageKeysMax  = 10_000
	pageBytesMax = 1 << 20 // with the entry that passes it
)

// doorScan is SCAN [PREFIX p] [FROM k] [TO k] [CURSOR c] [COUNT n] [REVERSE 1]
// [VALUES 1]: a page of entries in order, as [cursor, [key, value, expiry, LSN]...].
// The cursor is of the last entry, also at the end; a page without entries is the
// last one.
func doorScan(c *conn, args [][]byte, out *reply) error {
	o, values := node.ScanOptions{}, false
	err := options(args[1:], func(word string, value []byte) (err error) {
		switch word {
		case "CURSOR":
			o.Cursor = string(value)
		case "COUNT":
			if o.Limit, err = strconv.Atoi(string(value)); err != nil || o.Limit < 1 {
				return errNotInteger
			}
		case "REVERSE":
			o.Reverse = true
		case "VALUES":
			values = true
		default:
			return within(&o, word, value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	scan, err := c.db.Scan(c.ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = scan.Close() }() // it only reads
	entries, n := page(scan, values, out.proto)
	if err := scan.Err(); err != nil {
		return err
	}
	out.array(1 + n)
	if n > 0 {
		o.Cursor = scan.Cursor()
	}
	out.str(o.Cursor)
	out.b = append(out.b, entries...)
	return nil
}

// within takes PREFIX, FROM and TO.
func within(o *node.ScanOptions, word string, value []byte) error {
	switch word {
	case "PREFIX":
		o.Prefix = value
	case "FROM":
		o.From = value
	case "TO":
		o.To = value
	default:
		return errSyntax
	}
	return nil
}

// page encodes the next n entries as [key, value, expiry, LSN] each.
func page(scan *node.Scanner, values bool, proto int) (b []byte, n int) {
	p := reply{proto: proto}
	for n < pageKeysMax && len(p.b) < pageBytesMax && scan.Next() {
		value := []byte{}
		if values {
			value = scan.Value()
		}
		p.array(4)
		p.bulk(scan.Key())
		p.bulk(value)
		p.int(scan.ExpireAt())
		p.int(int64(scan.EntryLSN()))
		n++
	}
	return p.b, n
}

// point is the document of a restore point.
type point struct {
	LSN  wal.LSN   `json:"lsn"`
	Time time.Time `json:"time"`
}
