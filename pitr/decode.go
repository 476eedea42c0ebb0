package pitr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// decoded is one whole, verified segment, its records sorted by who applies
// them. Nothing of a segment is handed on before its SHA-256 was compared.
type decoded struct {
	plan    PlanSegment
	seg     wal.Segment
	prev    [32]byte     // hash of the segment before, as this one says
	shares  []share      // by worker: vshard modulo workers
	digests []wal.Digest // from records of the whole segment, also those past plan.To
	timeTo  int64        // time of the record plan.To
	blocks  [][]byte     // own the records' bytes
	held    int64        // bytes taken from the budget
}

// share is what one worker applies, in order.
type share [][]wal.Record

const (
	blockBytes   = 1 << 20
	shareRecords = 4 << 10 // in one piece of a share
	recordBytes  = 88      // of a wal.Record in memory
)

// Blocks and pieces of shares go round: their number is bounded by the budget.
var (
	blockPool = sync.Pool{New: func() any { b := make([]byte, 0, blockBytes); return &b }}
	piecePool = sync.Pool{New: func() any { p := make([]wal.Record, 0, shareRecords); return &p }}
)

// free gives the memory back for other segments, once nobody reads it.
func (d *decoded) free() {
	for _, b := range d.blocks {
		if cap(b) == blockBytes {
			b = b[:0]
			blockPool.Put(&b)
		}
	}
	for _, s := range d.shares {
		for _, p := range s {
			clear(p)
			p = p[:0]
			piecePool.Put(&p)
		}
	}
	d.blocks, d.shares = nil, nil
}

// decoder turns compressed objects into decoded segments.
type decoder struct {
	nodeID  string
	vshards int
	workers int
	budget  *budget
	known   func(wal.Type) bool // of required types; another stops the restore
}

// decode reads the content of segment i. key names the object for errors.
func (d *decoder) decode(ctx context.Context, i int, ps PlanSegment, plain io.Reader, key string) (*decoded, error) {
	name, err := segmentKey(ps.Key)
	if err != nil {
		return nil, err
	}
	out := &decoded{plan: ps, shares: make([]share, d.workers)}
	if err = d.read(ctx, i, out, plain, key); err == nil {
		err = name.Check(out.seg, d.nodeID)
	}
	if err != nil {
		out.free()
		d.budget.give(out.held)
		return nil, err
	}
	return out, nil
}

func (d *decoder) read(ctx context.Context, i int, out *decoded, plain io.Reader, key string) error {
	hd, err := readWhole(ctx, plain, key, func(rec *wal.Record) error { return d.keep(i, out, rec) })
	out.seg, out.prev = hd.seg, hd.prev
	return err
}

// head is what a segment says of itself as a whole.
type head struct {
	seg  wal.Segment
	prev [32]byte // hash of the segment before
}

// readWhole reads a decompressed segment to the end of the stream, which must be
// the end of the segment.
func readWhole(ctx context.Context, plain io.Reader, key string, keep func(*wal.Record) error) (head, error) {
	const recordsPerCheck = 1024
	counted := &countingReader{r: plain}
	r := wal.NewSegmentReader(counted, key)
	for n := 1; ; n++ {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n%recordsPerCheck == 0 && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = keep(&rec)
		}
		if err != nil {
			return head{}, err
		}
	}
	// The rest of the stream holds the checksum of its last frame, and must
	// hold no byte of content.
	out := head{seg: r.Segment()}
	if _, err := io.ReadFull(counted, make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return head{}, err
	}
	if counted.n != out.seg.Bytes {
		return head{}, errors.New("its content goes on behind the segment's end")
	}
	p, err := r.Preamble()
	out.prev = p.Prev
	return out, err
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

// keep copies what is needed of one record.
func (d *decoder) keep(i int, out *decoded, rec *wal.Record) error {
	if rec.Type == wal.TypeDigest {
		if dg, err := wal.DecodeDigest(rec.Payload); err == nil {
			out.digests = append(out.digests, dg)
		}
	}
	if rec.LSN == out.plan.To {
		out.timeTo = rec.Time
	}
	if rec.LSN < out.plan.From || rec.LSN > out.plan.To {
		return nil
	}
	if rec.Type.Required() && !d.known(rec.Type) {
		return &wal.UnknownTypeError{Path: out.plan.Key, LSN: rec.LSN, Type: rec.Type}
	}
	if rec.VShard == wal.VShardNone {
		return nil
	}
	if int(rec.VShard) >= d.vshards {
		return fmt.Errorf("record LSN %d is for vshard %d, and the node has %d", uint64(rec.LSN), rec.VShard, d.vshards)
	}
	own := *rec
	block, err := d.room(i, out, len(rec.Idem)+len(rec.Payload))
	if err != nil {
		return err
	}
	at := len(*block)
	*block = append(append(*block, rec.Idem...), rec.Payload...)
	mid := at + len(rec.Idem)
	own.Idem, own.Payload = (*block)[at:mid:mid], (*block)[mid:len(*block):len(*block)]
	return d.give(i, out, &own)
}

// give adds a record to the share of its worker.
func (d *decoder) give(i int, out *decoded, own *wal.Record) error {
	s := &out.shares[int(own.VShard)%d.workers]
	last := len(*s) - 1
	if last < 0 || len((*s)[last]) == shareRecords {
		if err := d.take(i, out, shareRecords*recordBytes); err != nil {
			return err
		}
		*s = append(*s, *piecePool.Get().(*[]wal.Record))
		last++
	}
	(*s)[last] = append((*s)[last], *own)
	return nil
}

func (d *decoder) take(i int, out *decoded, n int64) error {
	if err := d.budget.take(i, n); err != nil {
		return err
	}
	out.held += n
	return nil
}

// room finds n bytes in the last block, or in a new one that the budget allows.
func (d *decoder) room(i int, out *decoded, n int) (*[]byte, error) {
	if last := len(out.blocks) - 1; last >= 0 && cap(out.blocks[last])-len(out.blocks[last]) >= n {
		return &out.blocks[last], nil
	}
	size := max(n, blockBytes)
	if err := d.take(i, out, int64(size)); err != nil {
		return nil, err
	}
	if size == blockBytes {
		out.blocks = append(out.blocks, *blockPool.Get().(*[]byte))
	} else {
		out.blocks = append(out.blocks, make([]byte, 0, size))
	}
	return &out.blocks[len(out.blocks)-1], nil
}

func segmentKey(key string) (archive.SegmentKey, error) {
	k, err := archive.ParseKey(key)
	if err != nil {
		return archive.SegmentKey{}, err
	}
	sk, ok := k.(archive.SegmentKey)
	if !ok {
		return archive.SegmentKey{}, fmt.Errorf("%w: %q is not a segment", archive.ErrBadKey, key)
	}
	return sk, nil
}
