package pitr

import (
	"context"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
)

// mergedAsk is one question to one merged index.
type mergedAsk struct {
	store int
	key   archive.MergedKey
	id    keyID
}

// mergedAnswer is there when done is closed.
type mergedAnswer struct {
	done chan struct{}
	m    index.Merged
	err  error
}

// mergedAnswersMax bounds what is kept: a question asks one index about many
// segments that follow each other, so few are needed at a time.
const mergedAnswersMax = 64

// mergedAnswers asks each merged index once about a key, however many segments it is
// asked for, also side by side. The zero value is ready.
type mergedAnswers struct {
	mu    sync.Mutex
	known map[mergedAsk]*mergedAnswer
}

// lookup gives the answer that is known, waits for the one that is under way, or
// asks. An error is an answer too, unless it is that of a context that ended.
func (a *mergedAnswers) lookup(ctx context.Context, ask mergedAsk, do func(context.Context) (index.Merged, error)) (index.Merged, error) {
	for {
		a.mu.Lock()
		it, ok := a.known[ask]
		if !ok {
			if a.known == nil || len(a.known) >= mergedAnswersMax {
				a.known = make(map[mergedAsk]*mergedAnswer)
			}
			it = &mergedAnswer{done: make(chan struct{})}
			a.known[ask] = it
		}
		a.mu.Unlock()
		if !ok {
			return a.answer(ctx, ask, it, do)
		}
		select {
		case <-it.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if it.m != nil || it.err != nil {
			return it.m, it.err
		}
	}
}

func (a *mergedAnswers) answer(ctx context.Context, ask mergedAsk, it *mergedAnswer, do func(context.Context) (index.Merged, error)) (index.Merged, error) {
	m, err := do(ctx)
	if ctx.Err() != nil { // no answer: whoever waits asks again
		a.mu.Lock()
		if a.known[ask] == it {
			delete(a.known, ask)
		}
		a.mu.Unlock()
	} else {
		it.m, it.err = m, err
	}
	close(it.done)
	return m, err
}
