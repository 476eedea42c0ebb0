// Package pitr brings a node back to any point of its archived history: a
// plan, a parallel fetch in which every byte is verified, a replay through the
// engines' one apply, a digest, and a rename.
//
// # Contract
//
//   - [NewPlan] has no side effects and decides everything: which history,
//     which LSN, which base, which objects. It works from listings alone.
//   - [Restore] puts a directory in place that is complete, synced and proven,
//     or leaves the target as it was. What is proven: every segment has the
//     SHA-256 of its name and follows the one before it (LSNs, hash chain);
//     every file of the base has the hash in the manifest; the state has the
//     digest that was published for exactly its LSN, if one was.
//   - What a store did not answer is unknown, never absent. With several
//     archives of a node, what one cannot give another may.
//   - Every refusal names what would work: the nearest positions on both sides.
//
// # Targets
//
//	LSN          that record is the last one
//	time         the last record whose time is not after it
//	point        the record that named it
//	latest       the last archived record
//	exclusive    stop just before that record (a time: before records of that time)
//
// # Histories
//
// A timeline inherits its parent's records up to the fork and then writes its
// own, with LSNs above everything that was archived before. The lineage of a
// timeline is therefore a list of LSN ranges with holes between them:
//
//	timeline 1   1 ────────── 50 ┄┄┄┄ 100
//	timeline 2                 └─────────── 101 ──── 180
//	                            fork 50     first 101
//
// LSN 70 is on timeline 1 only; 120 is on timeline 2, whose lineage is 1–50,
// 101–180. Where a later epoch of a timeline began at an LSN, what an earlier
// epoch wrote from there on is not history.
//
// # Restore
//
//	<target>.nodedb-restore-<id>/     beside the target, on the same file system
//	    restore/                      lock, plan, marks of progress
//	    vshard/<4 hex>/               base files, then the stores
//	    wal/                          empty
//	    node.json                     last
//
//	fetch ∥ ─▶ verify, decode ∥ ─▶ in order ─▶ apply, vshards ∥ ─▶ digest ∥ ─▶ sync, rename
//
// A run that was killed is resumed from there: base files that are right are
// kept, and replay goes on after the lowest LSN that all vshards have on disk.
// node.json leaves the timeline to be claimed by the node's first start, with
// LSNs above everything archived in any timeline.
//
// # Standby
//
// [Follow] keeps a directory at the newest archived state: a restore with
// standby.json in the place of node.json, then rounds of
//
//	list behind the last segment ─▶ way onward ─▶ note the claims known ─▶ fetch, verify, apply, sync
//
// each of which begins at the lowest LSN that all vshards have on disk, so a
// follower may die anywhere. It goes along when the node begins a new timeline
// behind what was applied, and stops when that is not so, or over a gap. [Promote]
// ends with node.json, as a restore does.
//
// # Who owns what
//
// A [Plan] holds the archives that made it; they stay the caller's. Restore
// owns its goroutines, which have ended when it returns, and the staging
// directory, under a lock. Segments in memory belong to the decoder until their
// SHA-256 was compared, then to the workers that apply them.
package pitr
