// Package archive keeps a node's history in blob stores: sealed WAL segments,
// bases, and the small objects that say how they belong together.
//
// # Contract
//
// Nothing is ever overwritten. Every object is created once, its name says
// what it is, and a base's manifest is written after everything that it names.
// What is in an archive can be told from a listing; no index is needed. What
// a store did not answer is unknown, never absent.
//
// # Keys
//
// Below the prefix of the store's URL, with fixed-width lower-case hex, so
// that names sort by LSN:
//
//	nodedb/v1/<node>/format.json
//	nodedb/v1/<node>/epoch/<epoch16>.json                       who writes, from which LSN, after whom
//	nodedb/v1/<node>/wal/<timeline8>/<first16>-<last16>-<epoch8>-<sha16>.wal.zst[.<recips8>.<md516>.age]
//	nodedb/v1/<node>/pack/<timeline8>/<first16>-<last16>-<sha16>.pack.zst[.<recips8>.<md516>.age]  many small segments
//	nodedb/v1/<node>/base/<timeline8>/<lsn16>-<id>/manifest.json
//	nodedb/v1/<node>/begun/<timeline8>/<lsn16>-<id>.json        a base under way: what it may name must stay
//	nodedb/v1/<node>/obj/<sha256>[.zst][.<recips8>.<md516>.age] content of bases
//	nodedb/v1/<node>/gap/<timeline8>/<first16>-<last16>.json    declared lost
//	nodedb/v1/<node>/pin/<name>.json                            not to be pruned
//	nodedb/v1/<node>/prune/<seq16>.json                         what retention marked, deletes and did
//	nodedb/v1/<node>/keys/<recips8>.json                        public keys that objects are encrypted for
//	nodedb/v1/<node>/index/<timeline8>/<first16>-<last16>-<sha16>.parquet
//	nodedb/v1/<node>/catalog/<timeline8>/<seq16>.json.zst
//	nodedb/v1/<node>/verify/<seq16>.json.zst                    which object was verified when
//	nodedb/v1/<node>/proof/<timeline8>/<lsn16>-<id>.json        what a drill rebuilt and compared
//
// LSN ranges are inclusive. sha16 is the head of the SHA-256 of the segment
// before compression; recips8 and md516 are in the names of encrypted objects
// only, see Encrypted objects. A reader passes over names that it cannot parse and
// reports them as foreign; it never changes them.
//
// # Sealed objects
//
// .zst objects are in the zstd seekable format, little-endian:
//
//	frame      at most 4 KiB of content: a segment's preamble is here
//	frame …    1 MiB of content each
//	frame      at most 4 KiB of content: a segment's footer is here
//	skippable frame, the seek table:
//	  u32 magic 184D2A5E   u32 length
//	  for each frame: u32 compressed bytes, u32 content bytes, u32 low half of XXH64 of the content
//	  u32 number of frames   u8 flags (80: checksums are there)   u32 magic 8F92EAB1
//
// Each frame carries zstd's own checksum too. `zstd -d` gives back the
// content byte for byte. A reader takes any frame of at most 8 MiB, so other
// sizes may come later without a new version.
//
// # Encrypted objects
//
// .age objects are age files (age-encryption.org/v1) of a sealed object:
// `age -d | zstd -d` gives back the content. Which private keys open one, its
// name tells by recips8, the first 8 hex digits of the SHA-256 over the public
// keys, sorted, each with a newline behind it; keys/<recips8>.json lists them,
// and is created before the first object that needs it:
//
//	{ "version": 1, "node_id": "n1", "id": "1a2b3c4d",
//	  "recipients": ["age1…", "age1…"], "crc32c": "…" }
//
// Encryption is randomised, so md516, the first 16 hex digits of the MD5 of the
// stored bytes, makes a name mean one sequence of bytes. A writer that holds no
// private key can prove an object by its name, and every attempt has a name of
// its own. Objects that differ in recips8 and md516 only have one content: a
// reader takes any that it can open.
//
// Encrypted are segments, packs and the contents of bases. Manifests, epochs, gaps,
// pins and recipients are not: they hold positions, sizes, hashes and names.
//
// # Packs
//
// A pack is many small segments of one timeline that follow each other, in one
// sealed object. Its content, little-endian:
//
//	segment files, byte for byte, one after the other
//	index:
//	  u32 version (1)   u32 timeline   u32 number of segments (at most 65536)   u32 zero
//	  for each segment: u64 bytes   u64 first LSN   u64 last LSN   u64 epoch   32 bytes SHA-256
//	  u32 bytes of the index   u32 CRC-32C of the index so far   "ndbpack1"
//
// A reader takes the last few KiB, then the frames of the segments that it
// wants. It refuses a later version (ErrVersion), and as damage an index that
// does not account for every byte and every LSN. sha16 in the name is the head
// of the SHA-256 of the whole content. The hash chain runs through packs as it
// does through objects. A segment may be in its own object, in packs, or both.
//
// An encrypted pack is the age file of that, and behind it the index once more,
// not encrypted, which tells nothing that the names of segments would not:
//
//	age file of the sealed object
//	index
//
// So who holds no private key knows which LSNs are there, and md516 is the hash
// of all of it. A segment's own object and its place in a pack stand for each
// other only when both are for the same readers.
//
// # Ownership
//
// A Store is owned by whoever opened it, and outlives what was built on it.
// An Archive and a Catalog hold no resources. An Archiver owns its
// goroutines, its journal and what waits to be sent, and ends with Close.
package archive
