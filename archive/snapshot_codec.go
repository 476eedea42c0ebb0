package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/nodedb-go/nodedb/wal"
)

// encodeSnapshot gives the bytes of the object. Equal snapshots give equal bytes.
func encodeSnapshot(s *snapshot) ([]byte, error) {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(unsealWindowMax))
	if err != nil {
		return nil, err
	}
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(io.MultiWriter(z, sum), 64<<10)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	err = e.Encode(s.SnapshotInfo)
	for i := 0; err == nil && i < len(s.epochs); i++ {
		err = e.Encode(s.epochs[i])
	}
	for i := 0; err == nil && i < len(s.bases); i++ {
		err = e.Encode(s.bases[i])
	}
	for i := 0; err == nil && i < len(s.objects); i++ {
		err = e.Encode(s.objects[i].snapshotLine(s.bounds[s.objects[i].Key]))
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(z, "{%q:\"%08x\"}\n", sumField, sum.Sum32()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// decodeSnapshot reads one. Memory follows the number of its lines, which is
// bounded, and not what its head claims.
func decodeSnapshot(r io.Reader, nodeID string, seq uint64) (*snapshot, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(unsealWindowMax), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	d := &snapshotDecoder{r: bufio.NewReaderSize(io.LimitReader(z, snapshotPlainMax), 64<<10)}
	s := &snapshot{bounds: make(map[string]*SegmentBounds)}
	if err := d.next(&s.SnapshotInfo); err != nil {
		return nil, fmt.Errorf("read its head: %w", err)
	}
	switch h := s.SnapshotInfo; {
	case h.Version < 1:
		return nil, errors.New("has no version")
	case h.Version > snapshotVersion:
		return nil, fmt.Errorf("%w: version %d, known up to %d", ErrVersion, h.Version, snapshotVersion)
	case h.NodeID != nodeID || h.Seq != seq:
		return nil, fmt.Errorf("is snapshot %d of node %q", h.Seq, h.NodeID)
	case h.Epochs < 0 || h.Bases < 0 || h.Objects < 0 || h.Epochs > snapshotObjectsMax || h.Bases > snapshotObjectsMax || h.Objects > snapshotObjectsMax:
		return nil, fmt.Errorf("claims %d epochs, %d bases and %d objects", h.Epochs, h.Bases, h.Objects)
	}
	if err := d.body(s); err != nil {
		return nil, fmt.Errorf("line %d: %w", d.lines, err)
	}
	return s, d.end()
}

type snapshotDecoder struct {
	r     *bufio.Reader
	line  []byte
	lines int
	sum   uint32
}

// raw reads one line of at most snapshotLineMax bytes.
func (d *snapshotDecoder) raw() error {
	d.line = d.line[:0]
	d.lines++
	for {
		part, err := d.r.ReadSlice('\n')
		d.line = append(d.line, part...)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(d.line) > snapshotLineMax:
			return fmt.Errorf("longer than %d bytes", snapshotLineMax)
		}
	}
}

func (d *snapshotDecoder) next(v any) error {
	if err := d.raw(); err != nil {
		return err
	}
	d.sum = crc32.Update(d.sum, castagnoli, d.line)
	return json.Unmarshal(d.line, v)
}

func (d *snapshotDecoder) body(s *snapshot) error {
	for range s.Epochs {
		var e EpochInfo
		if err := d.next(&e); err != nil {
			return err
		}
		if err := e.valid(); err != nil || e.NodeID != s.NodeID {
			return fmt.Errorf("epoch %d of node %q cannot be used: %v", e.Epoch, e.NodeID, err)
		}
		s.epochs = append(s.epochs, e)
	}
	for range s.Bases {
		var b SnapshotBase
		if err := d.next(&b); err != nil {
			return err
		}
		if b.VShards < 1 || b.Files < 0 || b.SealedBytes < 0 {
			return fmt.Errorf("base %q has %d vshards, %d files, %d bytes", b.Key, b.VShards, b.Files, b.SealedBytes)
		}
		s.bases = append(s.bases, b)
	}
	last := ""
	for range s.Objects {
		var l snapshotObject
		if err := d.next(&l); err != nil {
			return err
		}
		if l.Key <= last || l.Bytes < 0 {
			return fmt.Errorf("object %q of %d bytes after %q", l.Key, l.Bytes, last)
		}
		last = l.Key
		s.add(&l)
	}
	return nil
}

func (s *snapshot) add(l *snapshotObject) {
	o := Object{Key: l.Key, Size: l.Bytes, Class: l.Class}
	if l.Modified != 0 {
		o.ModTime = time.Unix(0, l.Modified)
	}
	s.objects = append(s.objects, o)
	if l.First == 0 && l.Last == 0 {
		return
	}
	b := &SegmentBounds{FirstTime: l.First, LastTime: l.Last}
	for _, p := range l.Points {
		b.Points = append(b.Points, wal.Point{LSN: p.LSN, Time: p.Time, Name: p.Name})
	}
	s.bounds[l.Key] = b
}

// end compares the checksum; nothing may follow it.
func (d *snapshotDecoder) end() error {
	if err := d.raw(); err != nil {
		return fmt.Errorf("read its checksum: %w", err)
	}
	var tail struct {
		Sum string `json:"crc32c"`
	}
	if err := json.Unmarshal(d.line, &tail); err != nil {
		return fmt.Errorf("read its checksum: %w", err)
	}
	if want := fmt.Sprintf("%08x", d.sum); tail.Sum != want {
		return fmt.Errorf("has checksum %s and says %s", want, tail.Sum)
	}
	if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("goes on behind its checksum")
	}
	return nil
}
