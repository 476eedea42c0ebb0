package resp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
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

func clientCommand(c *conn, args [][]byte, out *reply) error {
	word := strings.ToUpper(string(args[1]))
	rest := args[2:]
	switch {
	case word == "ID" && len(rest) == 0:
		out.int(int64(c.id))
	case word == "GETNAME" && len(rest) == 0:
		if c.name == "" {
			out.null()
			return nil
		}
		out.str(c.name)
	case word == "SETNAME" && len(rest) == 1:
		name, err := clientName(rest[0])
		if err != nil {
			return err
		}
		c.setName(name)
		out.ok()
	case word == "SETINFO" && len(rest) == 2:
		return c.setInfo(rest, out)
	case word == "ASYNC" && len(rest) == 1:
		return c.setAsync(rest[0], out)
	case word == "INFO" && len(rest) == 0:
		out.str(c.describe() + "\n")
	case word == "LIST" || word == "KILL":
		return c.others(word, rest, out)
	case word == "NO-EVICT" || word == "NO-TOUCH":
		out.ok()
	default:
		return redisError(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. There are ID, GETNAME, SETNAME, SETINFO, INFO, LIST, KILL, ASYNC.", args[1]))
	}
	return nil
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
		all := c.s.clients()
		slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
		var b strings.Builder
		for _, o := range all {
			b.WriteString(o.describe() + "\n")
		}
		out.str(b.String())
		return nil
	}
	if len(rest) != 2 || !strings.EqualFold(string(rest[0]), "ID") {
		return redisError("ERR want CLIENT KILL ID n")
	}
	id, err := strconv.ParseUint(string(rest[1]), 10, 64)
	if err != nil {
		return errNotInteger
	}
	n := int64(0)
	for _, o := range c.s.clients() {
		if o.id == id {
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
