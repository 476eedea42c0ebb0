// Package resp serves a node to Redis clients: RESP2, and RESP3 after HELLO 3.
//
// # Life of a command
//
//	socket ─▶ request ─▶ command table ─▶ read:  where the request was read
//	                                   └▶ write: an update on the key's core
//	replies ◀─ in order of the requests ◀─ settled when the client is waited for
//
// A pipeline is one batch: writes are started one after the other without waiting,
// so that those of one core share a hop and all share a flush, and are settled
// together before the connection would wait for more input. A read whose vshard has
// writes under way in the pipeline goes to the core behind them; any other read is
// answered from what is applied.
//
// # Loops
//
// On Linux a client of TCP or of a Unix socket costs no goroutine while it is quiet: a
// loop for every two processors waits for many clients with epoll. It reads all that
// have spoken, answers reads, sends the updates of all of them to the cores at once,
// and answers those whose updates ended together. What the reads of a pipeline will
// look at is fetched into the processor's caches before the first of them runs. What
// may wait for something else, such as NODEDB.CHECKPOINT, EXEC, KEYS or a request of
// which the rest is to come, is run by a goroutine that has the client for so long. So
// are reads while they are slow, as pipelines of them on tables. Clients of TLS have a
// goroutine each, as everybody has on other systems.
//
// # Values
//
// A string is stored as it is, so that every other door to the node shows the same
// bytes. Hashes, sets, sorted sets and lists are one value each: four bytes that say
// what it is, then the elements. A string that begins with those bytes by chance is
// stored with an escape: the mark of a string. A change writes the whole collection
// again, which suits collections of up to some thousand elements; the value limit of
// 16 MiB is theirs, too.
//
//	0xf5 'n' 'd' │ u8 kind            0 string (escaped)  1 hash  2 set  3 sorted set  4 list
//	             │ u8 version         1; a reader stops at any other
//	             │ uvarint count      1 to 2^20: an emptied collection is deleted
//	             │ count elements
//
//	hash         uvarint bytes, field, uvarint bytes, value    by field, each once
//	set          uvarint bytes, member                         by member, each once
//	sorted set   f64 score, uvarint bytes, member              by score, then member; no NaN
//	list         uvarint bytes, item                           from head to tail
//
// Only a string has no version behind its mark: its bytes follow. Numbers are
// little-endian, a uvarint has its shortest form, and nothing follows the last
// element: a collection has one spelling.
package resp
