package resp

import (
	"fmt"
	"math"
	"strings"
)

// connCommands are about the connection itself.
func connCommands() []command {
	return []command{
		{name: "ping", arity: -1, quick: true, conn: func(_ *conn, args [][]byte, out *reply) error {
			switch len(args) {
			case 1:
				out.simple("PONG")
			case 2:
				out.bulk(args[1])
			default:
				return redisError("ERR wrong number of arguments for 'ping' command")
			}
			return nil
		}},
		{name: "echo", arity: 2, quick: true, conn: func(_ *conn, args [][]byte, out *reply) error {
			out.bulk(args[1])
			return nil
		}},
		{name: "quit", arity: -1, quick: true, unqueued: true, anybody: true, conn: func(c *conn, _ [][]byte, out *reply) error {
			c.quit = true
			out.ok()
			return nil
		}},
		{name: "reset", arity: 1, quick: true, unqueued: true, anybody: true, conn: reset},
		{name: "hello", arity: -1, unqueued: true, anybody: true, conn: hello},
		{name: "auth", arity: -2, unqueued: true, anybody: true, conn: auth},
		{name: "select", arity: 2, quick: true, blocks: true, conn: selectTenant},
	}
}

func reset(c *conn, _ [][]byte, out *reply) error {
	c.multi, c.watch, c.proto, c.name, c.async = nil, nil, 2, "", false
	c.become(c.s.opts.Users.Default())
	out.simple("RESET")
	return nil
}

// hello switches the protocol, and may authenticate and name the client.
func hello(c *conn, args [][]byte, out *reply) error {
	proto, name := c.proto, c.name
	user := c.user
	if len(args) > 1 {
		n, err := parseInteger(args[1])
		if err != nil {
			return redisError("ERR Protocol version is not an integer or out of range")
		}
		if n != 2 && n != 3 {
			return redisError("NOPROTO unsupported protocol version")
		}
		proto = int(n)
	}
	for i := 2; i < len(args); {
		left := len(args) - i - 1
		switch word := strings.ToUpper(string(args[i])); {
		case word == "AUTH" && left >= 2:
			if user = c.s.opts.Users.find(string(args[i+1]), args[i+2]); user == nil {
				c.s.guard.failed(c.ctx, c.net.RemoteAddr())
				return errWrongPass
			}
			i += 3
		case word == "SETNAME" && left >= 1:
			var err error
			if name, err = clientName(args[i+1]); err != nil {
				return err
			}
			i += 2
		default:
			return redisError(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", args[i]))
		}
	}
	if user == nil {
		return redisError("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
	}
	if user != c.user {
		c.become(user)
	}
	c.setName(name)
	c.proto, out.proto = proto, proto
	out.mapping(7)
	for _, kv := range [][2]string{{"server", "redis"}, {"version", redisVersion}} {
		out.str(kv[0])
		out.str(kv[1])
	}
	out.str("proto")
	out.int(int64(proto))
	out.str("id")
	out.int(int64(c.id))
	for _, kv := range [][2]string{{"mode", "standalone"}, {"role", "master"}} {
		out.str(kv[0])
		out.str(kv[1])
	}
	out.str("modules")
	out.array(0)
	return nil
}

func auth(c *conn, args [][]byte, out *reply) error {
	name, password := defaultUser, args[1]
	switch len(args) {
	case 2:
		if !c.s.opts.Users.needsPassword() {
			return redisError("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
		}
	case 3:
		name, password = string(args[1]), args[2]
	default:
		return errSyntax
	}
	u := c.s.opts.Users.find(name, password)
	if u == nil {
		c.s.opts.Logger.Warn("client gave a wrong name or password", "client", c.id, "addr", c.net.RemoteAddr().String())
		c.s.guard.failed(c.ctx, c.net.RemoteAddr())
		return errWrongPass
	}
	c.become(u)
	out.ok()
	return nil
}

// selectTenant makes SELECT's number a tenant.
func selectTenant(c *conn, args [][]byte, out *reply) error {
	n, err := parseInteger(args[1])
	if err != nil {
		return err
	}
	if n < 0 || n > math.MaxUint32 {
		return redisError("ERR DB index is out of range")
	}
	if !c.user.sees(uint32(n)) {
		return redisError(fmt.Sprintf("NOPERM User %s has no access to tenant %d", c.user.Name, n))
	}
	c.use(uint32(n))
	out.ok()
	return nil
}

func clientName(p []byte) (string, error) {
	for _, ch := range p {
		if ch <= ' ' || ch > '~' {
			return "", redisError("ERR Client names cannot contain spaces, newlines or special characters.")
		}
	}
	return string(p), nil
}
