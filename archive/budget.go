package archive

import (
	"context"
	"errors"
	"io"
	"sync"
)

// budget bounds the bytes that uploads hold in memory. Who asks for more than
// there is gets all of it, alone, so a large segment is slow and not stuck.
type budget struct {
	limit int64

	mu    sync.Mutex
	used  int64
	queue []*budgetWaiter // first come, first served
}

type budgetWaiter struct {
	n     int64
	ready chan struct{}
}

func newBudget(limit int64) *budget { return &budget{limit: max(limit, 1)} }

// acquire takes n bytes, at most the limit, and returns what it took.
func (b *budget) acquire(ctx context.Context, n int64) (int64, error) {
	n = min(max(n, 1), b.limit)
	b.mu.Lock()
	if len(b.queue) == 0 && b.used+n <= b.limit {
		b.used += n
		b.mu.Unlock()
		return n, nil
	}
	w := &budgetWaiter{n: n, ready: make(chan struct{})}
	b.queue = append(b.queue, w)
	b.mu.Unlock()
	select {
	case <-w.ready:
		return n, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range b.queue {
		if q == w {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			b.grant() // the next one may be small enough
			return 0, ctx.Err()
		}
	}
	return n, nil // granted meanwhile
}

func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.grant()
}

// grant lets waiters in. The caller holds mu.
func (b *budget) grant() {
	for len(b.queue) > 0 && b.used+b.queue[0].n <= b.limit {
		w := b.queue[0]
		b.queue = b.queue[1:]
		b.used += w.n
		close(w.ready)
	}
}

const chunkBytes = 256 << 10

// chunkPool recycles buffers between uploads; the garbage collector empties
// it when the archiver is idle.
var chunkPool = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// chunks is a byte buffer that grows without copying. It is written by one
// goroutine, then read by any number.
type chunks struct {
	parts []*[chunkBytes]byte
	size  int64
}

// Write appends p; it never fails.
func (c *chunks) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		at := int(c.size % chunkBytes)
		if at == 0 {
			c.parts = append(c.parts, chunkPool.Get().(*[chunkBytes]byte))
		}
		k := copy(c.parts[len(c.parts)-1][at:], p)
		c.size += int64(k)
		p = p[k:]
	}
	return n, nil
}

// ReadAt is io.ReaderAt over what was written.
func (c *chunks) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("archive: negative offset")
	}
	n := 0
	for n < len(p) && off < c.size {
		part := c.parts[off/chunkBytes]
		end := min(int64(chunkBytes), c.size-off/chunkBytes*chunkBytes)
		k := copy(p[n:], part[off%chunkBytes:end])
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// free gives the memory back; the buffer is empty then.
func (c *chunks) free() {
	for _, p := range c.parts {
		chunkPool.Put(p)
	}
	*c = chunks{}
}
