// Package engine holds what a vshard holds: one Pebble store, and the engines
// that turn records of the WAL into its content.
//
// # Contract
//
//   - The WAL is the only log. Stores run with Pebble's own WAL switched off:
//     what was applied and not flushed is gone after a crash, and comes back by
//     applying the WAL again.
//   - [Engine.Apply] is the only way by which data changes. The live path,
//     recovery and restore all call it; it depends on nothing but the record and
//     the state before it.
//   - Every batch carries the LSN of its last record in the same atomic write as
//     its data. A record whose LSN is not above that LSN is skipped. Applying a
//     log twice therefore gives the same store as applying it once.
//   - Reads run on any goroutine. They see whole batches only.
//
// # Keys of a store
//
// The first byte of a key says who owns it:
//
//	0x00        this package
//	    'a'     applied: LSN u64 LE | time of that record i64 LE (µs)
//	    'v'     identity: format u16 LE | vshard u16 LE
//	    's' …   images of engines that keep state in memory (see Stateful)
//	0x10 – 0x1f kv
//	0x20 – 0xff later engines
//
// # Directory of a node
//
//	node.json          who the node is (Meta); written once per change of timeline
//	LOCK               held while a process has the node open
//	wal/               segments
//	vshard/<4 hex>/    one store each (OpenVShard)
//	archive/           journal of the archiver
//
// A reader of node.json that finds a format above its own stops with
// ErrNewerFormat; a file that is no JSON object of this kind is a *MetaError.
//
// # Who owns what
//
// A VShard belongs to one core. NewBatch, Batch, StartFlush and NewReplay are for
// that core alone (or for recovery, before cores run). Acquire, Snapshot, Files,
// Flushed, Applied and Admit may be called from any goroutine.
//
//	core ──▶ Batch.Apply ──▶ Engine.Apply ──▶ Batch.Set/Delete ──▶ Pebble batch
//	                                                  │
//	recovery ─▶ Replay.Apply ─▶ Engine.Apply ─────────┴─▶ run ─▶ sort ─▶ SST ─▶ ingest
package engine
