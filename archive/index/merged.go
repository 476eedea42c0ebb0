package index

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// mergedSchemaRow is a row of a segment's index, and which segment that is.
type mergedSchemaRow struct {
	schemaRow
	SegmentFirst int64  `parquet:"segment_first,dict"`
	SegmentSHA16 []byte `parquet:"segment_sha16,dict"`
}

var mergedSchema = parquet.SchemaOf(mergedSchemaRow{})

// MergedVersion of the format of merged indexes, in the object's metadata.
const MergedVersion = 1

const (
	metaMergedVersion  = "nodedb.merged.version"
	metaMergedSegments = "nodedb.merged.segments"
)

// mergedTailBytes hold the footer of nearly every merged index: about 2.3 KB for each
// group of rows, and 16 bytes for each segment.
const mergedTailBytes = 160 << 10

var mergedForm = form{version: metaMergedVersion, versionMax: MergedVersion, schema: mergedSchema, tailBytes: mergedTailBytes, set: append(setters(columns),
	func(r *Row, v parquet.Value) { r.SegmentFirst = wal.LSN(v.Int64()) },
	func(r *Row, v parquet.Value) { copy(r.SegmentSHA16[:], v.ByteArray()) })}

// mergedValues are the columns of mergedSchemaRow, in its order.
var mergedValues = []func(r *Row) parquet.Value{
	func(r *Row) parquet.Value { return parquet.Int64Value(int64(r.Tenant)) },
	func(r *Row) parquet.Value { return parquet.ByteArrayValue(r.Key) },
	func(r *Row) parquet.Value { return parquet.Int64Value(int64(r.LSN)) },
	func(r *Row) parquet.Value { return parquet.Int32Value(int32(r.Part)) },
	func(r *Row) parquet.Value { return parquet.Int64Value(r.TimeMicros) },
	func(r *Row) parquet.Value { return parquet.Int64Value(int64(r.Timeline)) },
	func(r *Row) parquet.Value { return parquet.Int64Value(int64(r.Epoch)) },
	func(r *Row) parquet.Value { return parquet.Int32Value(int32(r.VShard)) },
	func(r *Row) parquet.Value { return parquet.Int32Value(int32(r.Type)) },
	func(r *Row) parquet.Value { return parquet.ByteArrayValue([]byte(r.Op)) },
	func(r *Row) parquet.Value { return parquet.Int64Value(r.ValueBytes) },
	func(r *Row) parquet.Value {
		if r.Op != OpPut {
			return parquet.NullValue()
		}
		return parquet.ByteArrayValue(r.ValueSHA256[:]).Level(0, 1, 11)
	},
	func(r *Row) parquet.Value {
		if r.ExpireAt == 0 {
			return parquet.NullValue()
		}
		return parquet.Int64Value(r.ExpireAt).Level(0, 1, 12)
	},
	func(r *Row) parquet.Value { return parquet.Int64Value(r.Offset) },
	func(r *Row) parquet.Value { return parquet.Int64Value(int64(r.SegmentFirst)) },
	func(r *Row) parquet.Value { return parquet.ByteArrayValue(r.SegmentSHA16[:]) },
}

func mergedOptions(nodeID string, k archive.MergedKey, list []byte, from, to int64) []parquet.WriterOption {
	return append(commonOptions(),
		mergedSchema,
		parquet.CreatedBy("nodedb", strconv.Itoa(MergedVersion), "merged"),
		meta(metaMergedVersion, strconv.Itoa(MergedVersion)),
		meta(metaNode, nodeID),
		meta(metaMergedSegments, base64.StdEncoding.EncodeToString(list)),
		meta(metaFrom, strconv.FormatInt(from, 10)),
		meta(metaTo, strconv.FormatInt(to, 10)),
	)
}

// Merged is what a merged index says of one key: the rows of each segment that it
// has, of which those without a change of the key have none.
type Merged map[archive.IndexKey][]Row

// LookupMerged gives the changes of one key that a merged index names. It makes two
// or three requests where there is none, and less than ten where there are some,
// however many segments it has; e is from a catalog, or has its key and the size of
// its object. Errors are those of Lookup.
func LookupMerged(ctx context.Context, a *archive.Archive, e archive.MergedEntry, tenant uint32, key []byte) (out Merged, err error) {
	s := newSearch(ctx, a, a.Key(e.MergedKey), e.Size, &mergedForm)
	defer s.recovered(&err)
	if err := s.open(); err != nil {
		return nil, err
	}
	segments, err := s.segments(e.MergedKey)
	if err != nil {
		return nil, err
	}
	rows, err := s.find(tenant, key)
	if err != nil {
		return nil, err
	}
	out = make(Merged, len(segments))
	type head struct {
		first wal.LSN
		sum   archive.ShortSum
	}
	of := make(map[head]archive.IndexKey, len(segments))
	for _, k := range segments {
		out[k] = nil
		of[head{k.First, k.SHA16}] = k
	}
	for i := range rows {
		k, ok := of[head{rows[i].SegmentFirst, rows[i].SegmentSHA16}]
		if !ok {
			return nil, s.placed(fmt.Errorf("LSN %d is of a segment that it does not name", uint64(rows[i].LSN)))
		}
		out[k] = append(out[k], rows[i])
	}
	return out, nil
}

// segments are those that a merged index has.
func (s *search) segments(k archive.MergedKey) ([]archive.IndexKey, error) {
	text, _ := s.file.Lookup(metaMergedSegments)
	list, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, s.placed(err)
	}
	out, err := k.Segments(list)
	if err != nil {
		return nil, s.placed(err)
	}
	return out, nil
}
