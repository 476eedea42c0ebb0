package resp

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/node"
)

// export is a walk over the keys of a tenant at one LSN, which a client takes page by
// page. What is written meanwhile cannot be merged away below it, so there are few,
// and who does not go on loses it.
type export struct {
	s    *Server
	mu   sync.Mutex
	scan *node.Scanner // nil: over
	idle *time.Timer   // gives it up
	late bool          // it did
}

const (
	exportsMax = 8 // at once
	exportIdle = time.Minute
)

// doorExport is EXPORT BEGIN [PREFIX p] [FROM k] [TO k], which answers the LSN; EXPORT
// NEXT, a page of entries as [key, value, expiry, LSN], the last one empty; and EXPORT
// END. A client has one at a time.
func doorExport(c *conn, args [][]byte, out *reply) error {
	switch word := strings.ToUpper(string(args[1])); {
	case word == "BEGIN":
		return c.beginExport(args[2:], out)
	case word == "NEXT" && len(args) == 2:
		if c.export == nil {
			return redisError("ERR there is no export of this connection: begin with NODEDB.EXPORT BEGIN")
		}
		return c.export.next(out)
	case word == "END" && len(args) == 2:
		c.endExport()
		out.ok()
		return nil
	}
	return errSyntax
}

func (c *conn) beginExport(args [][]byte, out *reply) error {
	o := node.ScanOptions{Consistent: true}
	if err := options(args, func(word string, value []byte) error { return within(&o, word, value) }); err != nil {
		return err
	}
	c.endExport()
	if c.s.exports.Add(1) > exportsMax {
		c.s.exports.Add(-1)
		return redisError(fmt.Sprintf("TRYAGAIN %d exports are under way, no more are served at once: wait for one to end", exportsMax))
	}
	scan, err := c.db.Scan(c.ctx, o)
	if err != nil {
		c.s.exports.Add(-1)
		return err
	}
	e := &export{s: c.s, scan: scan}
	e.mu.Lock() // the timer may be early
	e.idle = time.AfterFunc(c.s.exportIdle, func() { e.end(true) })
	e.mu.Unlock()
	c.export = e
	out.int(int64(scan.LSN()))
	return nil
}

func (e *export) next(out *reply) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.scan == nil {
		if e.late {
			return redisError(fmt.Sprintf("ERR the export was given up, as nobody asked for its next page for %s: begin again", e.s.exportIdle))
		}
		return redisError("ERR the export is over")
	}
	e.idle.Reset(e.s.exportIdle)
	entries, n := page(e.scan, true, out.proto)
	if err := e.scan.Err(); err != nil {
		return err
	}
	if n == 0 {
		e.close()
	}
	out.array(n)
	out.b = append(out.b, entries...)
	return nil
}

// end lets go of what the export holds. late: the client has not asked for too long.
func (e *export) end(late bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.scan != nil {
		e.late = late
		e.close()
	}
}

func (e *export) close() {
	e.idle.Stop()
	_ = e.scan.Close() // it only reads
	e.scan = nil
	e.s.exports.Add(-1)
}

// endExport ends the client's export, if it has one: it asked, is another user now,
// or is gone.
func (c *conn) endExport() {
	if c.export != nil {
		c.export.end(false)
		c.export = nil
	}
}
