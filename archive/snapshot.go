package archive

import (
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// A snapshot of the catalog is the listing of everything behind obj/ (where the
// segments are) at one moment, with what the footers of segments, the epoch
// objects and the manifests of bases say, which never changes. It spares a plan
// a hundred pages of names. It is a help only: names before obj/ are listed each
// time, those behind the snapshot too, and whoever fetches an object for what a
// snapshot says asks the listing first.
//
// A snapshot is a zstd stream of JSON documents, one a line:
//
//	{"version":1,"node_id":"shop","seq":3,"created_at":"…","epochs":2,"bases":1,"objects":1234}
//	{"version":1,"epoch":2,…}                                  for each epoch: its object
//	{"key":"base/…/manifest.json","low":…,"time":…,…}          for each base: SnapshotBase
//	{"k":"wal/00000001/…","n":1234,"m":…,"a":…,"z":…,"p":[…]}  for each object: key, bytes, time of
//	                                                           change, times and points of a segment
//	{"crc32c":"0f1e2d3c"}                                      of all bytes before this line
const (
	snapshotVersion    = 1
	snapshotBytesMax   = 512 << 20 // stored
	snapshotPlainMax   = 2 << 30   // decompressed; it is read as a stream
	snapshotLineMax    = 1 << 20
	snapshotObjectsMax = 8 << 20
	// snapshotAgainMax is how many names at the end of a snapshot are listed
	// again: with the newest base below them, most plans need no more.
	snapshotAgainMax = 900
)

// SnapshotInfo is the head of a snapshot.
type SnapshotInfo struct {
	Version   int       `json:"version"`
	NodeID    string    `json:"node_id"`
	Seq       uint64    `json:"seq"`
	CreatedAt time.Time `json:"created_at"`
	Epochs    int       `json:"epochs"`
	Bases     int       `json:"bases"`
	Objects   int       `json:"objects"`
}

// SegmentBounds is what a segment's footer tells: times in µs since the Unix
// epoch, and restore points. The content of a name never changes, so neither
// does this.
type SegmentBounds struct {
	FirstTime, LastTime int64
	Points              []wal.Point
}

// SnapshotBase is what a plan wants to know of a base's manifest.
type SnapshotBase struct {
	Key         string    `json:"key"`
	Low         wal.LSN   `json:"low"` // applied by every vshard
	Time        time.Time `json:"time,omitzero"`
	VShards     int       `json:"vshards"`
	Files       int       `json:"files"`
	SealedBytes int64     `json:"sealed_bytes"`
	Digest      string    `json:"digest,omitempty"`
	Entries     uint64    `json:"entries,omitempty"`
}

// snapshotObject is one line of names.
type snapshotObject struct {
	Key      string          `json:"k"`
	Bytes    int64           `json:"n"`
	Modified int64           `json:"m"` // ns since the Unix epoch; 0: unknown
	Class    StorageClass    `json:"c,omitempty"`
	First    int64           `json:"a,omitempty"`
	Last     int64           `json:"z,omitempty"`
	Points   []snapshotPoint `json:"p,omitempty"`
}

type snapshotPoint struct {
	LSN  wal.LSN `json:"l"`
	Time int64   `json:"t"`
	Name string  `json:"n"`
}

// snapshot is a decoded one.
type snapshot struct {
	SnapshotInfo
	epochs  []EpochInfo
	bases   []SnapshotBase
	objects []Object // keys below the node's prefix, ascending
	bounds  map[string]*SegmentBounds
}

// Summary is what a manifest says, in the words of a snapshot.
func (m *Manifest) Summary() SnapshotBase {
	b := SnapshotBase{Key: m.Key().String(), Low: m.LSN, Time: m.Time, VShards: len(m.VShards), Digest: m.Digest, Entries: m.Entries}
	for _, v := range m.VShards {
		b.Low = min(b.Low, v.Applied)
	}
	b.Files, _, b.SealedBytes = m.Totals()
	return b
}

func (o Object) snapshotLine(b *SegmentBounds) snapshotObject {
	l := snapshotObject{Key: o.Key, Bytes: o.Size, Class: o.Class}
	if !o.ModTime.IsZero() {
		l.Modified = o.ModTime.UnixNano()
	}
	if b != nil {
		l.First, l.Last = b.FirstTime, b.LastTime
		for _, p := range b.Points {
			l.Points = append(l.Points, snapshotPoint{p.LSN, p.Time, p.Name})
		}
	}
	return l
}
