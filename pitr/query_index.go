package pitr

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/wal"
)

// indexes are those of each store.
type indexes []storeIndexes

// storeIndexes are found by the segment that they are of, or by their range.
type storeIndexes struct {
	own    map[archive.IndexKey]archive.IndexEntry
	merged map[wal.Timeline][]archive.MergedEntry // those of most LSNs first
}

func (s *sources) indexes() indexes {
	out := make(indexes, len(s.catalogs))
	for i, c := range s.catalogs {
		if c == nil {
			continue
		}
		out[i] = storeIndexes{own: make(map[archive.IndexKey]archive.IndexEntry, len(c.Indexes)),
			merged: make(map[wal.Timeline][]archive.MergedEntry)}
		for _, e := range c.Indexes {
			out[i].own[e.IndexKey] = e
		}
		for _, e := range c.Merged {
			out[i].merged[e.Timeline] = append(out[i].merged[e.Timeline], e)
		}
		for _, all := range out[i].merged {
			slices.SortStableFunc(all, func(x, y archive.MergedEntry) int { return cmp.Compare(y.Last-y.First, x.Last-x.First) })
		}
	}
	return out
}

// reading is how the changes of one key are found.
type reading struct {
	noIndex bool // segments are read whole
	// lazy leaves values where they are: Version.load reads them.
	lazy bool
}

// versionsOf are the changes of the history part of a segment to what is
// wanted: of one key by an index when a store has one, else, and whenever the index
// or what it points to cannot be read, by reading the segment whole.
func (q *Query) versionsOf(ctx context.Context, sg *segment, w *wanted, how reading) ([]Version, error) {
	if len(w.keys) != 1 || how.noIndex || q.opts.NoIndex {
		return q.versions(ctx, sg, w)
	}
	for _, store := range sg.stores {
		for _, e := range q.src.entries[store][sg.key] {
			out, known, err := q.indexed(ctx, store, e, sg, w, how)
			if err == nil && known {
				return out, nil
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				q.ask.Logger.Warn("index is no help, the segment is read whole", "segment", e.Object.Key, "err", err)
			}
		}
	}
	return q.versions(ctx, sg, w)
}

// indexed takes what a change was from an index, and the values from the frames
// that it names. known is false when there is none.
func (q *Query) indexed(ctx context.Context, store int, e archive.SegmentEntry, sg *segment, w *wanted, how reading) (out []Version, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, q.ask.AttemptTimeout)
	defer cancel()
	var id keyID
	for id = range w.keys {
	}
	rows, known, err := q.rows(ctx, store, e.Index(), id)
	if err != nil || !known {
		return nil, known, err
	}
	r := &rowReader{ctx: ctx, a: q.src.archives[store], segment: e, timeline: sg.timeline, want: w}
	for i := range rows {
		row := &rows[i]
		if row.LSN < sg.lo || row.LSN > sg.hi {
			continue
		}
		v := Version{Position: Position{Timeline: sg.timeline, LSN: row.LSN, Time: microTime(row.TimeMicros)},
			Tenant: id.tenant, Key: []byte(id.key), Op: row.Op, Type: row.Type, ExpireAt: row.ExpireAt}
		switch {
		case row.Op != OpPut:
		case how.lazy:
			v.load = func(ctx context.Context) ([]byte, error) { return q.load(ctx, r.a, e, sg, w, row) }
		default:
			if v.Value, err = r.value(row); err != nil {
				return nil, true, err
			}
		}
		out = append(out, v)
	}
	return out, true, nil
}

// load reads one value later: from its frame, else out of the whole segment.
func (q *Query) load(ctx context.Context, a *archive.Archive, e archive.SegmentEntry, sg *segment, w *wanted, row *index.Row) ([]byte, error) {
	within, cancel := context.WithTimeout(ctx, q.ask.AttemptTimeout)
	defer cancel()
	value, err := (&rowReader{ctx: within, a: a, segment: e, timeline: sg.timeline, want: w}).value(row)
	if err == nil || ctx.Err() != nil {
		return value, err
	}
	q.ask.Logger.Warn("index is no help, the segment is read whole", "segment", e.Object.Key, "err", err)
	all, err := q.versions(ctx, sg, w)
	if err != nil {
		return nil, err
	}
	return valueOf(all, row)
}

// rows are the changes of a key in a segment, by the merged index of most segments
// that has it, or by its own index.
func (q *Query) rows(ctx context.Context, store int, segment archive.IndexKey, id keyID) ([]index.Row, bool, error) {
	for _, e := range q.indexes[store].merged[segment.Timeline] {
		if !e.Spans(segment) {
			continue
		}
		m, err := q.merged.lookup(ctx, mergedAsk{store, e.MergedKey, id}, func(ctx context.Context) (index.Merged, error) {
			m, err := index.LookupMerged(ctx, q.src.archives[store], e, id.tenant, []byte(id.key))
			if err != nil && ctx.Err() == nil {
				q.ask.Logger.Warn("merged index is no help, the segments' own are asked", "index", e.Object.Key, "err", err)
			}
			return m, err
		})
		if ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		if rows, ok := m[segment]; err == nil && ok {
			return rows, true, nil
		}
	}
	e, ok := q.indexes[store].own[segment]
	if !ok {
		return nil, false, nil
	}
	rows, err := index.Lookup(ctx, q.src.archives[store], e, id.tenant, []byte(id.key))
	return rows, true, err
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
	return valueOf(r.changes, row)
}

// valueOf is the value that the index names, among changes of its key.
func valueOf(changes []Version, row *index.Row) ([]byte, error) {
	for i := range changes {
		v := &changes[i]
		if v.LSN == row.LSN && v.Op == OpPut && v.ExpireAt == row.ExpireAt && sha256.Sum256(v.Value) == row.ValueSHA256 {
			return v.Value, nil
		}
	}
	return nil, fmt.Errorf("%w: LSN %d", errNotAsIndexed, uint64(row.LSN))
}
