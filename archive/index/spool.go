package index

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/parquet-go/parquet-go"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// spool keeps the rows of indexes in a file, one run of sorted rows after the other,
// so that any number of them can be merged with a small buffer for each: a Parquet
// reader has one for each column.
type spool struct {
	fs       vfs.FS
	input    string // path of a file for one index
	rows     vfs.File
	w        *bufio.Writer
	size     int64
	runs     []run
	from, to int64 // times of the segments, µs
	buf      []byte
}

// run is where the rows of an index are, and which it is.
type run struct {
	key      archive.IndexKey
	from, to int64
}

func newSpool(fs vfs.FS, dir string) (*spool, error) {
	rows, err := fs.Create(fs.PathJoin(dir, "rows"), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return &spool{fs: fs, input: fs.PathJoin(dir, "input"), rows: rows, w: bufio.NewWriterSize(rows, 256<<10),
		from: math.MaxInt64, to: math.MinInt64}, nil
}

func (s *spool) flush() error { return s.w.Flush() }

func (s *spool) close() error { return s.rows.Close() }

// add reads an index whole and keeps its rows. After an error about what the index
// is, what was kept of it is passed over. Indexes are added in the order of their
// keys.
func (s *spool) add(ctx context.Context, a *archive.Archive, e archive.IndexEntry) (err error) {
	input, err := s.fetch(ctx, a, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, input.Close()) }()
	in := newSearch(ctx, a, a.Key(e.IndexKey), e.Size, &indexForm)
	defer in.recovered(&err)
	if err := in.parse(input); err != nil {
		return err
	}
	first, last, err := in.checkInput(e)
	if err != nil {
		return err
	}
	from, order := s.size, inputOrder{key: e.IndexKey}
	err = in.eachRow(func(r *Row) error {
		if err := order.check(r); err != nil {
			return in.placed(err)
		}
		return s.write(r)
	})
	if err != nil {
		return err
	}
	s.runs = append(s.runs, run{e.IndexKey, from, s.size})
	s.from, s.to = min(s.from, first), max(s.to, last)
	return nil
}

// fetch puts the object into a file, over the one before.
func (s *spool) fetch(ctx context.Context, a *archive.Archive, e archive.IndexEntry) (vfs.File, error) {
	body, err := a.Store().ReadRange(ctx, a.Key(e.IndexKey), 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	f, err := s.fs.Create(s.input, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(f, body)
	if err == nil && n != e.Size {
		err = &archive.ObjectError{Store: a.Store().URL(), Key: a.Key(e.IndexKey), Offset: -1,
			Reason: fmt.Sprintf("it has %d bytes, and was listed with %d", n, e.Size)}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkInput compares what an index says of itself with its name, and gives the
// times of its segment.
func (s *search) checkInput(e archive.IndexEntry) (first, last int64, err error) {
	node, _ := s.file.Lookup(metaNode)
	segment, _ := s.file.Lookup(metaSegment)
	sum, _ := s.file.Lookup(metaSHA256)
	if node != s.a.NodeID() || segment != segmentText(e.IndexKey) || len(sum) < 16 || sum[:16] != e.SHA16.String() {
		return 0, 0, s.placed(fmt.Errorf("it says that it is of segment %s of node %q", segment, node))
	}
	text, _ := s.file.Lookup(metaFrom)
	first, err = strconv.ParseInt(text, 10, 64)
	if err == nil {
		text, _ = s.file.Lookup(metaTo)
		last, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		return 0, 0, s.placed(err)
	}
	return first, last, nil
}

func segmentText(k archive.IndexKey) string {
	return fmt.Sprintf("%s/%s-%s", k.Timeline.Hex(), k.First.Hex(), k.Last.Hex())
}

// eachRow reads all rows in order.
func (s *search) eachRow(each func(*Row) error) error {
	for _, g := range s.file.RowGroups() {
		rows := g.Rows()
		err := s.rowsOf(rows, g.NumRows(), each)
		if cerr := rows.Close(); err == nil && cerr != nil {
			err = s.placed(cerr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *search) rowsOf(rows parquet.Rows, left int64, each func(*Row) error) error {
	buf := make([]parquet.Row, 256)
	for left > 0 {
		n, err := rows.ReadRows(buf[:min(left, int64(len(buf)))])
		if n == 0 && err != nil {
			return s.placed(unexpected(err))
		}
		for _, values := range buf[:n] {
			if len(values) != len(s.form.set) {
				return s.placed(fmt.Errorf("a row has %d values", len(values)))
			}
			var r Row
			for i, set := range s.form.set {
				set(&r, values[i])
			}
			if err := each(&r); err != nil {
				return err
			}
		}
		left -= int64(n)
	}
	return nil
}

// inputOrder holds an index to what its format promises.
type inputOrder struct {
	key  archive.IndexKey
	last *Row
}

func (o *inputOrder) check(r *Row) error {
	if o.last != nil && compareRows(o.last, r) >= 0 {
		return fmt.Errorf("LSN %d is not in its place", uint64(r.LSN))
	}
	if r.LSN < o.key.First || r.LSN > o.key.Last || r.Timeline != o.key.Timeline || r.Part < 0 || r.Offset < 0 || r.ValueBytes < 0 {
		return fmt.Errorf("a row is of LSN %d of timeline %d, at offset %d", uint64(r.LSN), uint32(r.Timeline), r.Offset)
	}
	r.SegmentFirst, r.SegmentSHA16 = o.key.First, o.key.SHA16
	o.last = r
	return nil
}

// compareRows orders by tenant, key, LSN and part.
func compareRows(x, y *Row) int {
	return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), bytes.Compare(x.Key, y.Key), cmp.Compare(x.LSN, y.LSN), cmp.Compare(x.Part, y.Part))
}

// write appends one row. What a run has in common is not in it.
func (s *spool) write(r *Row) error {
	b := binary.AppendUvarint(s.buf[:0], uint64(len(r.Key)))
	b = append(b, r.Key...)
	b = binary.AppendUvarint(b, uint64(len(r.Op)))
	b = append(b, r.Op...)
	for _, v := range []uint64{uint64(r.Tenant), uint64(r.LSN), uint64(r.Part), uint64(r.TimeMicros), uint64(r.Epoch),
		uint64(r.VShard), uint64(r.Type), uint64(r.ValueBytes), uint64(r.ExpireAt), uint64(r.Offset)} {
		b = binary.AppendUvarint(b, v)
	}
	if r.Op == OpPut {
		b = append(b, r.ValueSHA256[:]...)
	}
	s.buf = b
	n, err := s.w.Write(b)
	s.size += int64(n)
	return err
}

// runReader reads one run back.
type runReader struct {
	run
	order int // of its run
	r     *bufio.Reader
	row   Row
}

const runBufferBytes = 8 << 10

func (s *spool) reader(i int) *runReader {
	r := s.runs[i]
	return &runReader{run: r, order: i, r: bufio.NewReaderSize(io.NewSectionReader(s.rows, r.from, r.to-r.from), runBufferBytes)}
}

// next reads the next row; false at the end of the run.
func (r *runReader) next() (bool, error) {
	key, err := r.bytes()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	op, err := r.bytes()
	if err != nil {
		return false, unexpected(err)
	}
	var v [10]uint64
	for i := range v {
		if v[i], err = binary.ReadUvarint(r.r); err != nil {
			return false, unexpected(err)
		}
	}
	r.row = Row{Key: key, Op: string(op), Tenant: uint32(v[0]), LSN: wal.LSN(v[1]), Part: int(v[2]), TimeMicros: int64(v[3]),
		Epoch: wal.Epoch(v[4]), VShard: uint16(v[5]), Type: wal.Type(v[6]), ValueBytes: int64(v[7]), ExpireAt: int64(v[8]), Offset: int64(v[9]),
		Timeline: r.key.Timeline, SegmentFirst: r.key.First, SegmentSHA16: r.key.SHA16}
	if r.row.Op == OpPut {
		if _, err := io.ReadFull(r.r, r.row.ValueSHA256[:]); err != nil {
			return false, unexpected(err)
		}
	}
	return true, nil
}

func (r *runReader) bytes() ([]byte, error) {
	n, err := binary.ReadUvarint(r.r)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r.r, b)
	return b, unexpected(err)
}
