package pitr

import (
	"context"
	"errors"
	"sync"
)

// errEnough ends inOrder early, without an error.
var errEnough = errors.New("pitr: enough")

// inOrder calls do(ctx, 0) to do(ctx, n-1), about width of them at a time, and
// take with their results in order, from this goroutine. What was made and not
// taken yet is bounded by width too. It returns the first error, in that order,
// after all calls have ended; errEnough from take is the end and no error.
func inOrder[T any](ctx context.Context, width, n int, do func(ctx context.Context, i int) (T, error), take func(i int, v T) error) error {
	type result struct {
		v   T
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var ahead []chan result // of the calls that have begun, oldest first
	started := 0
	for i := range n {
		for ; started < n && started < i+max(width, 1); started++ {
			out := make(chan result, 1)
			ahead = append(ahead, out)
			at := started
			wg.Go(func() {
				v, err := do(ctx, at)
				out <- result{v, err}
			})
		}
		r := <-ahead[0]
		ahead = ahead[1:]
		if r.err != nil {
			return r.err
		}
		if err := take(i, r.v); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
	}
	return nil
}
