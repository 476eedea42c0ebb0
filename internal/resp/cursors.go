package resp

import (
	"bytes"
	"strconv"
	"sync"
)

// cursors remembers where scans are. Redis clients want numbers, and a place
// between keys is none.
type cursors struct {
	mu   sync.Mutex
	last uint64
	at   map[uint64]place
}

type place struct {
	tenant uint32
	cursor string // of a node's scan
}

// cursorsMax are remembered; the oldest is forgotten first.
const cursorsMax = 16 << 10

func (c *cursors) keep(tenant uint32, cursor string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = make(map[uint64]place)
	}
	c.last++
	c.at[c.last] = place{tenant, cursor}
	delete(c.at, c.last-cursorsMax)
	return c.last
}

func (c *cursors) find(n uint64, tenant uint32) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.at[n]
	return p.cursor, ok && p.tenant == tenant
}

// parseCursor reads a cursor as Redis does: nothing is 0, and a sign may stand before
// the digits.
func parseCursor(p []byte) (uint64, error) {
	if i := bytes.IndexByte(p, 0); i >= 0 {
		p = p[:i]
	}
	if len(p) == 0 {
		return 0, nil
	}
	digits, negative := bytes.CutPrefix(p, []byte("-"))
	if !negative {
		digits = bytes.TrimPrefix(p, []byte("+"))
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0, redisError("ERR invalid cursor")
	}
	if negative {
		n = -n
	}
	return n, nil
}
