package archive

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	seekable "github.com/SaveTheRbtz/zstd-seekable-format-go/pkg"
	"github.com/klauspost/compress/zstd"
)

const (
	// sealFrameBytes is how much one frame holds: small enough for ranged
	// reads, large enough to compress well.
	sealFrameBytes = 1 << 20

	// sealEndBytes is the size of the first and the last frame. A segment's
	// preamble and its footer are there, and a reader that wants only those
	// fetches no more than a few KiB.
	sealEndBytes = 4 << 10

	// sealWorkers compress frames of one object side by side.
	sealWorkers = 2
)

// SealInfo tells what Seal read and wrote.
type SealInfo struct {
	Bytes       int64    // read
	SHA256      [32]byte // of what was read
	SealedBytes int64    // written
	SealedMD5   [16]byte // of what was written, for comparison with what stores report
}

// Seal compresses src into dst in the zstd seekable format: independent
// frames, then a table of them in a skippable frame. Any zstd program
// decompresses it to the bytes of src. Memory is about 6 MiB whatever the
// size of src. Errors are those of src and dst.
func Seal(dst io.Writer, src io.Reader) (SealInfo, error) {
	sum := md5.New()
	info, err := seal(dst, src, sum)
	if err == nil {
		sum.Sum(info.SealedMD5[:0])
	}
	return info, err
}

// seal is Seal, with the hash of what is written left to the caller: sum may be
// nil.
func seal(dst io.Writer, src io.Reader, sum hash.Hash) (SealInfo, error) {
	p := sealPipe{
		src:    src,
		free:   make(chan *sealFrame, sealWorkers+1),
		todo:   make(chan *sealFrame),
		queue:  make(chan *sealFrame, sealWorkers+1),
		rawSum: sha256.New(),
	}
	for range cap(p.free) {
		p.free <- &sealFrame{raw: make([]byte, sealFrameBytes), done: make(chan struct{}, 1)}
	}
	var wg sync.WaitGroup
	for range sealWorkers {
		wg.Go(p.compress)
	}
	wg.Go(p.read)
	info, err := p.write(dst, sum)
	wg.Wait()
	if err == nil {
		err = p.readErr
	}
	if err != nil {
		return SealInfo{}, fmt.Errorf("seal: %w", err)
	}
	info.Bytes = p.rawBytes
	p.rawSum.Sum(info.SHA256[:0])
	return info, nil
}

// sealFrame goes round: reader → worker (todo) and writer (queue, in order) →
// reader (free). Whoever holds it owns it; the writer waits for done.
type sealFrame struct {
	at   int    // in the object
	raw  []byte // capacity sealFrameBytes
	zst  []byte
	done chan struct{}
}

type sealPipe struct {
	src   io.Reader
	free  chan *sealFrame
	todo  chan *sealFrame
	queue chan *sealFrame

	// Owned by the reader until it is done.
	rawSum   hash.Hash
	rawBytes int64
	frames   int
	readErr  error
}

// read cuts the source into frames: a small one, large ones, and, once the
// end is known, a small one again.
func (p *sealPipe) read() {
	defer close(p.queue)
	defer close(p.todo)
	size := sealEndBytes
	var tail []byte // kept back until it is known whether it is the end
	for {
		f := <-p.free
		f.raw = f.raw[:size]
		n := copy(f.raw, tail)
		m, err := io.ReadFull(p.src, f.raw[n:])
		f.raw = f.raw[:n+m]
		p.rawSum.Write(f.raw[n:])
		p.rawBytes += int64(m)
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			p.readErr = err
			p.free <- f
			return
		}
		keep := 0
		if size == sealFrameBytes {
			keep = min(sealEndBytes, len(f.raw))
		}
		tail = append(tail[:0], f.raw[len(f.raw)-keep:]...)
		f.raw = f.raw[:len(f.raw)-keep]
		p.send(f)
		if end {
			break
		}
		size = sealFrameBytes
	}
	f := <-p.free
	f.raw = f.raw[:copy(f.raw[:sealFrameBytes], tail)]
	p.send(f)
}

func (p *sealPipe) send(f *sealFrame) {
	if len(f.raw) == 0 {
		p.free <- f
		return
	}
	f.at = p.frames
	p.frames++
	p.queue <- f
	p.todo <- f
}

func (p *sealPipe) compress() {
	var sample []byte
	for f := range p.todo {
		e := sealEncoder
		if sealHarder(f.at) && betterPays(f.raw, &sample) {
			e = sealBetterEncoder
		}
		f.zst = e().EncodeAll(f.raw, f.zst[:0])
		f.done <- struct{}{}
	}
}

// sealHarder tells which frames are compressed harder: two of five. Independent
// frames cost up to 3% of the ratio of a stream, since each begins with an empty
// window, and this brings it back for a tenth of the speed. It depends on the
// place of a frame only, so a segment is compressed to the same bytes again; the
// first frame is small, the second all that a small segment has.
func sealHarder(frame int) bool { return frame%5 == 1 || frame%5 == 3 }

// betterPays tries both on a sample: on digits that do not repeat the slower one
// is the worse.
func betterPays(raw []byte, buf *[]byte) bool {
	const sampleBytes = 16 << 10
	if len(raw) > sampleBytes {
		mid := (len(raw) - sampleBytes) / 2
		raw = raw[mid : mid+sampleBytes]
	}
	*buf = sealEncoder().EncodeAll(raw, (*buf)[:0])
	fast := len(*buf)
	*buf = sealBetterEncoder().EncodeAll(raw, (*buf)[:0])
	return len(*buf) < fast
}

// The encoders have no goroutines of their own and serve all seals of the
// process at once.
var (
	sealEncoder       = sync.OnceValue(func() *zstd.Encoder { return newSealEncoder(zstd.SpeedFastest) })
	sealBetterEncoder = sync.OnceValue(func() *zstd.Encoder { return newSealEncoder(zstd.SpeedDefault) })
)

func newSealEncoder(level zstd.EncoderLevel) *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(sealFrameBytes))
	if err != nil {
		panic(err) // constant options
	}
	return e
}

// write puts the compressed frames out in order, then the table. After an
// error it goes on taking frames, so that nobody waits for it.
func (p *sealPipe) write(dst io.Writer, sum hash.Hash) (SealInfo, error) {
	out := &countingWriter{w: dst, sum: sum}
	var ready readyFrame
	w, err := seekable.NewWriter(out, &ready)
	for f := range p.queue {
		<-f.done
		if err == nil {
			ready.zst = f.zst
			_, err = w.Write(f.raw)
		}
		p.free <- f
	}
	if p.readErr != nil || err != nil {
		return SealInfo{}, err
	}
	if err := w.Close(); err != nil {
		return SealInfo{}, err
	}
	return SealInfo{SealedBytes: out.n}, nil
}

// readyFrame hands the library a frame that a worker has compressed.
type readyFrame struct{ zst []byte }

func (r *readyFrame) EncodeAll(_, _ []byte) []byte { return r.zst }

type countingWriter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	if err == nil && n != len(p) {
		err = errors.New("short write")
	}
	return n, err
}
