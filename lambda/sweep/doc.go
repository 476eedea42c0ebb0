// Package sweep is the function that looks after the archives of nodes by a
// schedule: pitr/sweep, with the time that an invocation has, logs and metrics.
//
// # Contract
//
//   - An event may name nodes ({"nodes": ["a", "b"]}), and so may the environment;
//     else all nodes below the archive's root are swept, which one listing by
//     delimiter finds. Each node's own prefix is listed, and nothing above it.
//   - One node that cannot be swept does not stop the others, and is no error of the
//     invocation: its metric Failed says so. An error means that nothing was done.
//   - Work stops in time for metrics to be published; nodes for which there was no
//     time are in the log and in the metric Left. Which node comes first changes
//     with the clock, so that it is not always the same ones.
//   - Findings are logged one a line, as JSON, problems as errors.
//
// # Metrics
//
// One line for each node, in the dimensions Function=sweep and Archive, and in
// Function, Archive and Node for those that alarms look at. Over the nodes of an
// archive the statistic Maximum is the worst one, and Sum is all of them.
//
//	WindowEndLSN          newest LSN that can be restored
//	WindowEndAgeSeconds   how old its record is
//	Gaps                  ranges of LSNs that cannot be restored and should be
//	Unindexed             segments that should have an index and have none
//	Foreign               objects that nobody of this program put there
//	Stale                 1: nothing new for too long
//	Damaged               objects that are not what they should be
//	Collisions            overlaps of writers, and epochs that contradict each other
//	Failed                all findings to look at that none of Gaps, Unindexed, Foreign and Stale counts
//	Problems              all findings to look at
//	Segments, Indexed, IndexBytes, VerifiedObjects, VerifiedBytes, Drills, Milliseconds
//
// A node that could not be listed has Failed, Problems and Milliseconds only: what is
// not known is not zero.
//
// # Ownership
//
// A Handler holds the archive that it is given and starts nothing.
package sweep
