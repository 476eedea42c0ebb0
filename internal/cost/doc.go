// Package cost estimates what an archive costs in a month, and what it would
// cost otherwise: another storage class, another archive timeout, merged
// segments, a shorter history.
//
// The facts are counted in the archive: objects, bytes, and how many segments a
// day brought. The prices are a table (YAML) that a user replaces by their own;
// the table here is list prices of one date. The rest is arithmetic on these
// assumptions:
//
//   - a segment costs one write and two reads: the upload, the proof, and the
//     look for a later epoch
//   - a node with a shorter archive timeout is taken to write all the time, so
//     the number of segments is the most that there can be
//   - merging reads each small segment once, writes one object for each 64 MiB,
//     and reads that once; the small ones expire
//   - a restore reads the newest base and the segments behind it, once
//   - nothing is said of traffic out of the cloud unless the table has a price
package cost
