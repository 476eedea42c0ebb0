package resp

import "sync"

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
