package archive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	seekable "github.com/SaveTheRbtz/zstd-seekable-format-go/pkg"
	"github.com/klauspost/compress/zstd"
)

const (
	// unsealWindowMax bounds the memory of one decompression; ours use 1 MiB.
	unsealWindowMax = 8 << 20

	seekTableMagic      = 0x8F92EAB1
	seekTableFooterLen  = 9
	seekTableBytesMax   = 16 << 20 // a table of more than a million frames
	sealedTailReadBytes = 16 << 10 // the table and the last frame of a usual segment
)

// Unseal streams what Seal compressed. Errors are those of src, or match
// ErrCorrupt when its bytes are not a whole sealed object; most come while
// reading. Memory is bounded, and no goroutine runs. Close the result; that
// does not close src.
func Unseal(src io.Reader) (io.ReadCloser, error) {
	u := &unsealer{src: tailReader{r: src}}
	var err error
	u.dec, err = zstd.NewReader(&u.src, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(unsealWindowMax), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, u.classify(err)
	}
	return u, nil
}

type unsealer struct {
	src tailReader
	dec *zstd.Decoder
	err error // sticky
	n   int64
}

func (u *unsealer) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.dec.Read(p)
	u.n += int64(n)
	if err != nil {
		u.err = u.classify(err)
	}
	return n, u.err
}

// classify tells the source's own errors from damage.
func (u *unsealer) classify(err error) error {
	switch {
	case u.src.err != nil:
		return fmt.Errorf("unseal: %w", u.src.err)
	case !errors.Is(err, io.EOF):
		return &ObjectError{Offset: -1, Reason: fmt.Sprintf("decompression fails after %d bytes", u.n), Err: err}
	case !u.src.complete():
		// Frames are independent, so a cut between two of them decompresses
		// without an error; the table at the end is what is missing then.
		return &ObjectError{Offset: u.src.n, Reason: "it ends before its seek table"}
	}
	return io.EOF
}

func (u *unsealer) Close() error {
	u.dec.Close()
	if u.err == nil {
		u.err = errors.New("archive: read of a closed object")
	}
	return nil
}

// tailReader remembers the last bytes that went through, and a source's own
// error, which the decompressor would wrap as damage.
type tailReader struct {
	r    io.Reader
	n    int64
	tail [seekTableFooterLen]byte
	err  error
}

func (t *tailReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	if n >= len(t.tail) {
		copy(t.tail[:], p[n-len(t.tail):n])
	} else {
		copy(t.tail[:], t.tail[n:])
		copy(t.tail[len(t.tail)-n:], p[:n])
	}
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

func (t *tailReader) complete() bool {
	return t.n >= seekTableFooterLen && binary.LittleEndian.Uint32(t.tail[5:]) == seekTableMagic
}

// Sealed reads any range of a sealed object, fetching only the frames that
// hold it. It may be used from many goroutines.
type Sealed struct {
	r    *seekable.Reader
	name string
	size int64
}

// OpenSealed opens a sealed object of size bytes. Errors are those of r, or
// match ErrCorrupt.
func OpenSealed(r io.ReaderAt, size int64, name string) (*Sealed, error) {
	env := &sealedEnv{r: r, size: size}
	sr, err := seekable.NewReader(nil, sealDecoder(), seekable.WithReaderEnvironment(env))
	if err != nil {
		return nil, env.err(name, err)
	}
	table, err := sr.SeekTable()
	if err != nil {
		return nil, env.err(name, err)
	}
	s := &Sealed{r: sr, name: name, size: int64(table.Size())}
	if s.size < 0 {
		return nil, env.err(name, errors.New("its seek table has an impossible size"))
	}
	return s, nil
}

// Size is the length of the content, in bytes.
func (s *Sealed) Size() int64 { return s.size }

// ReadAt reads content; io.ReaderAt's rules.
func (s *Sealed) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.r.ReadAt(p, off)
	var fe *fetchError
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case errors.As(err, &fe):
		return n, fmt.Errorf("read sealed: %w", fe.err)
	}
	return n, &ObjectError{Key: s.name, Offset: -1, Reason: fmt.Sprintf("cannot read its content at %d", off), Err: err}
}

// sealDecoder has no goroutines of its own and serves all readers.
var sealDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(unsealWindowMax), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err) // constant options
	}
	return d
})

// sealedEnv feeds the seekable reader from a ReaderAt, and bounds what a
// damaged table can make it allocate.
type sealedEnv struct {
	r    io.ReaderAt
	size int64
}

// fetchError marks an error of the source, as opposed to damage.
type fetchError struct{ err error }

func (e *fetchError) Error() string { return e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

func (e *sealedEnv) err(name string, err error) error {
	var fe *fetchError
	if errors.As(err, &fe) {
		return fmt.Errorf("open sealed: %w", fe.err)
	}
	return &ObjectError{Key: name, Offset: -1, Reason: "it is no sealed object", Err: err}
}

func (e *sealedEnv) read(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > e.size-n {
		return nil, fmt.Errorf("range %d+%d outside of its %d bytes", off, n, e.size)
	}
	buf := make([]byte, n)
	if m, err := e.r.ReadAt(buf, off); m < len(buf) {
		if err == nil || err == io.EOF {
			return nil, fmt.Errorf("range %d+%d: %w", off, n, io.ErrUnexpectedEOF)
		}
		return nil, &fetchError{err}
	}
	return buf, nil
}

func (e *sealedEnv) GetFrameByIndex(i seekable.FrameOffsetEntry) ([]byte, error) {
	if i.DecompressedSize > unsealWindowMax {
		return nil, fmt.Errorf("frame of %d bytes", i.DecompressedSize)
	}
	return e.read(int64(i.CompressedOffset), int64(i.CompressedSize))
}

func (e *sealedEnv) ReadFooter() ([]byte, error) {
	return e.read(e.size-seekTableFooterLen, seekTableFooterLen)
}

func (e *sealedEnv) ReadSkipFrame(fromEnd int64) ([]byte, error) {
	if fromEnd > seekTableBytesMax {
		return nil, fmt.Errorf("seek table of %d bytes", fromEnd)
	}
	return e.read(e.size-fromEnd, fromEnd)
}

// OpenSealedObject opens an object of a store for ranged reads, with one
// request for its last few KiB, where the table and a segment's footer are.
// ctx covers all later reads.
func OpenSealedObject(ctx context.Context, s Store, key string, size int64) (*Sealed, error) {
	r := &rangeReader{ctx: ctx, s: s, key: key}
	if err := r.prefetch(max(0, size-sealedTailReadBytes), size); err != nil {
		return nil, fmt.Errorf("open sealed: %w", err)
	}
	return OpenSealed(r, size, key)
}

// rangeReader is a ReaderAt over one object: one request for each ReadAt that
// no prefetched window answers.
type rangeReader struct {
	ctx context.Context
	s   Store
	key string

	mu      sync.Mutex
	windows []window // the newest last, at most rangeWindows; their bytes never change
}

// rangeWindows are kept: both ends of an object, and the range that is read.
const rangeWindows = 3

type window struct {
	from int64
	data []byte
}

// prefetch makes one request for from to to (exclusive), and keeps what comes.
func (r *rangeReader) prefetch(from, to int64) error {
	data := make([]byte, to-from)
	n, err := r.fetch(data, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.windows) == rangeWindows {
		r.windows = r.windows[:rangeWindows-1]
	}
	r.windows = append(r.windows, window{from, data[:n]})
	return nil
}

// find is the part of a window that holds from to to; nil when none does.
func (r *rangeReader) find(from, to int64) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.windows {
		if from >= w.from && to <= w.from+int64(len(w.data)) {
			return w.data[from-w.from : to-w.from]
		}
	}
	return nil
}

func (r *rangeReader) holds(from, to int64) bool { return r.find(from, to) != nil }

func (r *rangeReader) ReadAt(p []byte, off int64) (int, error) {
	if have := r.find(off, off+int64(len(p))); have != nil {
		return copy(p, have), nil
	}
	return r.fetch(p, off)
}

func (r *rangeReader) fetch(p []byte, off int64) (int, error) {
	body, err := r.s.ReadRange(r.ctx, r.key, off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n := 0
	for n < len(p) && err == nil {
		var m int
		m, err = body.Read(p[n:])
		n += m
	}
	if n == len(p) {
		err = nil
	}
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	return n, err
}
