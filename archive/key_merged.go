package archive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// MergedKey names one object with what the indexes of many segments of a timeline
// say. First and Last are the least and the greatest LSN of them, and SHA16 is the
// head of the SHA-256 of their list, so the name says which segments they are to
// whoever knows the segments.
type MergedKey struct {
	Timeline    wal.Timeline
	First, Last wal.LSN // inclusive
	SHA16       ShortSum
}

// MergedSegmentsMax bounds the segments of one merged index.
const MergedSegmentsMax = 1 << 14

// String is "index/merged/<timeline8>/<first16>-<last16>-<sha16>.parquet". It is no
// folder of a timeline, so that what reads all of one reads no change twice.
func (k MergedKey) String() string {
	return fmt.Sprintf("index/merged/%08x/%016x-%016x-%s.parquet", uint32(k.Timeline), uint64(k.First), uint64(k.Last), k.SHA16)
}

func (k MergedKey) valid() error { return validSpan(k.Timeline, k.First, k.Last) }

// indexKey reads the name of an index, of one segment or merged.
func (f *fields) indexKey() Key {
	merged := f.optional("merged/")
	k := MergedKey{Timeline: f.timeline()}
	k.First, k.Last = f.span()
	f.literal("-")
	f.sum(k.SHA16[:])
	f.literal(".parquet")
	if merged {
		return k
	}
	return IndexKey(k)
}

// MergedOf names the merged index of these segments, of one timeline and at least
// one, and gives their list, in which they are ordered, each once:
//
//	uvarint first − first before   uvarint last − first   8 bytes head of SHA-256
func MergedOf(segments []IndexKey) (MergedKey, []byte) {
	all := slices.SortedFunc(slices.Values(segments), compareIndexKeys)
	all = slices.Compact(all)
	k := MergedKey{Timeline: all[0].Timeline, First: all[0].First, Last: all[0].Last}
	var list []byte
	before := wal.LSN(0)
	for _, s := range all {
		list = binary.AppendUvarint(list, uint64(s.First-before))
		list = binary.AppendUvarint(list, uint64(s.Last-s.First))
		list = append(list, s.SHA16[:]...)
		before, k.Last = s.First, max(k.Last, s.Last)
	}
	k.SHA16 = Short(sha256.Sum256(list))
	return k, list
}

var errMergedList = errors.New("its list of segments is not what its name says")

// Segments reads the list that belongs to the name.
func (k MergedKey) Segments(list []byte) ([]IndexKey, error) {
	var out []IndexKey
	before := wal.LSN(0)
	for rest := list; len(rest) > 0; {
		first, n := binary.Uvarint(rest)
		span, m := binary.Uvarint(rest[max(n, 0):])
		if n <= 0 || m <= 0 || len(rest) < n+m+len(ShortSum{}) || len(out) == MergedSegmentsMax {
			return nil, errMergedList
		}
		s := IndexKey{Timeline: k.Timeline, First: before + wal.LSN(first), SHA16: ShortSum(rest[n+m:])}
		s.Last = s.First + wal.LSN(span)
		if s.First < before || s.Last < s.First {
			return nil, errMergedList
		}
		rest, before = rest[n+m+len(ShortSum{}):], s.First
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errMergedList
	}
	if is, again := MergedOf(out); is != k || !bytes.Equal(again, list) {
		return nil, errMergedList
	}
	return out, nil
}

func compareIndexKeys(x, y IndexKey) int {
	return cmp.Or(cmp.Compare(x.Timeline, y.Timeline), cmp.Compare(x.First, y.First),
		cmp.Compare(x.Last, y.Last), bytes.Compare(x.SHA16[:], y.SHA16[:]))
}

// MergedEntry is a merged index.
type MergedEntry struct {
	MergedKey
	Object
}

func (e MergedEntry) String() string { return e.MergedKey.String() }

// Spans tells whether the segment lies in the range of the merged index. It may not
// be one of those that are in it.
func (k MergedKey) Spans(s IndexKey) bool {
	return k.Timeline == s.Timeline && k.First <= s.First && s.Last <= k.Last
}

// Within are the segments of the catalog in the range of a merged index, as their
// indexes are called.
func (c *Catalog) Within(k MergedKey) []IndexKey {
	at, _ := slices.BinarySearchFunc(c.Segments, k, func(s SegmentEntry, k MergedKey) int {
		return cmp.Or(cmp.Compare(s.Timeline, k.Timeline), cmp.Compare(s.First, k.First))
	})
	var out []IndexKey
	for ; at < len(c.Segments) && c.Segments[at].Timeline == k.Timeline && c.Segments[at].First <= k.Last; at++ {
		if s := c.Segments[at].Index(); k.Spans(s) {
			out = append(out, s)
		}
	}
	return out
}

// Whole tells whether a merged index has every segment of the catalog that lies in
// its range. Its name alone says so.
func (c *Catalog) Whole(k MergedKey) bool {
	segments := c.Within(k)
	if len(segments) == 0 {
		return false
	}
	is, _ := MergedOf(segments)
	return is == k
}
