package resp

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

const getAtName = "get at"

// ownCommands are those that Redis has not.
func ownCommands() []command {
	return []command{
		{name: getAtName, arity: 4, need: rightRead, blocks: true, conn: getAt},
		{name: "nodedb.lsn", arity: 1, need: rightRead, conn: func(c *conn, _ [][]byte, out *reply) error {
			w := c.s.opts.Node.Status().Watermarks
			out.mapping(6)
			for _, m := range []struct {
				name string
				lsn  wal.LSN
			}{{"last", c.last}, {"durable", w.Durable}, {"applied", w.Applied}, {"checkpointed", w.Checkpointed},
				{"archived", w.Archived}, {"truncated", w.Truncated}} {
				out.str(m.name)
				out.int(int64(m.lsn))
			}
			return nil
		}},
		{name: "nodedb.checkpoint", arity: -1, need: rightAdmin, blocks: true, conn: checkpointNow},
		{name: "nodedb.backup", arity: 1, need: rightAdmin, blocks: true, conn: backupNow},
		{name: "nodedb.restorepoint", arity: -2, need: rightAdmin, blocks: true, conn: restorePoint},
		{name: "nodedb.digest", arity: -1, need: rightAdmin, blocks: true, conn: digestNow},
	}
}

// getAt is GET key AT lsn-or-time: the key as it was, from the archive.
func getAt(c *conn, args [][]byte, out *reply) error {
	if !strings.EqualFold(string(args[2]), "AT") {
		return redisError("ERR wrong number of arguments for 'get' command")
	}
	if c.s.opts.At == nil {
		return redisError("ERR GET with AT needs an archive: serve with --archive")
	}
	var at time.Time
	lsn, err := strconv.ParseUint(string(args[3]), 10, 64)
	if err != nil || lsn == 0 {
		lsn = 0
		if at, err = time.Parse(time.RFC3339Nano, string(args[3])); err != nil {
			return redisError("ERR AT wants an LSN above 0, or a time like 2026-03-01T09:41:07Z")
		}
	}
	v, err := c.s.opts.At(c.ctx, c.ten, args[1], wal.LSN(lsn), at)
	if errors.Is(err, node.ErrNotFound) {
		out.null()
		return nil
	}
	if err != nil {
		return err
	}
	k, data := split(v)
	if k != kindString {
		return errWrongType
	}
	out.bulk(data)
	return nil
}

func checkpointNow(c *conn, args [][]byte, out *reply) error {
	whole, err := wantsJSON(args, 1)
	if err != nil {
		return err
	}
	r, err := c.s.opts.Node.Checkpoint(c.ctx)
	if err != nil {
		return err
	}
	if whole {
		return out.json(r)
	}
	out.mapping(3)
	for _, m := range []struct {
		name string
		lsn  wal.LSN
	}{{"flushed", r.Flushed}, {"archived", r.Archived}, {"truncated", r.Truncated}} {
		out.str(m.name)
		out.int(int64(m.lsn))
	}
	return nil
}

func restorePoint(c *conn, args [][]byte, out *reply) error {
	whole, err := wantsJSON(args, 2)
	if err != nil {
		return err
	}
	lsn, at, err := c.s.opts.Node.RestorePoint(c.ctx, string(args[1]))
	if err != nil {
		return err
	}
	if whole {
		return out.json(point{lsn, at.UTC()})
	}
	out.int(int64(lsn))
	return nil
}

func digestNow(c *conn, args [][]byte, out *reply) error {
	whole, err := wantsJSON(args, 1)
	if err != nil {
		return err
	}
	d, err := c.s.opts.Node.Digest(c.ctx)
	if err != nil {
		return err
	}
	if whole {
		return out.json(d)
	}
	out.mapping(3)
	out.str("lsn")
	out.int(int64(d.LSN))
	out.str("digest")
	out.str(d.Digest)
	out.str("entries")
	out.int(int64(d.Entries))
	return nil
}
