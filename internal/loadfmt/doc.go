// Package loadfmt reads and writes the files that entries travel in: JSON
// Lines, tab-separated values, and directory trees.
//
// JSON Lines, one object a line, UTF-8:
//
//	{"key":"user:1","value":"Ada","ttl":3600}
//	{"key_b64":"/wA=","value_b64":"AAEC","expires_at":"2031-01-01T00:00:00.125Z"}
//
//	key, key_b64      text, or base64 (standard, padded) of any bytes; exactly one
//	value, value_b64  likewise; an object, array, number or boolean as "value"
//	                  stands for its JSON text, byte for byte
//	ttl               seconds as a number, or a duration like "1h30m"; > 0
//	expires_at        RFC 3339; at most one of ttl and expires_at
//
// Any other field, a field given twice, and text that is not Unicode (which a
// lenient reader would silently replace) are refused.
//
// TSV, one entry a line: key, tab, value, and optionally a tab and a ttl as
// above. \t \n \r \\ and \xHH stand for bytes; any other backslash is refused.
//
// A directory tree: every regular file is an entry, its slash-separated path
// below the root the key, its content the value, in the order of paths. Links
// and special files are not followed; [Source.Skipped] counts them.
//
// A [Source] reports a malformed entry as *[BadEntryError] with its place and
// can go on behind it. It owns nothing but the reader it was given; the slices
// of an [Entry] are the caller's. [Writer] writes JSON Lines that a Source
// reads back exactly: key, value and expiry in milliseconds.
package loadfmt
