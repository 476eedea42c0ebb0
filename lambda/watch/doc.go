// Package watch indexes segments as they arrive in an archive, outside of AWS:
// what lambda/index does for a queue, it does for a store that is asked again and
// again, for one that tells its events, and for one that posts them.
//
// # Contract
//
//   - Every way begins by indexing what has no index yet, which needs one listing
//     of the archive, and goes on with what comes. What is done with is told, one
//     result for each segment.
//   - Nothing that arrives is lost while the watch runs: after a broken connection,
//     trouble of the store, or more events than fit into memory, it lists again.
//     What arrived while it did not run, the next start finds.
//   - Polling costs one listing for each look at a node that is named; without a
//     name one more for each node that there is. It finds what sorts behind or among
//     the last segments that it saw. A segment that comes later than so many others
//     is found by the next start, or by `nodedb catalog index`.
//   - A post is answered when its segments are done with: 2xx. What will never do
//     better is refused with 4xx, what may pass with 503 and a time to come again.
//   - Trouble that may pass is logged and tried again, except at the start, where it
//     is more likely a wrong URL.
//
// # Ownership
//
// A Watcher runs until its context is over, and waits for all that it started. One
// segment is indexed at a time for events, and one beside it for catching up. A
// connection of minio-go may sleep for up to 30 seconds more before it notices.
package watch
