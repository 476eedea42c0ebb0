// Package compact is the function that merges what is small, by a schedule:
// segments into packs (archive.Compact), then the indexes of a day into one
// (archive/index.Merge).
//
// # Contract
//
//   - An event may name nodes ({"nodes": ["a", "b"]}), and so may the environment;
//     else all nodes below the archive's root are looked at. Each node's own prefix
//     is listed, and nothing above it.
//   - What is merged stays, so an invocation that ends early is gone on with by the
//     next. Work stops in time for metrics to be published: nodes for which there was
//     no time are in the log and in the metric Left, and another node is first the
//     next time.
//   - One node that cannot be done does not stop the others; the invocation then
//     fails, after all of them. Damage is a problem, in the log and in the metric, and
//     fails nothing: it will be the same the next time.
//   - Small segments are deleted only if the environment says so, once a pack that is
//     old enough was read again, every byte of it.
//   - Encrypted segments are merged where the environment gives an identity that opens
//     them and the recipients that they are for. Their packs are for the same.
//
// # Metrics
//
// One line for each invocation, with the dimensions Function=compact and Archive:
// Nodes, Left, Failed, Problems, MergedSegments, Packs, PackBytes, DeletedSegments,
// MergedIndexes, NewIndexes, NewIndexBytes, Rows, Milliseconds.
//
// # Ownership
//
// A Handler holds the archive that it is given and starts nothing.
package compact
