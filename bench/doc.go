// Command bench measures nodedb beside the engines that it should be compared
// with, and prints one table of ratios.
//
// # Protocol
//
// Every side (an engine with one setting) is a process of its own: this program
// starts itself again and talks to the copy in JSON lines over stdin and stdout.
// So GOMAXPROCS, garbage collector and caches of one side never help or hurt the
// other. Both sides of a row are open at the same time, and slices alternate:
// ours, theirs, theirs, ours, ours, … Each pair of neighbours gives a ratio; the
// table shows the median of the ratios with the smallest and the largest. Before
// a slice both sides must have come to rest (below 5% of a CPU for 200 ms, or 10 s
// at most), so compactions of one do not run in the time of the other.
//
// Settings: every side runs with GOMAXPROCS 2 and 4, a short probe picks the
// better one for each kind of load; ours is treated like theirs. A setting that is
// 20% behind the best is not tried a second time, and rows with the same load share
// the choice. Pebble is written to
// until all of its WAL files are recycled ones, because a new file costs it
// almost half of its rate; our log zero-fills and recycles its segments as well.
// The memtable of pebble, 4 or 64 MiB, is a setting that is tried too.
//
// Durability: an operation counts when the engine has promised that it is on
// disk, by fdatasync, fsync or msync; no side runs in a weaker mode. The column
// flush/op is not what an engine says of itself: it is what the block device
// counted (requests for a flush of its cache, /sys/dev/block/…/stat), so a side
// that acknowledges without syncing would show.
//
//	pebble      Set with pebble.Sync; LogData with pebble.Sync for the raw log
//	goleveldb   Put with Sync
//	badger      Update with WithSyncWrites(true): one msync per transaction
//	bbolt       Update with one client, Batch with MaxBatchDelay 1 ms with more
//	raft-wal    StoreLog: one lock, one fsync per call
//
// For point reads both sides are compacted into one level: pebble by Compact, the
// node while it is closed, each vshard with the settings that the node uses.
//
// Keys have 16 bytes, values 128 bytes that compress to about half.
//
// # What the numbers do not say
//
// Closed-loop clients wait for an answer before they ask again. An engine that
// stalls is then asked less often, and the stall counts once for each client
// instead of once for each request that would have come: coordinated omission.
// So p99 is measured a second time with requests that are due at fixed times,
// whether or not the earlier ones were answered, and latency counts from the
// time at which a request was due ("open loop"). The rows about checkpoints are
// open loop for the same reason. A late wake-up of the generator counts as
// latency too, on both sides alike.
//
// Ratios travel from machine to machine better than rates, but not unchanged:
// with a disk that syncs in 10 µs the group commit matters less, with 2 ms more.
package main
