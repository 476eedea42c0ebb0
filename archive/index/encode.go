package index

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// scan reads and verifies a whole segment, which must be all of src, and gathers
// its rows.
func scan(ctx context.Context, src io.Reader, name string, decode Decode) (*collector, wal.Segment, error) {
	const recordsPerCheck = 1024
	counted := &countingReader{r: src}
	r := wal.NewSegmentReader(counted, name)
	c := &collector{}
	for n := 1; ; n++ {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n%recordsPerCheck == 0 {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, wal.Segment{}, err
		}
		c.rec, c.offset, c.part = &rec, r.FrameOffset(), 0
		if err := decode(&rec, c.add); err != nil {
			return nil, wal.Segment{}, fmt.Errorf("decode LSN %d: %w", uint64(rec.LSN), err)
		}
	}
	// The rest of the stream has the checksum of its last frame, and no content.
	if _, err := io.ReadFull(counted, make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return nil, wal.Segment{}, err
	}
	s := r.Segment()
	if counted.n != s.Bytes {
		return nil, wal.Segment{}, fmt.Errorf("%w: content goes on behind the segment's end", archive.ErrCorrupt)
	}
	return c, s, nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// Encode writes the index of the segment that is all of src, and says what the
// segment is and how many rows there are. What is written depends on the bytes of
// src only. name is for errors.
func Encode(ctx context.Context, dst io.Writer, src io.Reader, name string, decode Decode) (wal.Segment, int, error) {
	c, s, err := scan(ctx, src, name, decode)
	if err != nil {
		return wal.Segment{}, 0, err
	}
	return s, c.rows, c.write(dst, s)
}

// write puts the rows into groups, which are encoded side by side, a few at a
// time, and written in order.
func (c *collector) write(dst io.Writer, s wal.Segment) error {
	w := parquet.NewGenericWriter[schemaRow](dst, writerOptions(s)...)
	refs := c.sorted()
	if room, ok := dst.(interface{ Grow(int) }); ok {
		room.Grow(objectBytesMin + c.rows*rowBytes)
	}
	common := &of{timeline: parquet.Int64Value(int64(s.Timeline)), epoch: parquet.Int64Value(int64(s.Epoch))}
	for _, op := range c.ops {
		common.ops = append(common.ops, parquet.ByteArrayValue([]byte(op)))
	}
	type encoded struct {
		group *parquet.ConcurrentRowGroupWriter
		err   error
	}
	var waiting []chan encoded
	commit := func(most int) error {
		for len(waiting) > most {
			e := <-waiting[0]
			waiting = waiting[1:]
			if e.err == nil {
				_, e.err = e.group.Commit()
			}
			if e.err != nil {
				for _, ch := range waiting {
					<-ch // nobody may go on writing
				}
				return e.err
			}
		}
		return nil
	}
	for len(refs) > 0 {
		n := min(len(refs), rowsPerGroup)
		group, part, done := w.BeginRowGroup(), refs[:n], make(chan encoded, 1)
		refs = refs[n:]
		go func() { done <- encoded{group, c.encodeGroup(group, part, common)} }()
		waiting = append(waiting, done)
		if err := commit(groupsAtOnce - 1); err != nil {
			return err
		}
	}
	if err := commit(0); err != nil {
		return err
	}
	return w.Close()
}

const (
	groupsAtOnce = 2 // are encoded at a time

	// What an object takes, as a guess that spares growing.
	objectBytesMin = 8 << 10
	rowBytes       = 46
)

// encodeGroup writes the columns of one group, a few rows at a time, which are
// gathered first: entries lie in order of LSN, far from each other.
func (c *collector) encodeGroup(group *parquet.ConcurrentRowGroupWriter, refs []sortRef, common *of) error {
	rows := make([]entry, 0, batchRows)
	values := make([]parquet.Value, 0, batchRows)
	writers := group.ColumnWriters()
	for len(refs) > 0 {
		rows = rows[:0]
		for keyBytes := 0; len(rows) < min(batchRows, len(refs)) && keyBytes < pageBytes; {
			rows = append(rows, *c.at(refs[len(rows)].row))
			keyBytes += len(rows[len(rows)-1].key)
		}
		refs = refs[len(rows):]
		for i, w := range writers {
			values = values[:0]
			for n := range rows {
				values = append(values, columns[i].value(&rows[n], common))
			}
			if _, err := w.WriteRowValues(values); err != nil {
				return err
			}
		}
	}
	return group.Flush()
}

// batchRows are written at a time; a page ends between two batches, so they are
// fewer where keys are long.
const batchRows = 512
