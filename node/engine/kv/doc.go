// Package kv is the key-value engine: keys and values of bytes, per tenant, with
// expiry, atomic batches and idempotency keys.
//
// # Contract
//
// Records carry effects, not requests: "the value is now 5", not "add 1". Which
// request it was, and what it was answered, is in the record too, so that a
// repeated request with the same idempotency key gets the same answer, even after
// a restart. Expiry is absolute, in milliseconds since the Unix epoch.
//
// An entry whose time has come is hidden from reads by their clock, but it stays
// stored, and stays in the digest, until an Expire record removes it. The state
// is thereby a function of the log alone.
//
// # Payload of records
//
// Little-endian. All start with the same eight bytes:
//
//	 0        1        2           4                8
//	+--------+--------+-----------+----------------+
//	| op u8  |flags u8|result u16 | n u32          |  result bytes follow
//	+--------+--------+-----------+----------------+
//
//	op      what was asked for, never zero; readers keep it and do not judge it
//	flags   bit 0: an expiry i64 follows the result. Other bits: the payload is
//	        from a newer version (ErrNewer)
//	result  length of the outcome that is kept for the idempotency key
//
//	Put       n = length of key    | result | [expiry] | key | value
//	Delete    n = length of key    | result | key
//	Batch     n = mutations        | result | n × mutation
//	            mutation: kind u8 (1 put, 2 delete) | flags u8 (bit 0: expiry) | 0 u16 |
//	                    key u32 | value u32 | [expiry i64] | key | value
//	Expire    n = keys             | result | n × (due i64 | tenant u32 | key u32 | key)
//	IdemPurge n = most to remove   | result | before i64 (µs)
//	Result    n = 0                | result
//
// # Stored keys and values
//
// Integers in keys are big-endian, so that they sort:
//
//	0x10 tenant u32 key                 entry: flags u8 | lsn u64 | [expiry i64] | value
//	0x11 due i64 tenant u32 key         expiry index: empty
//	0x12 tenant u32 idem                outcome: lsn u64 | time i64 | type u16 | op u8 | result
//	0x13 time i64 tenant u32 idem       index of outcomes by age: empty
//
// due is the expiry, rounded up to a second; a key that is written again and
// again with a new expiry leaves one index entry per second at most. An index
// entry may be stale. It is a hint where to look: Expire removes an entry only if
// its stored expiry is not after due.
//
// # Placement
//
// Slot and VShardOf decide which vshard a key belongs to: xxHash64 of the key, or
// of what stands in its first {braces}. Both are frozen.
package kv
