package resp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// shared is what others may see of a connection.
type shared struct {
	last  atomic.Pointer[string] // command
	since atomic.Int64           // ns since 1970 when it began to wait; 0: it works
}

func (s *shared) idle()                { s.since.Store(time.Now().UnixNano()) }
func (s *shared) busy()                { s.since.Store(0) }
func (s *shared) command(name *string) { s.last.Store(name) }

// clientArguments are how many each subcommand has, at least and at most; -1: any.
var clientArguments = map[string][2]int{
	"ID": {0, 0}, "GETNAME": {0, 0}, "SETNAME": {1, 1}, "SETINFO": {2, 2}, "ASYNC": {1, 1}, "INFO": {0, 0},
	"LIST": {0, -1}, "KILL": {1, -1}, "NO-EVICT": {1, 1}, "NO-TOUCH": {1, 1},
}

func clientCommand(c *conn, args [][]byte, out *reply) error {
	word := strings.ToUpper(string(args[1]))
	rest := args[2:]
	n, ok := clientArguments[word]
	if !ok {
		return redisError(fmt.Sprintf("ERR unknown subcommand '%s'. There are ID, GETNAME, SETNAME, SETINFO, INFO, LIST, KILL, ASYNC.", args[1]))
	}
	if len(rest) < n[0] || n[1] >= 0 && len(rest) > n[1] {
		return errSubArity("client", word)
	}
	switch word {
	case "ID":
		out.int(int64(c.id))
	case "GETNAME":
		if c.name == "" {
			out.null()
			return nil
		}
		out.str(c.name)
	case "SETNAME":
		name, err := clientName(rest[0])
		if err != nil {
			return err
		}
		c.setName(name)
		out.ok()
	case "SETINFO":
		return c.setInfo(rest, out)
	case "ASYNC":
		return c.setAsync(rest[0], out)
	case "INFO":
		out.text(c.describe() + "\n")
	case "LIST", "KILL":
		return c.others(word, rest, out)
	default: // NO-EVICT, NO-TOUCH
		if on := string(rest[0]); !strings.EqualFold(on, "ON") && !strings.EqualFold(on, "OFF") {
			return errSyntax
		}
		out.ok()
	}
	return nil
}

// errSubArity is errArity of a subcommand.
func errSubArity(command, word string) error {
	return redisError("ERR wrong number of arguments for '" + command + "|" + strings.ToLower(word) + "' command")
}

func (c *conn) setName(name string) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.name = name
}

func (c *conn) setInfo(rest [][]byte, out *reply) error {
	value, err := clientName(rest[1])
	if err != nil {
		return redisError("ERR client info cannot contain spaces, newlines or special characters.")
	}
	switch strings.ToUpper(string(rest[0])) {
	case "LIB-NAME":
		c.lib[0] = value
	case "LIB-VER":
		c.lib[1] = value
	default:
		return redisError(fmt.Sprintf("ERR Unrecognized option '%s'", rest[0]))
	}
	out.ok()
	return nil
}

// setAsync is CLIENT ASYNC ON|OFF: writes are answered before they are durable.
func (c *conn) setAsync(arg []byte, out *reply) error {
	switch strings.ToUpper(string(arg)) {
	case "ON":
		c.async = true
	case "OFF":
		c.async = false
	default:
		return errSyntax
	}
	out.ok()
	return nil
}

// others lists or ends clients; that is for who may administer.
func (c *conn) others(word string, rest [][]byte, out *reply) error {
	if !c.user.has(rightAdmin) {
		return redisError("NOPERM User " + c.user.Name + " has no permissions to run the 'client|" + strings.ToLower(word) + "' command")
	}
	if word == "LIST" {
		if len(rest) > 0 {
			return errSyntax
		}
		all := c.s.clients()
		slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
		var b strings.Builder
		for _, o := range all {
			b.WriteString(o.describe() + "\n")
		}
		out.text(b.String())
		return nil
	}
	if len(rest) != 2 || !strings.EqualFold(string(rest[0]), "ID") {
		return redisError("ERR want CLIENT KILL ID n")
	}
	id, err := parseInteger(rest[1])
	if err != nil || id < 1 {
		return redisError("ERR client-id should be greater than 0")
	}
	n := int64(0)
	for _, o := range c.s.clients() {
		if o.id == uint64(id) {
			n++
			if o == c {
				c.quit = true
				continue
			}
			_ = o.net.Close() // its goroutine finds out
		}
	}
	out.int(n)
	return nil
}

// describe is a line of CLIENT LIST. It may be called by any goroutine.
func (c *conn) describe() string {
	c.s.mu.Lock()
	name := c.name
	c.s.mu.Unlock()
	last, idle := "NULL", time.Duration(0)
	if p := c.seen.last.Load(); p != nil {
		last = *p
	}
	if since := c.seen.since.Load(); since != 0 {
		idle = time.Since(time.Unix(0, since))
	}
	return fmt.Sprintf("id=%d addr=%s name=%s age=%d idle=%d cmd=%s", c.id, c.net.RemoteAddr(), name,
		int(time.Since(c.since).Seconds()), int(idle.Seconds()), last)
}
