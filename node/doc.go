// Package node is the embedded database: one directory, one write-ahead log,
// a thread per core, and an archive that holds what left the disk.
//
//	n, err := node.Open("/var/lib/app", nil)
//	db := n.Tenant(0)
//	lsn, err := db.Put(ctx, []byte("k"), []byte("v"), nil) // durable when it returns
//	v, err := db.Get(ctx, []byte("k"))
//
// # Life of a write
//
//	client ── hash of the key ─▶ vshard ─▶ home core's inbox (bounded)
//	core   ── evaluates, encodes, appends up to 256 requests ─▶ log (LSNs)
//	log    ── one write, one fdatasync for all cores' records ─▶ durable LSN
//	core   ── woken once, applies its records in LSN order, one Pebble batch
//	          a vshard with the applied LSN in it, answers every waiter
//
// So nothing is acknowledged before it is durable, and nothing is visible
// before it is durable. A request with [WriteOptions.Async] is acknowledged
// when it is in the log's buffer; it still becomes visible only once durable.
//
// # Life of a read
//
// Reads run on the caller's goroutine against the vshard's store: no hop, no
// queue. They see applied state, which holds every write that was acknowledged
// before the read began.
//
// # Ownership
//
// A vshard belongs to exactly one core (vshard modulo cores) for the life of
// an open node. Only that core appends its records and applies them, so the
// order of its LSNs is the order of its changes. Everything that a core stages
// lives in its driver and is touched from its thread only; what other
// goroutines may read is atomic.
//
// # Watermarks
//
//	checkpointed ≤ applied ≤ durable ≤ appended      archived ≤ durable
//
// The log is truncated up to the minimum of what every vshard has flushed,
// what every required archive store holds verified, and the oldest pin.
package node
