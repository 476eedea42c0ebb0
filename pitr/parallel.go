package pitr

import (
	"context"
	"sync"
	"sync/atomic"
)

// parallel calls do(ctx, 0) to do(ctx, n-1), at most width at a time and in
// rising order of start, until one fails. It returns the first error after all
// calls have ended.
func parallel(ctx context.Context, width, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(max(width, 1), n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err) // the first one counts
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
