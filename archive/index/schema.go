package index

import (
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// What a record does to a key, in column op.
const (
	OpPut    = "put"    // the key has this value now
	OpDelete = "del"    // the key is gone
	OpExpire = "expire" // the key goes, if its expiry is not after that of this row
)

// Row is one change of one key.
type Row struct {
	Tenant      uint32
	Key         []byte
	LSN         wal.LSN
	Part        int // which change of its record, from 0
	TimeMicros  int64
	Timeline    wal.Timeline
	Epoch       wal.Epoch
	VShard      uint16
	Type        wal.Type
	Op          string
	ValueBytes  int64
	ValueSHA256 [32]byte // zero unless Op is OpPut
	ExpireAt    int64    // ms since 1970; 0: none
	Offset      int64    // of the record's frame in the segment before compression

	// Of the segment that holds the record; only a merged index says so.
	SegmentFirst wal.LSN
	SegmentSHA16 archive.ShortSum
}

// schemaRow gives the columns their names, types and encodings; the format is
// drawn in the package comment. Signed types, plain byte arrays and the old
// encodings only: every engine that reads Parquet knows them. Its fields are only
// read by reflection.
type schemaRow struct {
	Tenant      int64  `parquet:"tenant,dict"`
	Key         []byte `parquet:"key"`
	LSN         int64  `parquet:"lsn"`
	Part        int32  `parquet:"part"`
	Time        int64  `parquet:"time,timestamp(microsecond)"`
	Timeline    int64  `parquet:"timeline,dict"`
	Epoch       int64  `parquet:"epoch,dict"`
	VShard      int32  `parquet:"vshard,dict"`
	Type        int32  `parquet:"type,dict"`
	Op          string `parquet:"op,dict"`
	ValueBytes  int64  `parquet:"value_size"`
	ValueSHA256 []byte `parquet:"value_sha256,optional,uncompressed"` // does not compress
	ExpireAt    int64  `parquet:"expires,optional,timestamp(millisecond)"`
	Offset      int64  `parquet:"offset"`
}

var schema = parquet.SchemaOf(schemaRow{})

// Positions of the columns that a search needs.
const (
	columnTenant = 0
	columnKey    = 1
)

// of is what all rows of a segment have in common.
type of struct {
	timeline, epoch parquet.Value
	ops             []parquet.Value
}

// column is how one column is written and read.
type column struct {
	value func(e *entry, s *of) parquet.Value
	set   func(r *Row, v parquet.Value)
}

// columns are in the order of schemaRow. Levels are given where a value may be
// missing.
var columns = []column{
	{func(e *entry, _ *of) parquet.Value { return parquet.Int64Value(int64(e.tenant)) },
		func(r *Row, v parquet.Value) { r.Tenant = uint32(v.Int64()) }},
	{func(e *entry, _ *of) parquet.Value { return parquet.ByteArrayValue(e.key) },
		func(r *Row, v parquet.Value) { r.Key = append([]byte{}, v.ByteArray()...) }},
	{func(e *entry, _ *of) parquet.Value { return parquet.Int64Value(int64(e.lsn)) },
		func(r *Row, v parquet.Value) { r.LSN = wal.LSN(v.Int64()) }},
	{func(e *entry, _ *of) parquet.Value { return parquet.Int32Value(e.part) },
		func(r *Row, v parquet.Value) { r.Part = int(v.Int32()) }},
	{func(e *entry, _ *of) parquet.Value { return parquet.Int64Value(e.time) },
		func(r *Row, v parquet.Value) { r.TimeMicros = v.Int64() }},
	{func(_ *entry, s *of) parquet.Value { return s.timeline },
		func(r *Row, v parquet.Value) { r.Timeline = wal.Timeline(v.Int64()) }},
	{func(_ *entry, s *of) parquet.Value { return s.epoch },
		func(r *Row, v parquet.Value) { r.Epoch = wal.Epoch(v.Int64()) }},
	{func(e *entry, _ *of) parquet.Value { return parquet.Int32Value(int32(e.vshard)) },
		func(r *Row, v parquet.Value) { r.VShard = uint16(v.Int32()) }},
	{func(e *entry, _ *of) parquet.Value { return parquet.Int32Value(int32(e.typ)) },
		func(r *Row, v parquet.Value) { r.Type = wal.Type(v.Int32()) }},
	{func(e *entry, s *of) parquet.Value { return s.ops[e.op] },
		func(r *Row, v parquet.Value) { r.Op = string(v.ByteArray()) }},
	{func(e *entry, _ *of) parquet.Value { return parquet.Int64Value(e.size) },
		func(r *Row, v parquet.Value) { r.ValueBytes = v.Int64() }},
	{func(e *entry, _ *of) parquet.Value {
		if !e.hashed {
			return parquet.NullValue()
		}
		return parquet.ByteArrayValue(e.sum[:]).Level(0, 1, 11)
	}, func(r *Row, v parquet.Value) { copy(r.ValueSHA256[:], v.ByteArray()) }},
	{func(e *entry, _ *of) parquet.Value {
		if e.expireAt == 0 {
			return parquet.NullValue()
		}
		return parquet.Int64Value(e.expireAt).Level(0, 1, 12)
	}, func(r *Row, v parquet.Value) {
		if !v.IsNull() {
			r.ExpireAt = v.Int64()
		}
	}},
	{func(e *entry, _ *of) parquet.Value { return parquet.Int64Value(e.offset) },
		func(r *Row, v parquet.Value) { r.Offset = v.Int64() }},
}

// Version of the format, in the object's metadata.
const Version = 1

const (
	rowsPerGroup = 128 << 10
	pageBytes    = 64 << 10
	bitsPerKey   = 10 // of the Bloom filter: one key in a hundred is looked for in vain
	boundBytes   = 32 // of a key in the page index

	metaVersion = "nodedb.index.version"
	metaNode    = "nodedb.node"
	metaSegment = "nodedb.segment"
	metaSHA256  = "nodedb.segment.sha256"
	metaBytes   = "nodedb.segment.bytes"
	metaFrom    = "nodedb.time.first"
	metaTo      = "nodedb.time.last"
)

var codec = &zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}

// writerOptions say everything that the library would otherwise choose by its
// version or by the program that it is linked into.
func writerOptions(s wal.Segment) []parquet.WriterOption {
	return append(commonOptions(),
		schema,
		parquet.CreatedBy("nodedb", strconv.Itoa(Version), "index"),
		meta(metaVersion, strconv.Itoa(Version)),
		meta(metaNode, s.NodeID),
		meta(metaSegment, fmt.Sprintf("%s/%s-%s", s.Timeline.Hex(), s.First.Hex(), s.Last.Hex())),
		meta(metaSHA256, fmt.Sprintf("%x", s.SHA256)),
		meta(metaBytes, strconv.FormatInt(s.Bytes, 10)),
		meta(metaFrom, strconv.FormatInt(s.FirstTime, 10)),
		meta(metaTo, strconv.FormatInt(s.LastTime, 10)),
	)
}

func meta(k, v string) parquet.WriterOption { return parquet.KeyValueMetadata(k, v) }

// commonOptions are those of an index and of a merged one.
func commonOptions() []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(codec),
		parquet.PageBufferSize(pageBytes),
		parquet.DataPageVersion(1), // known to every reader
		parquet.MaxRowsPerRowGroup(rowsPerGroup),
		parquet.ColumnIndexSizeLimit(func([]string) int { return boundBytes }),
		parquet.SkipPageBounds("value_sha256"),
		parquet.BloomFilters(parquet.SplitBlockFilter(bitsPerKey, "key")),
		parquet.SortingWriterConfig(parquet.SortingColumns(
			parquet.Ascending("tenant"), parquet.Ascending("key"), parquet.Ascending("lsn"), parquet.Ascending("part"))),
	}
}
