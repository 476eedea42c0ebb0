// Package sweep looks after archives that nobody looks at: it finds what is wrong
// with a node's history, mends what can be mended, and says the rest.
//
// # Contract
//
//   - A sweep of a node lists below that node's prefix only. It begins with what
//     costs least, and says what the listing tells before it does anything.
//   - It creates indexes, snapshots, ledgers and proofs, each once, and deletes
//     nothing but ledgers behind the newest few, where that is allowed. Run twice, or
//     by two at once, it finds the same and does not do it again.
//   - A step that fails, or for which the time is over, does not keep the others from
//     being done, nor one node the others: the report says so. What a store did not
//     answer is unknown, and never called missing.
//   - Damage that was found stays in the report of every sweep until it is gone, also
//     of those that verify nothing.
//   - A finding has a kind, a severity, the object and the LSNs that it is about, and
//     words. Notices are for who reads; warnings and problems are for somebody to
//     look at: [Report.Attention].
//
// # Steps
//
//	listing ─▶ holes, overlaps, fenced and foreign objects, epochs that collide, silence
//	        ─▶ indexes that are missing, built
//	        ─▶ a snapshot of the catalog, when enough came since the last
//	        ─▶ verification within a budget, oldest first, by the ledger in the archive
//	        ─▶ a restore drill, of a node that is small enough
//
// # Ownership
//
// Stores stay the caller's. A sweep starts nothing that outlives it; a drill makes a
// directory and removes it.
package sweep
