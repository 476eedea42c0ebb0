package pitr

import (
	"context"
	"sync"
)

// budget bounds the bytes of segments that are in memory: downloaded, or
// decoded and not applied yet. Segments are applied in order, so the one whose
// turn it is may always take more: it is what frees the others' share.
type budget struct {
	bytesMax int64

	mu    sync.Mutex
	cond  *sync.Cond
	used  int64
	peak  int64
	turn  int // index of the segment that is applied next
	ended error
}

func newBudget(bytesMax int64) *budget {
	b := &budget{bytesMax: bytesMax}
	b.cond = sync.NewCond(&b.mu)
	return b
}

// endWith makes every wait return the context's error once it is done. The
// returned function must be called.
func (b *budget) endWith(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		b.mu.Lock()
		b.ended = context.Cause(ctx)
		b.mu.Unlock()
		b.cond.Broadcast()
	})
}

// take waits until segment i may hold n more bytes.
func (b *budget) take(i int, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.ended == nil && i != b.turn && b.used+n > b.bytesMax {
		b.cond.Wait()
	}
	if b.ended != nil {
		return b.ended
	}
	b.used += n
	b.peak = max(b.peak, b.used)
	return nil
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
	b.cond.Broadcast()
}

// setTurn says which segment is next.
func (b *budget) setTurn(i int) {
	b.mu.Lock()
	b.turn = i
	b.mu.Unlock()
	b.cond.Broadcast()
}
