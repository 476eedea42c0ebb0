package resp

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// redisVersion is whose semantics the commands have; clients ask for it.
const redisVersion = "7.2.0"

func serverCommands() []command {
	return []command{
		{name: "time", arity: 1, conn: func(_ *conn, _ [][]byte, out *reply) error {
			now := time.Now()
			out.array(2)
			out.str(strconv.FormatInt(now.Unix(), 10))
			out.str(strconv.Itoa(now.Nanosecond() / 1000))
			return nil
		}},
		{name: "info", arity: -1, conn: info},
		{name: "config", arity: -2, need: rightAdmin, conn: config},
		{name: "command", arity: -1, conn: commandCommand},
		{name: "client", arity: -2, conn: clientCommand},
		{name: "bgsave", arity: -1, need: rightAdmin, blocks: true, conn: func(c *conn, args [][]byte, out *reply) error {
			if len(args) > 2 || len(args) == 2 && !strings.EqualFold(string(args[1]), "SCHEDULE") {
				return errSyntax
			}
			if _, err := c.s.opts.Node.Checkpoint(c.ctx); err != nil {
				return err
			}
			out.simple("Background saving started")
			return nil
		}},
		{name: "save", arity: 1, need: rightAdmin, blocks: true, conn: func(c *conn, _ [][]byte, out *reply) error {
			if _, err := c.s.opts.Node.Checkpoint(c.ctx); err != nil {
				return err
			}
			out.ok()
			return nil
		}},
		{name: "lastsave", arity: 1, conn: func(c *conn, _ [][]byte, out *reply) error {
			at := c.s.opts.Node.Status().Checkpoints.LastTime
			if at.IsZero() {
				at = c.s.began
			}
			out.int(at.Unix())
			return nil
		}},
		{name: "wait", arity: 3, blocks: true, conn: waitStores},
	}
}

func info(c *conn, args [][]byte, out *reply) error {
	all := []string{"server", "clients", "memory", "persistence", "stats", "replication", "archive"}
	known := append(slices.Clone(all), "keyspace") // which counts every key: only when it is asked for
	want := all
	if len(args) > 1 {
		want = nil
		for _, a := range args[1:] {
			switch name := strings.ToLower(string(a)); name {
			case "all", "default", "everything":
				want = all
			default:
				want = append(want, name)
			}
		}
	}
	st := c.s.opts.Node.Status()
	var b strings.Builder
	for _, name := range want {
		if !slices.Contains(known, name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", strings.ToUpper(name[:1])+name[1:])
		for _, kv := range c.section(name, &st) {
			fmt.Fprintf(&b, "%s:%v\r\n", kv.name, kv.value)
		}
	}
	out.text(b.String())
	return nil
}

type fact struct {
	name  string
	value any
}

func (c *conn) section(name string, st *node.Status) []fact {
	s := c.s
	switch name {
	case "server":
		return []fact{{"redis_version", redisVersion}, {"nodedb_version", s.opts.Version}, {"redis_mode", "standalone"},
			{"os", runtime.GOOS + " " + runtime.GOARCH}, {"process_id", os.Getpid()}, {"node_id", st.NodeID},
			{"uptime_in_seconds", int(time.Since(s.began).Seconds())}}
	case "clients":
		return []fact{{"connected_clients", len(s.clients())}, {"maxclients", s.opts.MaxClients}}
	case "memory":
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return []fact{{"used_memory", m.HeapAlloc}, {"used_memory_rss", m.Sys}}
	case "persistence":
		return []fact{{"loading", 0}, {"writable", st.Writable}, {"durable_lsn", uint64(st.Watermarks.Durable)},
			{"checkpointed_lsn", uint64(st.Watermarks.Checkpointed)}, {"wal_segments", st.Log.Segments}, {"wal_bytes", st.Log.Bytes},
			{"checkpoints", st.Checkpoints.Taken}, {"checkpoints_failed", st.Checkpoints.Failed}}
	case "stats":
		m := &s.metrics
		return []fact{{"total_connections_received", m.connections.Load()}, {"rejected_connections", m.refused.Load()},
			{"total_commands_processed", m.commands.Load()}, {"total_error_replies", m.errors.Load()},
			{"total_net_input_bytes", m.in.Load()}, {"total_net_output_bytes", m.out.Load()}}
	case "replication":
		return []fact{{"role", "master"}, {"connected_slaves", 0}}
	case "archive":
		if st.Archive == nil {
			return []fact{{"archive", "none"}}
		}
		return []fact{{"archived_lsn", uint64(st.Watermarks.Archived)}, {"archive_stores", len(st.Archive.Stores)},
			{"archive_waiting_bytes", st.Archive.WaitingBytes}}
	}
	var out []fact
	tenants, err := s.opts.Node.Tenants(c.ctx)
	if err != nil {
		return nil
	}
	for _, t := range tenants {
		if !c.user.sees(t) {
			continue
		}
		keys, expires := 0, 0
		err := each(c.ctx, s.opts.Node.Tenant(t), node.ScanOptions{}, func(sc *node.Scanner) bool {
			keys++
			if sc.ExpireAt() != 0 {
				expires++
			}
			return true
		})
		if err != nil {
			return nil
		}
		out = append(out, fact{fmt.Sprintf("db%d", t), fmt.Sprintf("keys=%d,expires=%d", keys, expires)})
	}
	return out
}

// config answers what clients ask for before they work. Nothing can be set: the
// server's flags do that.
func config(c *conn, args [][]byte, out *reply) error {
	switch word := strings.ToUpper(string(args[1])); {
	case word == "GET" && len(args) > 2:
		known := []fact{{"maxclients", c.s.opts.MaxClients}, {"appendonly", "yes"}, {"appendfsync", "always"}, {"save", ""}, {"databases", "4294967296"},
			{"proto-max-bulk-len", argBytesMax}, {"timeout", int(c.s.opts.IdleTimeout.Seconds())}}
		var found []fact
		for _, f := range known {
			if slices.ContainsFunc(args[2:], func(p []byte) bool { return match([]byte(strings.ToLower(string(p))), []byte(f.name)) }) {
				found = append(found, f)
			}
		}
		out.mapping(len(found))
		for _, f := range found {
			out.str(f.name)
			out.str(fmt.Sprint(f.value))
		}
		return nil
	case word == "RESETSTAT" && len(args) == 2:
		m := &c.s.metrics
		for _, n := range []interface{ Store(int64) }{&m.connections, &m.refused, &m.commands, &m.errors, &m.in, &m.out} {
			n.Store(0)
		}
		out.ok()
		return nil
	case word == "SET" || word == "REWRITE":
		return redisError("ERR CONFIG " + word + " is not there: the flags of nodedb serve configure it")
	case word == "GET" || word == "RESETSTAT":
		return errSubArity("config", word)
	}
	return redisError(fmt.Sprintf("ERR unknown subcommand '%s'. There are GET and RESETSTAT.", args[1]))
}

func commandCommand(c *conn, args [][]byte, out *reply) error {
	names := c.s.commandNames()
	if len(args) > 1 {
		switch word := strings.ToUpper(string(args[1])); word {
		case "COUNT":
			if len(args) > 2 {
				return errSubArity("command", word)
			}
			out.int(int64(len(names)))
			return nil
		case "LIST":
			if len(args) > 2 {
				return errSyntax
			}
			out.array(len(names))
			for _, n := range names {
				out.str(n)
			}
			return nil
		case "DOCS":
			out.mapping(0)
			return nil
		case "INFO":
			if len(args) > 2 {
				names = nil
				for _, a := range args[2:] {
					names = append(names, strings.ToLower(string(a)))
				}
			}
		default:
			return redisError(fmt.Sprintf("ERR unknown subcommand '%s'. There are COUNT, LIST, INFO and DOCS.", args[1]))
		}
	}
	out.array(len(names))
	for _, n := range names {
		cmd := c.s.commands[n]
		if cmd == nil || n == getAtName {
			out.null()
			continue
		}
		flag := "fast"
		switch cmd.where {
		case forRead:
			flag = "readonly"
		case forWrite:
			flag = "write"
		}
		out.array(6)
		out.str(cmd.name)
		out.int(int64(cmd.arity))
		out.set(1)
		out.simple(flag)
		out.int(int64(cmd.keys.first))
		out.int(int64(cmd.keys.last))
		out.int(int64(cmd.keys.step))
	}
	return nil
}

func (s *Server) commandNames() []string {
	var names []string
	for n := range s.commands {
		if n != getAtName {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// waitStores is WAIT: how many of the archive's stores hold everything that the
// client has written. It seals the log, so that they can.
func waitStores(c *conn, args [][]byte, out *reply) error {
	stores, err := parseInteger(args[1])
	if err != nil {
		return err
	}
	timeout, err := parseInteger(args[2])
	if err != nil {
		return redisError("ERR timeout is not an integer or out of range")
	}
	if timeout < 0 {
		return redisError("ERR timeout is negative")
	}
	have := func() int64 {
		st := c.s.opts.Node.Status().Archive
		count := int64(0)
		if st != nil {
			for _, s := range st.Stores {
				if s.Archived >= c.last {
					count++
				}
			}
		}
		return count
	}
	st := c.s.opts.Node.Status().Archive
	if st == nil {
		out.int(0)
		return nil
	}
	if c.last > wal.LSN(0) && have() < stores {
		if _, err := c.s.opts.Node.Seal(c.ctx); err != nil {
			return err
		}
	}
	const look = 5 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(time.Duration(timeout) * time.Millisecond); have() < min(stores, int64(len(st.Stores))) && (timeout == 0 || time.Now().Before(end)); {
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-tick.C:
		}
	}
	out.int(have())
	return nil
}
