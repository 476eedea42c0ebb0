package index

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Records reads single records of one segment, by the offsets of its index.
type Records struct {
	a        *archive.Archive
	name     string
	r        io.ReaderAt
	preamble wal.Preamble
}

// OpenRecords opens a segment for that, in its own object or in a pack: two
// requests. ctx covers all that is read.
func OpenRecords(ctx context.Context, a *archive.Archive, s archive.SegmentEntry) (*Records, error) {
	r, _, err := a.OpenSegmentAt(ctx, s)
	if err != nil {
		return nil, err
	}
	head := make([]byte, wal.PreambleLen)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, wal.PreambleLen), head); err != nil {
		return nil, placed(a, s.Object.Key, err)
	}
	p, err := wal.DecodePreamble(head, s.Object.Key)
	if err != nil {
		return nil, placed(a, s.Object.Key, err)
	}
	if p.NodeID != a.NodeID() || p.Timeline != s.Timeline || p.Epoch != s.Epoch || p.First != s.First {
		return nil, placed(a, s.Object.Key, fmt.Errorf("%w: its preamble is not what its name says", archive.ErrCorrupt))
	}
	return &Records{a: a, name: s.Object.Key, r: r, preamble: p}, nil
}

// Record reads the record that a row is of, verified by its frame's checksums:
// one or two requests of one compressed frame. The slices are the caller's.
func (r *Records) Record(row Row) (wal.Record, error) {
	src := io.NewSectionReader(r.r, row.Offset, math.MaxInt64-row.Offset)
	records, err := wal.ReadFrame(src, r.preamble, row.Offset, r.name)
	if err != nil {
		return wal.Record{}, placed(r.a, r.name, err)
	}
	for _, rec := range records {
		if rec.LSN == row.LSN {
			return rec, nil
		}
	}
	return wal.Record{}, placed(r.a, r.name, fmt.Errorf("%w: there is no LSN %d in the frame at offset %d that the index names",
		archive.ErrCorrupt, uint64(row.LSN), row.Offset))
}
