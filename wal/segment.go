package wal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Segment describes one segment file. For the active segment Last, Records,
// Bytes, the times and the points are those of the durable end, and SHA256 is
// zero.
type Segment struct {
	Path      string
	First     LSN // the LSN in the file's name, also when it holds no record
	Last      LSN // First-1 when it holds no record
	Records   uint64
	Bytes     int64 // logical length; the file may be longer, what follows is not part of the segment
	Sealed    bool
	SHA256    [32]byte // over the logical length
	FirstTime int64    // µs since the Unix epoch, of the first record
	LastTime  int64
	Timeline  Timeline
	Epoch     Epoch
	NodeID    string
	Points    []Point
	Gap       LSN // LSNs from here to First-1 were given up by Salvage; 0: none
}

// Point is a named LSN.
type Point struct {
	Name string
	LSN  LSN
	Time int64 // µs since the Unix epoch
}

// Names in a log's directory. Anything else is left alone.
const (
	segmentSuffix = ".wal"  // <first LSN as 16 hex digits>.wal
	spareSuffix   = ".free" // <number>.free: written once as a whole, ready for reuse
	newSuffix     = ".new"  // <number>.new: being zero-filled
)

// SegmentName returns the file name of the segment that begins at first.
func SegmentName(first LSN) string { return first.Hex() + segmentSuffix }

// ParseSegmentName returns the first LSN of a segment's file name.
func ParseSegmentName(name string) (LSN, bool) {
	stem, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	first, err := ParseHexLSN(stem)
	return first, err == nil && first != 0
}

// segmentNames lists the first LSNs of the segments in dir, ascending. A
// directory that is not there holds none.
func segmentNames(fs vfs.FS, dir string) ([]LSN, error) {
	names, err := fs.List(dir)
	if err != nil {
		if oserror.IsNotExist(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var firsts []LSN
	for _, name := range names {
		if first, ok := ParseSegmentName(name); ok {
			firsts = append(firsts, first)
		}
	}
	slices.Sort(firsts)
	return firsts, nil
}
