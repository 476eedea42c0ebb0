package archive

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/nodedb-go/nodedb/wal"
)

// ParseFull splits a store's key into the node id and the typed key. It
// refuses, with ErrBadKey, whatever String and NodePrefix would not write.
func ParseFull(full string) (nodeID string, k Key, err error) {
	rest, ok := strings.CutPrefix(full, root)
	if !ok {
		return "", nil, badKey(full, "does not start with "+root)
	}
	nodeID, path, ok := strings.Cut(rest, "/")
	if !ok || !ValidNodeID(nodeID) {
		return "", nil, badKey(full, "has no valid node id")
	}
	k, err = ParseKey(path)
	return nodeID, k, err
}

// ParseKey reads the path below a node's prefix. It accepts exactly what
// String writes (so a key has one spelling) and returns ErrBadKey otherwise.
func ParseKey(path string) (Key, error) {
	k, reason := parseKey(path)
	if reason != "" {
		return nil, badKey(path, reason)
	}
	if err := k.valid(); err != nil {
		return nil, badKey(path, err.Error())
	}
	// One spelling: whatever the scanner below let through, the writer decides.
	if k.String() != path {
		return nil, badKey(path, "is not spelled as this program would")
	}
	return k, nil
}

func badKey(key, reason string) error {
	const keyLenShown = 200
	if len(key) > keyLenShown {
		key = key[:keyLenShown] + "…"
	}
	return fmt.Errorf("%w: %q %s", ErrBadKey, key, reason)
}

func parseKey(path string) (Key, string) {
	if path == "format.json" {
		return FormatKey{}, ""
	}
	kind, rest, _ := strings.Cut(path, "/")
	f := fields{rest: rest}
	var k Key
	switch kind {
	case "epoch":
		k = EpochKey{Epoch: wal.Epoch(f.hex(16))}
		f.literal(".json")
	case "wal":
		k = f.segment()
	case "pack":
		k = f.pack()
	case "base":
		k = f.base()
	case "obj":
		k = f.obj()
	case "gap":
		g := GapKey{Timeline: f.timeline()}
		g.First, g.Last = f.span()
		f.literal(".json")
		k = g
	case "pin":
		name, ok := strings.CutSuffix(f.rest, ".json")
		if !ok {
			return nil, "does not end with .json"
		}
		return PinKey{Name: name}, ""
	case "begun":
		b := BegunKey{Timeline: f.timeline(), LSN: wal.LSN(f.hex(16))}
		f.literal("-")
		id, _, _ := strings.Cut(f.rest, ".")
		b.ID = f.take(len(id))
		f.literal(".json")
		k = b
	case "prune":
		k = PruneKey{Seq: f.hex(16)}
		f.literal(".json")
	case "index":
		k = f.indexKey()
	case "keys":
		var r RecipientsKey
		f.sum(r.ID[:])
		f.literal(".json")
		k = r
	case "catalog":
		k = CatalogKey{Timeline: f.timeline(), Seq: f.hex(16)}
		f.literal(".json.zst")
	case "verify":
		k = f.ledger()
	case "proof":
		k = f.proof()
	default:
		return nil, "is of no kind that this program knows"
	}
	if f.bad || f.rest != "" {
		return nil, "does not have the form of a " + kind + " key"
	}
	return k, ""
}

// fields eats a key from its front. bad is sticky; values read after it is
// set mean nothing.
type fields struct {
	rest string
	bad  bool
}

func (f *fields) take(n int) string {
	if f.bad || len(f.rest) < n {
		f.bad = true
		return ""
	}
	s := f.rest[:n]
	f.rest = f.rest[n:]
	return s
}

func (f *fields) literal(s string) {
	if f.take(len(s)) != s {
		f.bad = true
	}
}

func (f *fields) optional(s string) bool {
	rest, ok := strings.CutPrefix(f.rest, s)
	if ok && !f.bad {
		f.rest = rest
		return true
	}
	return false
}

func (f *fields) hex(digits int) uint64 {
	v, err := strconv.ParseUint(f.take(digits), 16, 64)
	if err != nil {
		f.bad = true
	}
	return v
}

func (f *fields) sum(dst []byte) {
	if _, err := hex.Decode(dst, []byte(f.take(2*len(dst)))); err != nil {
		f.bad = true
	}
}

func (f *fields) timeline() wal.Timeline {
	tl := wal.Timeline(f.hex(8))
	f.literal("/")
	return tl
}

func (f *fields) span() (first, last wal.LSN) {
	first = wal.LSN(f.hex(16))
	f.literal("-")
	return first, wal.LSN(f.hex(16))
}

func (f *fields) segment() Key {
	k := SegmentKey{Timeline: f.timeline()}
	k.First, k.Last = f.span()
	f.literal("-")
	k.Epoch = wal.Epoch(f.hex(8))
	f.literal("-")
	f.sum(k.SHA16[:])
	f.literal(".wal.zst")
	k.Age = f.age()
	return k
}

func (f *fields) base() Key {
	k := BaseKey{Timeline: f.timeline(), LSN: wal.LSN(f.hex(16))}
	f.literal("-")
	id, _, _ := strings.Cut(f.rest, "/")
	k.ID = f.take(len(id))
	f.literal("/manifest.json")
	return k
}

func (f *fields) obj() Key {
	var k ObjKey
	f.sum(k.SHA256[:])
	k.Zstd = f.optional(".zst")
	k.Age = f.age()
	return k
}

// age reads "[.<recips8>.<md516>.age]" up to the end.
func (f *fields) age() Age {
	var a Age
	if f.bad || f.rest == "" {
		return a
	}
	f.literal(".")
	f.sum(a.Recipients[:])
	f.literal(".")
	f.sum(a.MD5[:])
	f.literal(".age")
	return a
}
