package node

import "github.com/nodedb-go/nodedb/node/engine/kv"

// A Prefetcher makes the look-ups of many keys quicker that one goroutine is about to
// do one after the other: what they will read in memory is fetched for all of them at
// once, up to 32 keys of each Run. It reads no file and changes no result.
type Prefetcher struct{ p kv.Prefetcher }

// Add notes a key that is about to be looked up. The key is not kept.
func (p *Prefetcher) Add(db *DB, key []byte) {
	s := db.node.shards[kv.VShardOf(key, len(db.node.shards))]
	if s.state.Load() == shardServing {
		p.p.Add(s.v, db.tenant, key)
	}
}

// Run fetches what is behind the keys that were added, and forgets them.
func (p *Prefetcher) Run() { p.p.Run() }
