// Package engine holds what a vshard holds: one Pebble store, and the engines
// that turn records of the WAL into its content.
//
// # Contract
//
//   - The WAL is the only log. What was applied and is not in a table is gone
//     after a crash, and comes back by applying the WAL again.
//   - [Engine.Apply] is the only way by which data changes. The live path,
//     recovery and restore all call it; it depends on nothing but the record and
//     the state before it.
//   - A batch becomes visible together with the LSN of its last record, and a
//     table becomes part of the store together with the LSN that it goes up to. A
//     record whose LSN is not above that LSN is skipped. Applying a log twice
//     therefore gives the same store as applying it once.
//   - Reads run on any goroutine. They see whole batches only.
//   - Nothing that the core calls waits for the disk. Admit says when to stop.
//
// # Where data is
//
//	                    ┌ active front ─ frozen fronts ┐   ┌──── Pebble ────┐
//	Batch ── Commit ──▶ │ log order, found by hash     │──▶│ tables, sorted │
//	                    └ what is visible: a view      ┘   └────────────────┘
//	                        memory                  sort, write, sync, ingest
//
// Pebble runs without its WAL and with its memtable empty: it is the store of
// tables, with compactions, caches and snapshots. A front takes the memtable's
// place, because most of what a put costs is the skip list of the latter. A
// front of 64 MiB is frozen, sorted once, and ingested as one table, which holds
// the applied LSN too. A read looks into the fronts first, youngest to oldest; a
// walk merges them with the tables.
//
// # Keys of a store
//
// The first byte of a key says who owns it:
//
//	0x00        this package
//	    'a'     applied: LSN u64 LE | time of that record i64 LE (µs); in every table
//	    'v'     identity: format u16 LE | vshard u16 LE
//	    's' …   images of engines that keep state in memory (see Stateful)
//	0x10 – 0x1f kv
//	0x20 – 0xff later engines
//
// # Directory of a node
//
//	node.json          who the node is (Meta); written once per change of timeline
//	standby.json       instead of it: whose archive the directory follows (Standby)
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
// The spiller, one goroutine per vshard that has work, turns frozen fronts into
// tables, oldest first. It and the core replace the view, under a mutex; readers
// load it.
package engine
