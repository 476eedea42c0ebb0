// Package retain decides which objects of an archive are still needed, and
// deletes the others in two phases.
//
// # Contract
//
// Decide is a pure function of what the archive holds, a Policy and a time. It
// keeps everything that a position which the policy keeps needs to be
// restored: the base, every segment behind it, and the segments of the parents
// of its timeline. Only bases that are whole count. What cannot be read is kept,
// and kinds of objects that this package does not know are never looked at.
//
// Run marks what is not needed, and deletes what was marked a grace period ago
// and is still not needed by a fresh look at every store. All that it does is
// in the archive's prune log before it is done:
//
//	mark    these objects, as they are now, are not needed, because …
//	sweep   these marked objects are being deleted
//	done    so many are gone; these the store retains; these were not tried
//
// A crash between any two requests leaves objects that are not needed, never a
// base without its contents: manifests go first, contents last. The log has no
// holes and no two records of one number, so that of two pruners one goes on.
// A mark means one object, told by size, time and MD5; another one under the
// same name needs a mark of its own.
//
// # Against writers
//
// The writer of a base announces it before it looks which contents are there,
// and the sweep is announced before the pruner looks which bases are under way
// (archive.BaseGuard). While one is, no content is deleted.
package retain
