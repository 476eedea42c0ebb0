// Package faultfs is a file system that fails on purpose, for tests. It wraps
// any [vfs.FS] and counts the operations that change something.
//
// Fault model:
//
//   - Crash: [FS.Hook] sees every mutating operation before it is done. Over a
//     crashable vfs.MemFS the hook takes a crash clone, so that a test can
//     recover from the state before operation N, for every N. What was not
//     synced is lost, kept, or kept in part, as the clone's configuration says.
//   - Error: operation N fails and is not done.
//   - Short write: operation N writes the first half of its bytes and fails.
//   - No space: operation N fails with ENOSPC; or, with [FS.SetFull], every
//     operation that takes space does until there is space again. Writing over
//     bytes that a file already has takes none.
//   - Sync failure: a sync fails once and later ones succeed. Data whose sync
//     failed is not durable in a crash clone taken before a later sync.
//
// Reading operations never fail here. A file that is given a fault stays open;
// nothing is retried or undone.
package faultfs
