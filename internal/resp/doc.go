// Package resp serves a node to Redis clients: RESP2, and RESP3 after HELLO 3.
//
// # Life of a command
//
//	socket ─▶ request ─▶ command table ─▶ read:  on the connection's goroutine
//	                                   └▶ write: an update on the key's core
//	replies ◀─ in order of the requests ◀─ settled when the client is waited for
//
// A pipeline is one batch: writes are started one after the other without waiting,
// so that those of one core share a hop and all share a flush, and are settled
// together before the connection would wait for more input. A read whose vshard has
// writes under way in the pipeline goes to the core behind them; any other read is
// answered from what is applied.
//
// # Values
//
// A string is stored as it is, so that every other door to the node shows the same
// bytes. Hashes, sets, sorted sets and lists are one value each: four bytes that say
// what it is, then the items. A string that begins with those bytes by chance is
// stored with an escape. A change writes the whole collection again, which suits
// collections of up to some thousand items; the value limit of 16 MiB is theirs, too.
package resp
