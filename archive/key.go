package archive

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/nodedb-go/nodedb/wal"
)

// root is the first part of every key; a new layout gets a new number.
const root = "nodedb/v1/"

// nameLenMax bounds node ids and pin names: with every fixed part of a key
// around them a file name stays below 255 bytes.
const nameLenMax = 63

// NodePrefix is the prefix of all keys of one node. The id must be valid.
func NodePrefix(nodeID string) string { return root + nodeID + "/" }

// ValidNodeID tells whether id matches ^[a-z0-9][a-z0-9._-]{0,62}$: one path
// element on every file system and bucket, that sorts the same everywhere.
func ValidNodeID(id string) bool { return validName(id) }

// ValidPinName follows the rule of node ids.
func ValidPinName(name string) bool { return validName(name) }

func validName(s string) bool {
	if s == "" || len(s) > nameLenMax {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// Key is the typed name of one object of a node. String gives the path below
// NodePrefix; ParseKey is its inverse.
type Key interface {
	String() string
	valid() error
}

// Join is the full key of k in a store. The caller has checked nodeID.
func Join(nodeID string, k Key) string { return NodePrefix(nodeID) + k.String() }

// ShortSum is the head of a SHA-256, enough to tell two contents of one LSN
// range apart in a name.
type ShortSum [8]byte

// Short cuts a SHA-256 to its head.
func Short(sum [32]byte) ShortSum { return ShortSum(sum[:8]) }

// String is 16 lower-case hex digits.
func (s ShortSum) String() string { return hex.EncodeToString(s[:]) }

// FormatKey names format.json, which says what the node's archive is.
type FormatKey struct{}

// EpochKey names the claim of one writer.
type EpochKey struct{ Epoch wal.Epoch }

// SegmentKey names a sealed segment, compressed. SHA16 is the head of the
// SHA-256 of the segment file itself.
type SegmentKey struct {
	Timeline    wal.Timeline
	First, Last wal.LSN   // inclusive
	Epoch       wal.Epoch // of the segment's preamble; at most 32 bits
	SHA16       ShortSum
	Age         Age // who can read it; zero: everybody
}

// Content is the key without what encryption adds: objects of one content are
// the same segment, for different readers.
func (k SegmentKey) Content() SegmentKey {
	k.Age = Age{}
	return k
}

// BaseKey names the manifest of a base.
type BaseKey struct {
	Timeline wal.Timeline
	LSN      wal.LSN
	ID       string // 1 to 32 characters of a-z and 0-9
}

// BegunKey names the announcement of a base that is under way.
type BegunKey struct {
	Timeline wal.Timeline
	LSN      wal.LSN
	ID       string // as in the BaseKey that is to come
}

// PruneKey names one record of the log of what retention decided and did.
type PruneKey struct{ Seq uint64 } // from 1, without holes

// ObjKey names content by its SHA-256 before compression.
type ObjKey struct {
	SHA256 [32]byte
	Zstd   bool
	Age    Age // who can read it; zero: everybody
}

// Content is the key without what encryption adds.
func (k ObjKey) Content() ObjKey {
	k.Age = Age{}
	return k
}

// RecipientsKey names the list of those for whom objects are encrypted.
type RecipientsKey struct{ ID RecipientsID }

// GapKey names the declaration that a range is lost.
type GapKey struct {
	Timeline    wal.Timeline
	First, Last wal.LSN // inclusive
}

// PinKey names a pin.
type PinKey struct{ Name string }

// IndexKey names the index of one segment.
type IndexKey struct {
	Timeline    wal.Timeline
	First, Last wal.LSN // inclusive
	SHA16       ShortSum
}

// Index names the index of the segment. Segments of one content, encrypted or
// not, have one index.
func (k SegmentKey) Index() IndexKey {
	return IndexKey{Timeline: k.Timeline, First: k.First, Last: k.Last, SHA16: k.SHA16}
}

// CatalogKey names one snapshot of the catalog.
type CatalogKey struct {
	Timeline wal.Timeline
	Seq      uint64
}

// String is "format.json".
func (FormatKey) String() string { return "format.json" }

// String is "epoch/<epoch16>.json".
func (k EpochKey) String() string { return fmt.Sprintf("epoch/%016x.json", uint64(k.Epoch)) }

// String is "wal/<timeline8>/<first16>-<last16>-<epoch8>-<sha16>.wal.zst[.<recips8>.<md516>.age]".
func (k SegmentKey) String() string {
	// By hand: plans over long histories parse, and so write, very many of them.
	b := make([]byte, 0, 96)
	b = appendHex(append(b, "wal/"...), uint64(k.Timeline), 8)
	b = appendHex(append(b, '/'), uint64(k.First), 16)
	b = appendHex(append(b, '-'), uint64(k.Last), 16)
	b = appendHex(append(b, '-'), uint64(k.Epoch), 8)
	b = hex.AppendEncode(append(b, '-'), k.SHA16[:])
	b = append(b, ".wal.zst"...)
	return string(append(b, k.Age.suffix()...))
}

// appendHex writes v with at least so many digits.
func appendHex(b []byte, v uint64, digits int) []byte {
	for d := digits - 1; d >= 0; d-- {
		if v>>(4*d) != 0 {
			break
		}
		if d > 0 {
			b = append(b, '0')
		}
	}
	return strconv.AppendUint(b, v, 16)
}

// SegmentPrefix is where the segments of a timeline are, below NodePrefix.
func SegmentPrefix(tl wal.Timeline) string { return fmt.Sprintf("wal/%08x/", uint32(tl)) }

// String is "base/<timeline8>/<lsn16>-<id>/manifest.json".
func (k BaseKey) String() string {
	return fmt.Sprintf("base/%08x/%016x-%s/manifest.json", uint32(k.Timeline), uint64(k.LSN), k.ID)
}

// String is "begun/<timeline8>/<lsn16>-<id>.json".
func (k BegunKey) String() string {
	return fmt.Sprintf("begun/%08x/%016x-%s.json", uint32(k.Timeline), uint64(k.LSN), k.ID)
}

// String is "prune/<seq16>.json".
func (k PruneKey) String() string { return fmt.Sprintf("prune/%016x.json", k.Seq) }

// String is "obj/<sha256>[.zst][.<recips8>.<md516>.age]".
func (k ObjKey) String() string {
	s := "obj/" + hex.EncodeToString(k.SHA256[:])
	if k.Zstd {
		s += ".zst"
	}
	return s + k.Age.suffix()
}

// String is "gap/<timeline8>/<first16>-<last16>.json".
func (k GapKey) String() string {
	return fmt.Sprintf("gap/%08x/%016x-%016x.json", uint32(k.Timeline), uint64(k.First), uint64(k.Last))
}

// String is "pin/<name>.json".
func (k PinKey) String() string { return "pin/" + k.Name + ".json" }

// String is "index/<timeline8>/<first16>-<last16>-<sha16>.parquet".
func (k IndexKey) String() string {
	return fmt.Sprintf("index/%08x/%016x-%016x-%s.parquet", uint32(k.Timeline), uint64(k.First), uint64(k.Last), k.SHA16)
}

// String is "catalog/<timeline8>/<seq16>.json.zst".
func (k CatalogKey) String() string {
	return fmt.Sprintf("catalog/%08x/%016x.json.zst", uint32(k.Timeline), k.Seq)
}

// String is "keys/<recips8>.json".
func (k RecipientsKey) String() string { return "keys/" + k.ID.String() + ".json" }
