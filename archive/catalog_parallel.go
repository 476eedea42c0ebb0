package archive

import (
	"context"
	"sync"
)

// catalogParallel bounds the small requests that a catalog makes at a time.
const catalogParallel = 16

// forEach runs f for 0 to n-1, a bounded number at a time, and returns the
// first error after all have ended; the others' contexts are cancelled then.
func forEach(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	return forEachOf(ctx, catalogParallel, n, f)
}

// forEachOf is forEach with its own bound.
func forEachOf(ctx context.Context, width, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, width) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err) // the first one counts
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
