// Package index answers from an archive itself who changed a key, when, and to
// what: for each sealed segment it makes one Parquet object that lists every
// change in it, sorted by key.
//
// # Contract
//
//   - An index is a function of its segment. Making it twice, late, in another
//     order or on several machines at once gives the same bytes under the same
//     name, so that it is there already is success. The segment is verified as a
//     restore does before anything of it is written.
//   - An index is a help. No restore needs one, and it can be made again from its
//     segment at any time. Pages carry checksums, but Parquet has none for its
//     footer, page index and Bloom filter: damage there may hide a row. Whoever
//     has to be sure scans.
//   - A record that is not understood stops the index: an object that is never
//     overwritten must not lack what a later program knows.
//   - Encrypted segments are not indexed unless that is allowed
//     ([Options.RevealEncrypted]): an index is not encrypted, and tells keys, times,
//     sizes and hashes of values, from which short values can be guessed.
//   - Memory of an index grows with the number of changes, about 150 bytes and twice
//     its key each, and not with the values.
//   - [Merge] makes one index of the many that a day has, with the same rows. It is a
//     function of the segments' indexes, made once, and one more help beside them.
//     They are spooled to temporary files, so memory is bounded: one input, one row
//     group, and 8 KiB for each input.
//
// # Format, version 1
//
// One Parquet file, named index/<timeline8>/<first16>-<last16>-<sha16>.parquet,
// where sha16 is that of the segment. Rows are sorted by tenant, key, LSN and part
// (the footer says so), in groups of at most 131072, pages of about 64 KiB with a
// page index, zstd throughout but in value_sha256, which does not compress. Each
// group has a split-block Bloom filter over key with 10 bits for each row.
//
//	tenant        INT64                            of the key
//	key           BYTE_ARRAY
//	lsn           INT64
//	part          INT32                            which change of its record, from 0
//	time          INT64 TIMESTAMP(MICROS, UTC)     of the record
//	timeline      INT64
//	epoch         INT64
//	vshard        INT32
//	type          INT32                            of the record, as in the log
//	op            BYTE_ARRAY STRING                put, del, expire
//	value_size    INT64                            bytes; 0 unless put
//	value_sha256  BYTE_ARRAY, optional             null unless put
//	expires       INT64 TIMESTAMP(MILLIS, UTC), optional
//	offset        INT64                            of the record's frame in the segment before compression
//
// op expire removes the key if what is stored expires at or before expires. A
// record that changes no key has no row. Key-value metadata of the footer:
//
//	nodedb.index.version    1; a reader refuses a later one (archive.ErrVersion)
//	nodedb.node             id of the node
//	nodedb.segment          <timeline8>/<first16>-<last16>
//	nodedb.segment.sha256   of the whole segment, hex
//	nodedb.segment.bytes    before compression
//	nodedb.time.first       µs since 1970 of its first record, and
//	nodedb.time.last        of its last
//
// A later version may add columns behind these. Which bytes a version of the
// compression library makes of them is frozen by a golden file.
//
// # Format of a merged index, version 1
//
// The same, named index/merged/<timeline8>/<first16>-<last16>-<sha16>.parquet, where
// the LSNs are the least and the greatest of its segments and sha16 is the head of the
// SHA-256 of their list ([archive.MergedOf]), with two columns more that say in which
// segment the record is; offset is within that:
//
//	segment_first  INT64       first LSN of the segment
//	segment_sha16  BYTE_ARRAY  head of its SHA-256, 8 bytes
//
// Rows are equal in everything before these only where two writers of one timeline
// wrote the same LSNs; that of the lower segment is first then. Metadata:
//
//	nodedb.merged.version   1; a reader refuses a later one
//	nodedb.merged.segments  base64 of the list of segments, those without a row too
//	nodedb.node, nodedb.time.first, nodedb.time.last
//
// # Ownership
//
// Everything here is called and returns; nothing is kept. [Lookup] fetches ranges
// side by side and waits for all of them.
package index
