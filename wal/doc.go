// Package wal is the write-ahead log of a node, the only log there is.
//
// # Contract
//
//   - What an append acknowledged (AppendSync or Wait returned nil, Commit
//     returned true, Durable reached its LSN) survives any crash.
//   - Recovery finds a prefix of what was appended, without a gap, and a batch as
//     a whole or not at all. Doing it twice is the same as doing it once.
//   - Damage is never mistaken for the end. A torn tail is accepted only at the
//     end of the last segment, and only when no later frame states that the place
//     was durable. Any other damage stops Open or the reader with path, offset
//     and LSN. After a clean Close every flipped byte is found. Giving up damaged
//     records is a step of its own: [Salvage].
//   - After a failed write or fsync the log is poisoned and takes nothing more
//     until it is opened again. A full disk is no such failure: space is reserved
//     before an LSN is given, see [ErrDiskFull].
//   - Everything is bounded: payload, batch, frame, segment, what waits for the
//     disk, spare files. Reading needs the memory of one frame.
//
// # Who does what
//
// Each core has an [Appender]. Append copies a batch into the pending group under
// a short lock; the group commit writes the whole group with one write and one
// fdatasync, while the next group collects, and wakes every appender once. It is
// done by the committer goroutine, or by an appender itself when nobody else is
// committing ([Appender.Commit]), which saves two thread switches. Clients of
// [Log.AppendSync] and [Log.Wait] that were woken together are given the time to
// come back together; cores gather by themselves and are never waited for. The
// preparer goroutine zero-fills or recycles the next segment beforehand: fdatasync
// of bytes that were written once costs half of that of a file that grows. The
// SHA-256 that links the segments is carried along, so sealing reads nothing.
//
// # Format, version 1
//
// All integers are little-endian. A log is a directory of segments, each named
// by its first LSN in 16 hex digits and ".wal". Files "<n>.free" are written once
// and ready for use, "<n>.new" are half-prepared, "*.damaged" were set aside by
// Salvage; a reader looks at none of them.
//
//	segment  = preamble · batch frame … · [ seal frame ]
//	           what follows the seal frame is not part of the segment
//
//	preamble, 256 bytes
//	  0 ┌────────────────────────────────────────────────┐
//	    │ magic  89 4E 44 42 0D 0A 1A 0A                 │ other: no segment
//	  8 ├───────────┬───────────┬────────────────────────┤
//	    │ version 2 │ flags 2   │ preamble length 4      │ newer or unknown: refuse
//	 16 ├───────────┴───────────┼────────────────────────┤
//	    │ timeline 4            │ node id length 1 · 0 3 │
//	 24 ├───────────────────────┴────────────────────────┤
//	    │ epoch 8                                        │
//	 32 ├────────────────────────────────────────────────┤
//	    │ first LSN 8                                    │ must equal the name
//	 40 ├────────────────────────────────────────────────┤
//	    │ created, µs since 1970 8                       │
//	 48 ├────────────────────────────────────────────────┤
//	    │ time floor, µs since 1970 8                    │ no record is older
//	 56 ├────────────────────────────────────────────────┤
//	    │ salt 8                                         │ random
//	 64 ├────────────────────────────────────────────────┤
//	    │ SHA-256 of the previous segment 32             │ zero: there is none
//	 96 ├────────────────────────────────────────────────┤
//	    │ node id 64, padded with zero                   │
//	160 ├────────────────────────────────────────────────┤
//	    │ gap 8: the LSNs from here to the first LSN     │ zero: none
//	    │ were lost and given up                         │
//	168 ├────────────────────────────────────────────────┤
//	    │ zero 84                                        │ ignored
//	252 ├───────────────────────┬────────────────────────┘
//	    │ CRC-32C of 0 to 252   │ checked after magic and version
//	256 └───────────────────────┘
//
//	frame, a multiple of 8 bytes, begins at one
//	  0 ┌───────────────────────┬───────────┬────────────┐
//	    │ magic  4E 44 46 4D    │ kind 2    │ flags 2    │ unknown: refuse
//	  8 ├───────────────────────┼───────────┴────────────┤
//	    │ body length 4         │ number of records 4    │ ≤ 32 MiB
//	 16 ├───────────────────────┴────────────────────────┤
//	    │ first LSN 8                                    │ continues the frame before
//	 24 ├────────────────────────────────────────────────┤
//	    │ durable LSN 8: the log's when this was written │ vouches for what is before
//	 32 ├───────────────────────┬────────────────────────┤
//	    │ CRC-32C of the body 4 │ CRC-32C of 0 to 36 4   │
//	 40 ├───────────────────────┴────────────────────────┤
//	    │ body, padded with zero to 8                    │ all or nothing
//	    └────────────────────────────────────────────────┘
//	  Both checksums begin with the salt and the segment's first LSN; that of the
//	  header goes on with the frame's offset in the segment. So neither old bytes
//	  in a recycled file nor a copy of a frame elsewhere is ever valid.
//
//	body of kind 1, batch: records, one behind the other
//	  0 ┌────────────────────────────────────────────────┐
//	    │ LSN 8                                          │ continues the record before
//	  8 ├────────────────────────────────────────────────┤
//	    │ time, µs since 1970 8                          │ never goes back
//	 16 ├───────────────────────┬────────────────────────┤
//	    │ payload length 4      │ tenant 4               │ ≤ 16 MiB
//	 24 ├───────────┬───────────┼────────────┬───────────┤
//	    │ type 2    │ vshard 2  │ key len 1  │ 0 3       │ type's bit 15: must be known
//	 32 ├───────────┴───────────┴────────────┴───────────┤
//	    │ idempotency key · payload                      │
//	    └────────────────────────────────────────────────┘
//
//	body of kind 2, seal; the frame's first LSN is the last record's plus one
//	  0  last LSN 8 · number of records 8 · first time 8 · last time 8
//	 32  SHA-256 of the segment up to this frame 32
//	 64  number of restore points 4 · zero 4
//	 72  each: LSN 8 · time 8 · name length 2 · name; then zero up to 8
//	end  trailer: length of this frame 4 · zero 4 · magic  0A 4E 44 42 53 45 41 4C
//	  The trailer lets a reader find the footer from the segment's end.
//
// An empty segment, a preamble alone, ends a log that was closed: it says which
// LSN is next and what the last segment's SHA-256 is. A newest segment of zeroes
// only, or of no bytes, is what a crash at rotation may leave; its name says
// which LSN is next.
package wal
