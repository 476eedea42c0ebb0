package pitr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/wal"
)

// indexes are those of each store, found by the segment that they are of.
type indexes []map[archive.IndexKey]archive.IndexEntry

func (s *sources) indexes() indexes {
	out := make(indexes, len(s.catalogs))
	for i, c := range s.catalogs {
		if c == nil || len(c.Indexes) == 0 {
			continue
		}
		out[i] = make(map[archive.IndexKey]archive.IndexEntry, len(c.Indexes))
		for _, e := range c.Indexes {
			out[i][e.IndexKey] = e
		}
	}
	return out
}

// versionsOf are the changes of the history part of a segment to what is
// wanted: of one key by the segment's index when a store has it, else, and
// whenever the index or what it points to cannot be read, by reading it whole.
func (q *Query) versionsOf(ctx context.Context, sg *segment, w *wanted) ([]Version, error) {
	if len(w.keys) != 1 || q.opts.NoIndex {
		return q.versions(ctx, sg, w)
	}
	for _, store := range sg.stores {
		for _, e := range q.src.entries[store][sg.key] {
			at, ok := q.indexes[store][e.Index()]
			if !ok {
				continue
			}
			within, cancel := context.WithTimeout(ctx, q.ask.AttemptTimeout)
			out, err := q.indexed(within, q.src.archives[store], at, e, sg, w)
			cancel()
			if err == nil {
				return out, nil
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			q.ask.Logger.Warn("index is no help, the segment is read whole", "index", at.Object.Key, "err", err)
		}
	}
	return q.versions(ctx, sg, w)
}

// indexed takes what a change was from the index, and the values from the frames
// that it names.
func (q *Query) indexed(ctx context.Context, a *archive.Archive, at archive.IndexEntry, e archive.SegmentEntry, sg *segment, w *wanted) ([]Version, error) {
	var id keyID
	for id = range w.keys {
	}
	rows, err := index.Lookup(ctx, a, at, id.tenant, []byte(id.key))
	if err != nil {
		return nil, err
	}
	r := &rowReader{ctx: ctx, a: a, segment: e, timeline: sg.timeline, want: w}
	var out []Version
	for i := range rows {
		row := &rows[i]
		if row.LSN < sg.lo || row.LSN > sg.hi {
			continue
		}
		v := Version{Position: Position{Timeline: sg.timeline, LSN: row.LSN, Time: microTime(row.TimeMicros)},
			Tenant: id.tenant, Key: []byte(id.key), Op: row.Op, Type: row.Type, ExpireAt: row.ExpireAt}
		if row.Op == OpPut {
			if v.Value, err = r.value(row); err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// rowReader reads values of one key, whose rows come in order.
type rowReader struct {
	ctx      context.Context
	a        *archive.Archive
	segment  archive.SegmentEntry
	timeline wal.Timeline
	want     *wanted

	records *index.Records // nil before the first value
	lsn     wal.LSN        // of changes
	changes []Version      // of the key, by that record
}

// errNotAsIndexed: an index and its segment do not tell the same.
var errNotAsIndexed = errors.New("pitr: the segment does not hold what its index says")

func (r *rowReader) value(row *index.Row) (_ []byte, err error) {
	if r.records == nil {
		if r.records, err = index.OpenRecords(r.ctx, r.a, r.segment); err != nil {
			return nil, err
		}
	}
	if r.lsn != row.LSN {
		rec, err := r.records.Record(*row)
		if err != nil {
			return nil, err
		}
		if r.changes, err = appendVersions(nil, r.timeline, &rec, r.want); err != nil {
			return nil, err
		}
		r.lsn = row.LSN
	}
	for i := range r.changes {
		v := &r.changes[i]
		if v.Op == OpPut && v.ExpireAt == row.ExpireAt && sha256.Sum256(v.Value) == row.ValueSHA256 {
			return v.Value, nil
		}
	}
	return nil, fmt.Errorf("%w: LSN %d", errNotAsIndexed, uint64(row.LSN))
}
