package kv

import "github.com/nodedb-go/nodedb/node/engine"

// Prefetcher is [engine.Prefetcher] for the keys of entries.
type Prefetcher struct {
	p   engine.Prefetcher
	key []byte
}

// Add notes a key that is about to be looked up.
func (p *Prefetcher) Add(v *engine.VShard, tenant uint32, key []byte) {
	p.key = appendEntryKey(p.key[:0], spaceEntry, tenant, key)
	p.p.Add(v, p.key)
}

// Run fetches what is behind the keys that were added, and forgets them.
func (p *Prefetcher) Run() { p.p.Run() }
